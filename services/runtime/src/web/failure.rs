//! Errors as a google.rpc.Status in JSON, under the HTTP code that `google/rpc/code.proto` pairs with each.

use http::{HeaderValue, Response, StatusCode, header};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;

use super::JSON;
use crate::{access::TOKEN_REASONS, reason_of, status::MESSAGE_TOO_LARGE};

/// The reason where there is no such method.
pub(super) const UNKNOWN_METHOD: &str = "UNKNOWN_METHOD";
/// The reason of any other verb of HTTP.
pub(super) const NOT_POST: &str = "NOT_POST";
/// The reason of a body that no method reads.
pub(super) const UNKNOWN_CONTENT_TYPE: &str = "UNKNOWN_CONTENT_TYPE";

/// A status as an answer of HTTP.
pub(super) fn response(status: &Status, pool: &DescriptorPool) -> Response<Body> {
    let mut response = Response::new(Body::new(json(status, pool).to_string()));
    let code = http_code(status);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    if code == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    if reason_of(status).is_some_and(|reason| TOKEN_REASONS.contains(&reason.as_str())) {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let retry = status.get_details_retry_info();
    if let Some(delay) = retry.and_then(|info| info.retry_delay) {
        // Whole seconds only, and never too early.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
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

fn http_code(status: &Status) -> StatusCode {
    // HTTP has better codes for what is no call, and for what is too much.
    match reason_of(status).as_deref() {
        Some(UNKNOWN_METHOD) => return StatusCode::NOT_FOUND,
        Some(NOT_POST) => return StatusCode::METHOD_NOT_ALLOWED,
        Some(UNKNOWN_CONTENT_TYPE) => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Some(MESSAGE_TOO_LARGE) => return StatusCode::PAYLOAD_TOO_LARGE,
        _ => {}
    }
    match status.code() {
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
