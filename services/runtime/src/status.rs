//! Errors as google.rpc details (AIP-193): every status carries an `ErrorInfo`, so a program can tell refusals apart
//! without reading text. The status message is English; the one `LocalizedMessage` is Chinese.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of errors that no service's rule gave.
pub(crate) const DOMAIN: &str = "linli";
const LOCALE: &str = "zh-CN";
/// The reason of a message that is larger than its method takes.
pub(crate) const MESSAGE_TOO_LARGE: &str = "MESSAGE_TOO_LARGE";
/// The details travel in an HTTP/2 header, and clients limit those to as little as 8 KiB.
const MAX_VIOLATIONS: usize = 20;

/// One thing wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, as in `items[2].amount`.
    pub field: String,
    /// What is wrong, in English, lower case, no full stop.
    pub description: String,
}

/// Why a service says no.
#[derive(Debug, Clone)]
pub struct Reason<'a> {
    /// `ErrorInfo.domain`, as in `ledger.linli`.
    pub domain: &'static str,
    /// `ErrorInfo.reason`, in UPPER_SNAKE_CASE.
    pub reason: &'static str,
    /// The status code.
    pub code: Code,
    /// The status message.
    pub text_en: &'a str,
    /// The same for people in zh-CN.
    pub text_zh: &'a str,
    /// `ErrorInfo.metadata`: the numbers behind the refusal.
    pub metadata: Vec<(&'static str, String)>,
    /// When asking again may help.
    pub retry_after: Option<Duration>,
}

/// Makes the status of a refusal.
pub fn refusal(reason: Reason<'_>) -> Status {
    let metadata: HashMap<String, String> = reason
        .metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let mut details = ErrorDetails::new();
    details
        .set_error_info(reason.reason, reason.domain, metadata)
        .set_localized_message(LOCALE, reason.text_zh);
    if reason.code == Code::FailedPrecondition {
        details.add_precondition_failure_violation(reason.reason, reason.domain, reason.text_en);
    }
    if reason.retry_after.is_some() {
        details.set_retry_info(reason.retry_after);
    }
    Status::with_error_details(reason.code, reason.text_en, details)
}

/// INVALID_ARGUMENT that names every field at fault. With no violation it speaks of the request as a whole.
pub fn invalid(domain: &'static str, violations: Vec<Violation>) -> Status {
    let (field, message) = match violations.first() {
        None => (String::new(), "invalid request".to_owned()),
        Some(Violation { field, description }) => {
            let more = match violations.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            (field.clone(), format!("{field}: {description}{more}"))
        }
    };
    let mut details = ErrorDetails::new();
    for violation in violations.into_iter().take(MAX_VIOLATIONS) {
        details.add_bad_request_violation(violation.field, violation.description);
    }
    let text_zh = format!("请求的字段有误:{field}");
    let metadata = HashMap::from([("field".to_owned(), field)]);
    details
        .set_error_info("INVALID_FIELD", domain, metadata)
        .set_localized_message(LOCALE, text_zh);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// INVALID_ARGUMENT: the bytes of a request are no message of its method.
pub(crate) fn malformed(why: &str) -> Status {
    refusal(Reason {
        domain: DOMAIN,
        reason: "MALFORMED_MESSAGE",
        code: Code::InvalidArgument,
        text_en: why,
        text_zh: "请求不是该方法的消息",
        metadata: vec![],
        retry_after: None,
    })
}

/// OUT_OF_RANGE: a message is larger than the method takes.
pub(crate) fn too_large(why: &str) -> Status {
    refusal(Reason {
        domain: DOMAIN,
        reason: MESSAGE_TOO_LARGE,
        code: Code::OutOfRange,
        text_en: why,
        text_zh: "请求过大,请分批发送",
        metadata: vec![],
        retry_after: None,
    })
}

/// A request that HTTP lets through and no service takes.
pub(crate) fn unusable(code: Code, reason: &'static str, why: &str) -> Status {
    refusal(Reason {
        domain: DOMAIN,
        reason,
        code,
        text_en: why,
        text_zh: "该地址不接受这样的请求",
        metadata: vec![],
        retry_after: None,
    })
}

/// INTERNAL: our bug. The cause is logged where it is found and never sent.
pub fn internal() -> Status {
    refusal(Reason {
        domain: DOMAIN,
        reason: "INTERNAL",
        code: Code::Internal,
        text_en: "internal error",
        text_zh: "系统内部错误",
        metadata: vec![],
        retry_after: None,
    })
}

/// UNAVAILABLE: something this service depends on does not answer; the same request may be sent again.
pub fn unavailable(domain: &'static str, what: &str) -> Status {
    refusal(Reason {
        domain,
        reason: "DEPENDENCY_UNAVAILABLE",
        code: Code::Unavailable,
        text_en: &format!("{what} is unavailable; try again with the same request_id"),
        text_zh: "服务暂时不可用,请用同一 request_id 重试",
        metadata: vec![("dependency", what.to_owned())],
        retry_after: Some(Duration::from_secs(1)),
    })
}

/// ABORTED: another call changed the same thing first; the same request may be sent again.
pub fn aborted(domain: &'static str) -> Status {
    refusal(Reason {
        domain,
        reason: "CONCURRENT_UPDATE",
        code: Code::Aborted,
        text_en: "another call changed the same thing; try again with the same request_id",
        text_zh: "数据同时被修改,请用同一 request_id 重试",
        metadata: vec![],
        retry_after: Some(Duration::from_millis(50)),
    })
}

/// UNAVAILABLE: a stream ends with its server; another goes on where it ended.
pub fn stopping(domain: &'static str) -> Status {
    refusal(Reason {
        domain,
        reason: "SERVER_STOPPING",
        code: Code::Unavailable,
        text_en: "the server is going down; go on with a new stream where this one ended",
        text_zh: "服务正在停止，请从中断处重新建立数据流",
        metadata: vec![],
        retry_after: Some(Duration::from_millis(500)),
    })
}

/// UNAVAILABLE: a stream has gone on for as long as its caller's token counts; another begins with one that counts now.
pub(crate) fn stream_over(domain: &'static str) -> Status {
    refusal(Reason {
        domain,
        reason: "STREAM_OVER",
        code: Code::Unavailable,
        text_en: "the token that began this stream counts no more; go on with a new stream where this one ended",
        text_zh: "建立数据流的凭证已到期，请用新的凭证从中断处重新建立",
        metadata: vec![],
        retry_after: Some(Duration::from_millis(500)),
    })
}

/// DEADLINE_EXCEEDED: the caller's time is over; what became of the request is settled by sending it again.
pub fn deadline_exceeded() -> Status {
    refusal(Reason {
        domain: DOMAIN,
        reason: "DEADLINE_EXCEEDED",
        code: Code::DeadlineExceeded,
        text_en: "the deadline passed before an answer; ask again with the same request_id",
        text_zh: "请求超时,请用同一 request_id 重试",
        metadata: vec![],
        retry_after: None,
    })
}

/// The `ErrorInfo.reason` of a received status.
pub fn reason_of(status: &Status) -> Option<String> {
    Some(status.get_details_error_info()?.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_people_and_programs_why() {
        let status = refusal(Reason {
            domain: "ledger.linli",
            reason: "BALANCE_TOO_LOW",
            code: Code::FailedPrecondition,
            text_en: "the account holds 5 points, 8 were asked",
            text_zh: "账户只有 5 分,需要 8 分",
            metadata: vec![("held", "5".to_owned())],
            retry_after: Some(Duration::from_secs(3)),
        });

        assert_eq!(status.message(), "the account holds 5 points, 8 were asked");
        assert_eq!(reason_of(&status).as_deref(), Some("BALANCE_TOO_LOW"));
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(info.domain, "ledger.linli");
        assert_eq!(info.metadata["held"], "5");
        assert_eq!(details.localized_message().unwrap().locale, "zh-CN");
        assert_eq!(details.precondition_failure().unwrap().violations.len(), 1);
        let delay = details.retry_info().unwrap().retry_delay;
        assert_eq!(delay, Some(Duration::from_secs(3)));
    }

    #[test]
    fn an_invalid_request_hears_of_every_field_but_in_a_header_that_fits() {
        let violation = |number| Violation {
            field: format!("items[{number}].amount"),
            description: "from 1 to 9, not 0".to_owned(),
        };
        let status = invalid("ledger.linli", (0..500).map(violation).collect());

        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            status.message(),
            "items[0].amount: from 1 to 9, not 0 (and 499 more)"
        );
        let details = status.get_error_details();
        assert_eq!(
            details.error_info().unwrap().metadata["field"],
            "items[0].amount"
        );
        assert_eq!(
            details.bad_request().unwrap().field_violations.len(),
            MAX_VIOLATIONS
        );
        assert!(status.details().len() < 4096);
    }

    #[test]
    fn every_status_has_a_reason() {
        for status in [
            internal(),
            unavailable("activity.linli", "the ledger"),
            aborted("ledger.linli"),
            stopping("ledger.linli"),
            stream_over("ledger.linli"),
            deadline_exceeded(),
            invalid("ledger.linli", vec![]),
        ] {
            assert!(reason_of(&status).is_some(), "{status}");
        }
        assert_eq!(reason_of(&Status::not_found("by somebody else")), None);
    }
}
