//! `PostTransfers` at the least cost for the one who calls: requests are encoded once and only their ids change; of an
//! answer the verdicts are counted and not unpacked. The service can't tell it from any other client.

use std::fmt::Display;

use http::uri::PathAndQuery;
use prost::{
    bytes::{Buf, BufMut},
    encoding::{WireType, decode_key, decode_varint},
};
use proto::ledger::v1 as pb;
use runtime::Problem;
use tonic::{
    Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

use crate::rpc::{self, failure};

const METHOD: &str = "/linli.ledger.v1.LedgerService/PostTransfers";
/// The answer to 8,190 transfers takes some 3 MB.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Sends an encoded `PostTransfersRequest`, every transfer of which has to be posted; returns how many were.
pub async fn post(channel: Channel, request: Vec<u8>) -> Result<u64, Problem> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    let failed = |status: Status| failure("PostTransfers", &status);
    let ready = grpc.ready().await;
    ready.map_err(|error| failed(Status::from_error(error.into())))?;
    let request = runtime::request(request, rpc::TIMEOUT);
    let path = PathAndQuery::from_static(METHOD);
    let answer = grpc.unary(request, path, Raw).await.map_err(failed)?;
    let verdicts = answer.into_inner();
    if let Some(refusal) = verdicts.refusal {
        return Err(Problem::new(format!(
            "the ledger refused a transfer of the benchmark: {}: {}",
            refusal.reason, refusal.message
        )));
    }
    Ok(verdicts.posted)
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

#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Verdicts;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, request: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(request.len());
        out.put_slice(&request);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Verdicts;
    type Error = Status;

    fn decode(&mut self, answer: &mut DecodeBuf<'_>) -> Result<Option<Verdicts>, Status> {
        let answer = answer.copy_to_bytes(answer.remaining());
        Verdicts::count(&answer).map(Some)
    }
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
