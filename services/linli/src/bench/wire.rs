//! `PostTransfers` at the least cost for the one who calls: calls go straight to an HTTP/2 connection, requests are encoded
//! once and only their ids change, and of an answer the verdicts are counted and not unpacked. The service can't tell it from
//! any other client.

use std::{fmt::Display, net::SocketAddr};

use h2::client::{Builder, SendRequest};
use http::{Request, header};
use prost::{
    bytes::{Buf, BufMut, Bytes, BytesMut},
    encoding::{WireType, decode_key, decode_varint},
};
use proto::ledger::v1 as pb;
use runtime::{Gathered, Problem};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use crate::rpc::{self, failure};

const METHOD: &str = "/linli.ledger.v1.LedgerService/PostTransfers";
/// How much of the answers may be on its way; the answer to 8,190 transfers takes some 3 MB.
const WINDOW_BYTES: u32 = 16 << 20;
/// A message is preceded by whether it is compressed, in one byte, and by its length, in four.
const PREFIX_BYTES: usize = 5;

/// A connection to the ledger, for any number of calls at once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Wire {
    calls: SendRequest<Bytes>,
    /// What every call begins with.
    head: Request<()>,
}

impl Wire {
    /// Connects to the ledger, for the holder of a token.
    pub async fn connect(address: SocketAddr, token: &str) -> Result<Self, Problem> {
        let failed = |why: &dyn Display| Problem::new(format!("can't connect to {address}: {why}"));
        let socket = TcpStream::connect(address).await;
        let socket = socket.map_err(|error| failed(&error))?;
        socket.set_nodelay(true).map_err(|error| failed(&error))?;
        let (calls, connection) = Builder::new()
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .handshake(Gathered::new(socket))
            .await
            .map_err(|error| failed(&error))?;
        // Its end is told to the calls.
        tokio::spawn(connection);
        let head = Request::post(format!("http://{address}{METHOD}"))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header("grpc-timeout", format!("{}S", rpc::TIMEOUT.as_secs()))
            .body(())
            .map_err(|error| failed(&error))?;
        Ok(Self { calls, head })
    }

    /// Sends an encoded `PostTransfersRequest`, every transfer of which has to be posted; returns how many were.
    pub async fn post(&self, request: &[u8]) -> Result<u64, Problem> {
        let answer = self.call(request).await;
        let verdicts = answer
            .and_then(|answer| Verdicts::count(&answer))
            .map_err(|status| failure("PostTransfers", &status))?;
        if let Some(refusal) = verdicts.refusal {
            return Err(Problem::new(format!(
                "the ledger refused a transfer of the benchmark: {}: {}",
                refusal.reason, refusal.message
            )));
        }
        Ok(verdicts.posted)
    }

    /// Sends a message and waits for the other one.
    async fn call(&self, message: &[u8]) -> Result<Bytes, Status> {
        let mut calls = self.calls.clone().ready().await.map_err(broken)?;
        let sent = calls.send_request(self.head.clone(), false);
        let (answer, mut body) = sent.map_err(broken)?;
        body.send_data(framed(message)?, true).map_err(broken)?;
        let (head, mut body) = answer.await.map_err(broken)?.into_parts();
        let mut received = BytesMut::new();
        while let Some(part) = body.data().await {
            let part = part.map_err(broken)?;
            let window = body.flow_control();
            window.release_capacity(part.len()).map_err(broken)?;
            received.put(part);
        }
        // A call without an answer ends with its first headers.
        let end = body.trailers().await.map_err(broken)?;
        match Status::from_header_map(&end.unwrap_or(head.headers)) {
            Some(status) if status.code() == Code::Ok => unframed(received.freeze()),
            Some(status) => Err(status),
            None => Err(malformed("it has no status")),
        }
    }
}

fn framed(message: &[u8]) -> Result<Bytes, Status> {
    let length = u32::try_from(message.len()).map_err(malformed)?;
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    Ok(framed.freeze())
}

fn unframed(mut framed: Bytes) -> Result<Bytes, Status> {
    let is_compressed = framed.try_get_u8().map_err(malformed)? != 0;
    let length = framed.try_get_u32().map_err(malformed)?;
    if is_compressed || usize::try_from(length) != Ok(framed.len()) {
        return Err(malformed("it is not one message as it is"));
    }
    Ok(framed)
}

fn broken(error: h2::Error) -> Status {
    Status::unavailable(error.to_string())
}

/// What came of the transfers of one call.
#[derive(Debug, Default, PartialEq)]
struct Verdicts {
    posted: u64,
    /// The first one; no transfer here has a reason to be refused.
    refusal: Option<pb::Refusal>,
}

impl Verdicts {
    fn count(mut answer: &[u8]) -> Result<Self, Status> {
        let mut verdicts = Self::default();
        while answer.has_remaining() {
            let verdict = take(&mut answer)?.1;
            let mut inside = verdict;
            match take(&mut inside)? {
                (1, _) => verdicts.posted += 1,
                (_, refusal) if verdicts.refusal.is_none() => {
                    verdicts.refusal = Some(prost::Message::decode(refusal).map_err(malformed)?);
                }
                _ => {}
            }
        }
        Ok(verdicts)
    }
}

/// The next field, which is a message: its number and its bytes.
fn take<'a>(bytes: &mut &'a [u8]) -> Result<(u32, &'a [u8]), Status> {
    let (number, wire_type) = decode_key(bytes).map_err(malformed)?;
    let length = decode_varint(bytes).map_err(malformed)?;
    let parts = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.split_at_checked(length));
    match parts {
        Some((message, rest)) if wire_type == WireType::LengthDelimited => {
            *bytes = rest;
            Ok((number, message))
        }
        _ => Err(malformed("a field that is no message")),
    }
}

fn malformed(why: impl Display) -> Status {
    Status::internal(format!("malformed answer: {why}"))
}

#[cfg(test)]
mod tests {
    use pb::transfer_verdict::Verdict;
    use prost::Message;

    use super::*;

    fn answer(verdicts: Vec<Verdict>) -> Vec<u8> {
        let verdicts = verdicts.into_iter().map(|verdict| pb::TransferVerdict {
            verdict: Some(verdict),
        });
        pb::PostTransfersResponse {
            verdicts: verdicts.collect(),
        }
        .encode_to_vec()
    }

    #[test]
    fn verdicts_are_counted_and_a_refusal_is_kept() {
        let entry = || {
            Verdict::Entry(pb::Entry {
                sequence: 7,
                description: "x".repeat(300),
                ..Default::default()
            })
        };
        let refusal = pb::Refusal {
            reason: "INSUFFICIENT_POINTS".into(),
            ..Default::default()
        };
        let posted = Verdicts::count(&answer(vec![entry(), entry()])).unwrap();
        assert_eq!((posted.posted, posted.refusal), (2, None));
        let mixed = answer(vec![entry(), Verdict::Refusal(refusal.clone()), entry()]);
        let mixed = Verdicts::count(&mixed).unwrap();
        assert_eq!((mixed.posted, mixed.refusal), (2, Some(refusal)));
    }

    #[test]
    fn a_broken_answer_is_an_error() {
        let mut answer = answer(vec![Verdict::Entry(pb::Entry::default())]);
        answer.push(0x0a);
        assert!(Verdicts::count(&answer).is_err());
    }
}
