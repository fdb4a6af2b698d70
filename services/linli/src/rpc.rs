//! Calls of the public contracts: repeated when that is harmless, and their errors told in one line.

use std::time::Duration;

use runtime::Problem;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// How long one call may take.
pub const TIMEOUT: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Calls `$method` of a client with `$message`, and again after an outcome that is unknown or passes by; every mutating
/// call carries a `request_id`, so that has one effect.
#[macro_export]
macro_rules! call {
    ($client:expr, $method:ident, $message:expr) => {
        $crate::rpc::repeat($message, |request| {
            let mut client = $client.clone();
            async move { client.$method(request).await }
        })
    };
}

/// Makes a call until it has an outcome that another attempt would not change.
pub async fn repeat<Q, A, F, Fut>(message: Q, mut call: F) -> Result<A, Status>
where
    Q: Clone,
    F: FnMut(tonic::Request<Q>) -> Fut,
    Fut: Future<Output = Result<tonic::Response<A>, Status>>,
{
    let mut attempt = 0;
    loop {
        let status = match call(runtime::request(message.clone(), TIMEOUT)).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        attempt += 1;
        if attempt == ATTEMPTS || !may_pass(status.code()) {
            return Err(status);
        }
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt)).await;
    }
}

/// A connection that broke during a call is UNKNOWN.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::Unknown
            | Code::Aborted
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
    )
}

/// Says what went wrong with `what`.
pub fn failure(what: impl AsRef<str>, status: &Status) -> Problem {
    Problem::new(format!("{}: {}", what.as_ref(), describe(status)))
}

/// The code, the reason, the message and every field at fault, in one line.
pub fn describe(status: &Status) -> String {
    let details = status.get_error_details();
    let mut line = code_name(status.code()).to_owned();
    if let Some(info) = details.error_info() {
        line = format!("{line} {}", info.reason);
    }
    let message = match details.bad_request() {
        // The message names the first of these.
        Some(request) if !request.field_violations.is_empty() => {
            let fields = request.field_violations.iter();
            let fields: Vec<String> = fields
                .map(|violation| format!("{}: {}", violation.field, violation.description))
                .collect();
            fields.join("; ")
        }
        _ => status.message().to_owned(),
    };
    if message.is_empty() {
        return line;
    }
    format!("{line}: {message}")
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn an_error_names_code_reason_and_fields_in_one_line() {
        let mut details = ErrorDetails::new();
        details.set_error_info("INVALID_FIELD", "activity.linli", HashMap::new());
        details.add_bad_request_violation("parent", "missing");
        details.add_bad_request_violation("member.kind", "missing");
        let status = Status::with_error_details(Code::InvalidArgument, "parent: missing", details);
        assert_eq!(
            failure("CreateMember M1", &status).to_string(),
            "CreateMember M1: INVALID_ARGUMENT INVALID_FIELD: parent: missing; member.kind: missing"
        );
    }

    #[test]
    fn an_error_without_details_still_has_a_line() {
        let line = describe(&Status::unavailable("tcp connect error"));
        assert_eq!(line, "UNAVAILABLE: tcp connect error");
    }
}
