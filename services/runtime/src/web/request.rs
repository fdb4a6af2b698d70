//! A request in JSON becomes one in gRPC.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, Request, Version, header};
use http_body::Frame;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, prost::Message};
use serde_json::Value;
use serde_path_to_error::{Path, Segment, Track};
use tonic::{Status, body::Body};

use super::PREFIX;
use crate::{Violation, status};

/// The most JSON of one message.
const MAX_BYTES: usize = 16 << 20;
/// The most values that a message may have, about: each takes hundreds of bytes until it is bytes of gRPC, however short its text.
const MAX_VALUES: usize = 300_000;
/// How many characters of what was sent are told back.
const MAX_TOLD: usize = 200;
/// In so much text a wrong value is looked for, to be told back.
const MAX_SEARCHED: usize = 64 << 10;

/// Turns a request around. Headers stay, for they are the metadata. The body is read when the method asks for it, as in gRPC: after the call
/// was admitted, and within its time.
pub(super) fn to_grpc(method: &MethodDescriptor, request: Request<Body>) -> Request<Body> {
    let (mut head, body) = request.into_parts();
    head.version = Version::HTTP_2;
    let headers = &mut head.headers;
    // Of the bytes as they came; and the answer is to be read before it is sent.
    for name in [
        "content-length",
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
    let messages = Messages {
        body,
        input: method.input(),
        is_stream: method.is_client_streaming(),
        rest: BytesMut::new(),
        searched: 0,
        line: 0,
        has_come: false,
        is_over: false,
    };
    Request::from_parts(head, Body::new(messages))
}

/// Messages in JSON, as frames of gRPC: of a stream one a line, else the whole body is one.
struct Messages {
    body: Body,
    input: MessageDescriptor,
    is_stream: bool,
    rest: BytesMut,
    /// So many bytes of the rest are no end of a line.
    searched: usize,
    /// How many lines there were.
    line: usize,
    /// Nothing more comes.
    has_come: bool,
    /// Nothing more goes on.
    is_over: bool,
}

impl Messages {
    /// The next message of what has come so far.
    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        while let Some(line) = self.next_line() {
            self.line += 1;
            // An empty line is no message.
            if !line.trim_ascii().is_empty() {
                return self.frame(&line).map(Some);
            }
        }
        if self.rest.len() > MAX_BYTES {
            return Err(status::too_large(&format!(
                "a message is at most {MAX_BYTES} bytes of JSON"
            )));
        }
        if !self.has_come {
            return Ok(None);
        }
        self.is_over = true;
        let last = self.rest.split();
        match last.trim_ascii() {
            [] if self.is_stream => Ok(None),
            [] => self.frame(b"{}").map(Some),
            last => {
                self.line += 1;
                self.frame(last).map(Some)
            }
        }
    }

    fn next_line(&mut self) -> Option<BytesMut> {
        if !self.is_stream {
            return None;
        }
        let unsearched = &self.rest[self.searched..];
        let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.rest.len();
            return None;
        };
        let end = self.searched + end + 1;
        self.searched = 0;
        Some(self.rest.split_to(end))
    }

    /// A message as gRPC frames it: a byte that says it is not compressed, its length, its bytes.
    fn frame(&self, json: &[u8]) -> Result<Bytes, Status> {
        let values = json
            .iter()
            .filter(|byte| matches!(byte, b',' | b'{' | b'['));
        if values.count() > MAX_VALUES {
            return Err(status::too_large(&format!(
                "a message has at most {MAX_VALUES} values"
            )));
        }
        let mut track = Track::new();
        let mut text = serde_json::Deserializer::from_slice(json);
        let message = DynamicMessage::deserialize(
            self.input.clone(),
            serde_path_to_error::Deserializer::new(&mut text, &mut track),
        );
        let message = message
            .and_then(|message| text.end().map(|()| message))
            .map_err(|error| self.unreadable(json, &track.path(), &error))?;
        let length = message.encoded_len();
        let mut framed = BytesMut::with_capacity(PREFIX + length);
        framed.put_u8(0);
        framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        let encoded = message.encode(&mut framed);
        encoded.expect("a buffer that grows takes all");
        Ok(framed.freeze())
    }

    /// Names the field at fault and its value, or what is wrong with the whole.
    fn unreadable(&self, json: &[u8], path: &Path, error: &serde_json::Error) -> Status {
        let line = match self.is_stream {
            true => format!("line {}", self.line),
            false => String::new(),
        };
        let told = error.to_string();
        // Where in the text it is says less than the field.
        let why = told
            .rsplit_once(" at line ")
            .map_or(&told[..], |(why, _)| why);
        if error.is_data() && path.iter().len() > 0 {
            let field = [line, shortened(&path.to_string())];
            let parts = field.iter().filter(|part| !part.is_empty());
            let field = parts.cloned().collect::<Vec<_>>().join(".");
            let description = match value_at(json, path) {
                Some(value) => format!("{} does not fit: {}", shortened(&value), shortened(why)),
                None => shortened(why),
            };
            return status::invalid(status::DOMAIN, vec![Violation { field, description }]);
        }
        let (name, why) = (self.input.full_name(), shortened(why));
        let (row, column) = (error.line(), error.column());
        status::malformed(&match self.is_stream {
            true => format!("{line} is no JSON of {name}: {why} at column {column}"),
            false => format!("no JSON of {name}: {why} at line {row} column {column}"),
        })
    }
}

/// The value at a place of a short text.
fn value_at(json: &[u8], path: &Path) -> Option<String> {
    let json = Some(json).filter(|json| json.len() <= MAX_SEARCHED)?;
    let whole: Value = serde_json::from_slice(json).ok()?;
    let value = path.iter().try_fold(&whole, |value, step| match step {
        Segment::Seq { index } => value.get(index),
        Segment::Map { key } => value.get(key),
        _ => None,
    });
    Some(value?.to_string())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TOLD) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        while !self.is_over {
            match self.next() {
                Ok(Some(framed)) => return Poll::Ready(Some(Ok(Frame::data(framed)))),
                Ok(None) if self.has_come => break,
                Ok(None) => {}
                Err(status) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(status)));
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
                Some(Err(status)) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(status)));
                }
                None => self.has_come = true,
            }
        }
        Poll::Ready(None)
    }
}
