//! An answer in gRPC becomes one in JSON.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions,
};
use tonic::{Code, Status, body::Body};

use super::{JSON, JSON_LINES, PREFIX, failure};
use crate::status;

/// Turns an answer around: a message is an object, a stream of them a line each.
pub(super) async fn from_grpc(
    method: &MethodDescriptor,
    response: Response<Body>,
    pool: &DescriptorPool,
) -> Result<Response<Body>, Status> {
    let (mut head, body) = response.into_parts();
    failed(&head.headers)?;
    let (content_type, body) = if method.is_server_streaming() {
        let lines = Lines {
            body,
            output: method.output(),
            pool: pool.clone(),
            rest: BytesMut::new(),
            is_over: false,
        };
        (JSON_LINES, Body::new(lines))
    } else {
        let whole = body.collect().await?;
        if let Some(trailers) = whole.trailers() {
            failed(trailers)?;
        }
        let mut rest = BytesMut::from(&whole.to_bytes()[..]);
        let message = next_message(&mut rest, &method.output())
            .and_then(|it| it.ok_or_else(status::internal))?;
        (JSON, Body::new(Full::from(message)))
    };
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_TYPE, content_type);
    Ok(Response::from_parts(head, body))
}

fn failed(headers: &HeaderMap) -> Result<(), Status> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(()),
    }
}

/// The next whole message of what has come so far. Fields that are 0 or empty are shown: a balance of 0 is an answer.
fn next_message(
    rest: &mut BytesMut,
    output: &MessageDescriptor,
) -> Result<Option<Vec<u8>>, Status> {
    let Some(length) = rest.get(1..PREFIX) else {
        return Ok(None);
    };
    let length = length
        .iter()
        .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
    if rest.len() < PREFIX + length {
        return Ok(None);
    }
    rest.advance(PREFIX);
    let unreadable = |error: String| {
        tracing::error!("An answer is no {}: {error}", output.full_name());
        status::internal()
    };
    let message = DynamicMessage::decode(output.clone(), rest.split_to(length))
        .map_err(|error| unreadable(error.to_string()))?;
    let options = SerializeOptions::new().skip_default_fields(false);
    let mut json = serde_json::Serializer::new(Vec::new());
    let written = message.serialize_with_options(&mut json, &options);
    written.map_err(|error| unreadable(error.to_string()))?;
    Ok(Some(json.into_inner()))
}

/// Messages of a stream, each as `{"result": …}` on a line of its own; a stream that fails ends with `{"error": …}`.
struct Lines {
    body: Body,
    output: MessageDescriptor,
    pool: DescriptorPool,
    rest: BytesMut,
    is_over: bool,
}

impl Lines {
    fn fail(&mut self, status: &Status) -> Vec<u8> {
        self.is_over = true;
        self.rest.clear();
        let error = failure::json(status, &self.pool).to_string();
        line("error", error.as_bytes())
    }

    /// Takes in what comes next; a line when it says that the stream has failed.
    fn add(&mut self, frame: Option<Result<Frame<Bytes>, Status>>) -> Option<Vec<u8>> {
        match frame {
            None => self.is_over = true,
            Some(Err(status)) => return Some(self.fail(&status)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.rest.extend_from_slice(&data),
                Err(frame) => {
                    let status = frame.trailers_ref().and_then(|it| failed(it).err())?;
                    return Some(self.fail(&status));
                }
            },
        }
        None
    }
}

fn line(name: &str, value: &[u8]) -> Vec<u8> {
    [format!("{{\"{name}\":").as_bytes(), value, b"}\n"].concat()
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let lines = self.get_mut();
        loop {
            let line = match next_message(&mut lines.rest, &lines.output) {
                Ok(Some(message)) => Some(line("result", &message)),
                Ok(None) if lines.is_over && lines.rest.is_empty() => return Poll::Ready(None),
                // It ends within a message.
                Ok(None) if lines.is_over => Some(lines.fail(&status::internal())),
                Ok(None) => {
                    let frame = ready!(Pin::new(&mut lines.body).poll_frame(context));
                    lines.add(frame)
                }
                Err(status) => Some(lines.fail(&status)),
            };
            if let Some(line) = line {
                return Poll::Ready(Some(Ok(Frame::data(line.into()))));
            }
        }
    }
}
