//! Errors as the contract names them: one arm a refusal, with its text for programs, in English and in Chinese.

use runtime::Reason;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    Error,
    domain::refusal::{Refusal, Resource},
};

/// The domain of every error of this service.
pub(super) const DOMAIN: &str = "wish.linli";

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refused(&refusal),
            Error::RequestIdReused(request_id) => runtime::refusal(Reason {
                domain: DOMAIN,
                reason: "REQUEST_ID_REUSED",
                code: Code::InvalidArgument,
                text_en: &error.to_string(),
                text_zh: "request_id 已用于内容不同的请求",
                metadata: vec![("request_id", request_id.to_string())],
                retry_after: None,
            }),
            Error::Unavailable(service) => runtime::unavailable(DOMAIN, service),
            Error::Store(cause) if runtime::is_retryable(&cause) => runtime::aborted(DOMAIN),
            Error::Store(cause) if runtime::is_unavailable(&cause) => {
                tracing::warn!(error = %cause, "The database is unavailable: {cause}");
                runtime::unavailable(DOMAIN, "database")
            }
            Error::Store(cause) => {
                tracing::error!(error = %cause, "The wish store failed: {cause}");
                runtime::internal()
            }
            Error::Broken(what) => {
                tracing::error!("Something is as it never should be: {what}");
                runtime::internal()
            }
        }
    }
}

/// What a refusal is called.
struct Naming {
    code: Code,
    reason: &'static str,
    text_zh: String,
    metadata: Vec<(&'static str, String)>,
}

/// The reason of a refusal.
pub(super) fn reason(refusal: &Refusal) -> &'static str {
    naming(refusal).reason
}

fn refused(refusal: &Refusal) -> Status {
    let naming = naming(refusal);
    runtime::refusal(Reason {
        domain: DOMAIN,
        reason: naming.reason,
        code: naming.code,
        text_en: &refusal.to_string(),
        text_zh: &naming.text_zh,
        metadata: naming.metadata,
        retry_after: None,
    })
}

fn naming(refusal: &Refusal) -> Naming {
    match refusal {
        Refusal::NotFound { resource, id } => Naming {
            code: Code::NotFound,
            reason: "RESOURCE_NOT_FOUND",
            text_zh: format!("找不到{} {id}", word_zh(*resource)),
            metadata: of(*resource, id),
        },
        Refusal::Exists { resource, id } => Naming {
            code: Code::AlreadyExists,
            reason: "RESOURCE_EXISTS",
            text_zh: format!("{} {id} 已存在", word_zh(*resource)),
            metadata: of(*resource, id),
        },
        Refusal::WrongState {
            resource,
            id,
            state,
            needed,
        } => Naming {
            code: Code::FailedPrecondition,
            reason: "WRONG_STATE",
            text_zh: {
                let word = word_zh(*resource);
                format!("{word} {id} 的状态是 {state}，不是 {needed}")
            },
            metadata: [
                of(*resource, id),
                vec![("state", state.clone()), ("needed", needed.clone())],
            ]
            .concat(),
        },
        Refusal::CloseTimeOver { closes_at } => Naming {
            code: Code::FailedPrecondition,
            reason: "CLOSE_TIME_OVER",
            text_zh: format!("截止时间 {closes_at} 已过"),
            metadata: vec![("close_time", closes_at.to_rfc3339())],
        },
    }
}

fn of(resource: Resource, id: &Uuid) -> Vec<(&'static str, String)> {
    vec![
        ("resource", resource.word().to_owned()),
        ("id", id.to_string()),
    ]
}

fn word_zh(resource: Resource) -> &'static str {
    match resource {
        Resource::Programme => "项目",
        Resource::Wish => "心愿",
    }
}
