//! Errors as a google.rpc.Status in JSON, under the HTTP code that `google/rpc/code.proto` pairs with each.

use http::{HeaderValue, Response, StatusCode, header};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;

use super::JSON;
use crate::{reason_of, status};

/// Why a call over HTTP has no answer.
#[derive(Debug)]
pub(super) struct Failure {
    http: StatusCode,
    status: Status,
}

impl Failure {
    /// One that HTTP has a better code for.
    pub(super) fn new(http: StatusCode, code: Code, reason: &'static str, why: &str) -> Self {
        Self {
            http,
            status: status::unusable(code, reason, why),
        }
    }

    pub(super) fn into_response(self, pool: &DescriptorPool) -> Response<Body> {
        let body = json(&self.status, pool).to_string();
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = self.http;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        if self.http == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        let retry = self.status.get_details_retry_info();
        if let Some(delay) = retry.and_then(|info| info.retry_delay) {
            // Whole seconds only, and never too early.
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let http = match reason_of(&status).as_deref() {
            Some(status::MESSAGE_TOO_LARGE) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => http_code(status.code()),
        };
        Self { http, status }
    }
}

/// A status in the JSON of google.rpc.Status.
pub(super) fn json(status: &Status, pool: &DescriptorPool) -> Value {
    let details = || {
        let message = pool.get_message_by_name("google.rpc.Status")?;
        let whole = DynamicMessage::decode(message, status.details()).ok()?;
        let mut whole = serde_json::to_value(whole).ok()?;
        Some(whole.get_mut("details")?.take())
    };
    json!({
        "code": i32::from(status.code()),
        "message": status.message(),
        "details": details().unwrap_or_else(|| json!([])),
    })
}

fn http_code(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // The caller closed the request; http has no name for it.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
