//! A request in JSON becomes one in gRPC.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, Request, StatusCode, Version, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, prost::Message};
use serde_json::Value;
use serde_path_to_error::{Path, Segment, Track};
use tonic::{Code, Status, body::Body};

use super::failure::Failure;
use crate::{Violation, status};

/// The most JSON of one message: some four times the 16 MiB that a message may have in gRPC.
const MAX: usize = 64 << 20;
/// How many characters of a wrong value are shown.
const MAX_SHOWN: usize = 80;

/// Turns a request around. Headers stay, for they are the metadata.
pub(super) async fn to_grpc(
    method: &MethodDescriptor,
    request: Request<Body>,
) -> Result<Request<Body>, Failure> {
    let (mut head, body) = request.into_parts();
    let input = method.input();
    let body = if method.is_client_streaming() {
        Body::new(Lines {
            body,
            input,
            rest: BytesMut::new(),
            searched: 0,
            is_over: false,
        })
    } else {
        let json = Limited::new(body, MAX).collect().await;
        let json = json.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => too_large(),
            None => Failure::from(status::malformed(&error.to_string())),
        })?;
        Body::new(Full::new(frame(&input, &json.to_bytes())?))
    };
    head.version = Version::HTTP_2;
    let headers = &mut head.headers;
    // Of the bytes as they came; and the answer is to be read before it is sent.
    for name in [
        "content-length",
        "content-encoding",
        "accept-encoding",
        "grpc-encoding",
        "grpc-accept-encoding",
    ] {
        headers.remove(name);
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    Ok(Request::from_parts(head, body))
}

fn too_large() -> Failure {
    let why = format!("a message is at most {MAX} bytes of JSON");
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        Code::OutOfRange,
        "MESSAGE_TOO_LARGE",
        &why,
    )
}

/// A message as gRPC frames it: a byte that says it is not compressed, its length, its bytes. Nothing at all is an empty message.
fn frame(input: &MessageDescriptor, json: &[u8]) -> Result<Bytes, Status> {
    let json = if json.trim_ascii().is_empty() {
        b"{}"
    } else {
        json
    };
    let mut track = Track::new();
    let mut text = serde_json::Deserializer::from_slice(json);
    let message = DynamicMessage::deserialize(
        input.clone(),
        serde_path_to_error::Deserializer::new(&mut text, &mut track),
    );
    let message = message
        .and_then(|message| text.end().map(|()| message))
        .map_err(|error| unreadable(input, json, &track.path(), &error))?;
    let bytes = message.encode_to_vec();
    let mut framed = BytesMut::with_capacity(5 + bytes.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(&bytes);
    Ok(framed.freeze())
}

/// Names the field at fault and its value, or what is wrong with the whole.
fn unreadable(
    input: &MessageDescriptor,
    json: &[u8],
    path: &Path,
    error: &serde_json::Error,
) -> Status {
    let value = path.iter().try_fold(
        serde_json::from_slice(json).unwrap_or(Value::Null),
        |mut value: Value, step| match step {
            Segment::Seq { index } => value.get_mut(index).map(Value::take),
            Segment::Map { key } => value.get_mut(key).map(Value::take),
            _ => None,
        },
    );
    match value {
        Some(value) if error.is_data() && path.iter().len() > 0 => {
            let told = error.to_string();
            // Where in the text it is says less than the field.
            let why = told
                .rsplit_once(" at line ")
                .map_or(&told[..], |(why, _)| why);
            let shown: String = value.to_string().chars().take(MAX_SHOWN).collect();
            let field = path.to_string();
            let description = format!("{shown} does not fit: {why}");
            status::invalid(status::DOMAIN, vec![Violation { field, description }])
        }
        _ => status::malformed(&format!("no JSON of {}: {error}", input.full_name())),
    }
}

/// Messages in JSON, one a line, as frames of gRPC.
struct Lines {
    body: Body,
    input: MessageDescriptor,
    rest: BytesMut,
    /// So many bytes of the rest are no end of a line.
    searched: usize,
    is_over: bool,
}

impl Lines {
    /// The next message of what has come so far; empty lines are none.
    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let end_of_line = |rest: &[u8]| rest.iter().position(|byte| *byte == b'\n');
        while let Some(end) = end_of_line(&self.rest[self.searched..]) {
            let line = self.rest.split_to(self.searched + end + 1);
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return frame(&self.input, &line).map(Some);
            }
        }
        self.searched = self.rest.len();
        if self.rest.len() > MAX {
            return Err(too_large().into());
        }
        if !self.is_over {
            return Ok(None);
        }
        self.searched = 0;
        match self.rest.split().trim_ascii() {
            [] => Ok(None),
            last => frame(&self.input, last).map(Some),
        }
    }
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            match self.next() {
                Ok(Some(framed)) => return Poll::Ready(Some(Ok(Frame::data(framed)))),
                Ok(None) if self.is_over => return Poll::Ready(None),
                Ok(None) => {}
                Err(status) => {
                    self.is_over = true;
                    self.rest.clear();
                    self.searched = 0;
                    return Poll::Ready(Some(Err(status)));
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => self.is_over = true,
            }
        }
    }
}
