//! Errors as the contract names them: one arm a refusal, with its text for programs, in English and in Chinese.

use runtime::{Reason, Unreadable};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    Error,
    domain::refusal::{Refusal, Resource},
    ledger,
};

/// The domain of every error of this service.
pub(super) const DOMAIN: &str = "activity.linli";

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
            Error::Unreadable(cause) => unreadable(&cause),
            Error::Store(cause) if runtime::is_retryable(&cause) => runtime::aborted(DOMAIN),
            Error::Store(cause) if runtime::is_unavailable(&cause) => {
                tracing::warn!(error = %cause, "The database is unavailable: {cause}");
                runtime::unavailable(DOMAIN, "database")
            }
            Error::Store(cause) => {
                tracing::error!(error = %cause, "The activity store failed: {cause}");
                runtime::internal()
            }
            Error::Ledger(status) if ledger::is_transient(&status) => {
                tracing::warn!(error = %status, "The ledger is unavailable: {status}");
                runtime::unavailable(DOMAIN, "ledger")
            }
            Error::Ledger(status) => {
                tracing::error!(error = %status, "The ledger refused what it never should: {status}");
                runtime::internal()
            }
        }
    }
}

/// A replica that has a newer configuration may have the key; nobody can mend what was changed.
fn unreadable(cause: &Unreadable) -> Status {
    tracing::error!(error = %cause, "A person can't be read: {cause}");
    match cause {
        Unreadable::KeyMissing { .. } => runtime::unavailable(DOMAIN, "person key"),
        Unreadable::Damaged { id, .. } => runtime::refusal(Reason {
            domain: DOMAIN,
            reason: "PERSON_UNREADABLE",
            code: Code::DataLoss,
            text_en: &cause.to_string(),
            text_zh: "该成员的个人信息已损坏，无法读取",
            metadata: of(Resource::Member, id),
            retry_after: None,
        }),
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
        Refusal::NumberTaken { resource, number } => Naming {
            code: Code::AlreadyExists,
            reason: "NUMBER_TAKEN",
            text_zh: format!("编号 {number} 已被其他{}使用", word_zh(*resource)),
            metadata: vec![
                ("resource", resource.word().to_owned()),
                ("number", number.clone()),
            ],
        },
        Refusal::AssetExists { asset, exponent } => Naming {
            code: Code::AlreadyExists,
            reason: "ASSET_EXISTS",
            text_zh: format!("资产 {asset} 已存在，且小数位数不是 {exponent}"),
            metadata: vec![("asset", asset.clone()), ("exponent", exponent.to_string())],
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
        Refusal::SelfVerification { record } => Naming {
            code: Code::FailedPrecondition,
            reason: "SELF_VERIFICATION",
            text_zh: format!("服务记录 {record} 不能由志愿者本人核定"),
            metadata: vec![("service_record", record.to_string())],
        },
        Refusal::SecondPersonRequired { resource, id } => Naming {
            code: Code::FailedPrecondition,
            reason: "SECOND_PERSON_REQUIRED",
            text_zh: format!("{} {id} 须由另一人核定", word_zh(*resource)),
            metadata: of(*resource, id),
        },
        Refusal::SelfAdjustment { adjustment } => Naming {
            code: Code::FailedPrecondition,
            reason: "SELF_ADJUSTMENT",
            text_zh: format!("调整 {adjustment} 涉及本人积分，须由他人核定"),
            metadata: of(Resource::Adjustment, adjustment),
        },
        Refusal::BudgetExceeded {
            adjustment,
            left,
            amount,
        } => Naming {
            code: Code::FailedPrecondition,
            reason: "BUDGET_EXCEEDED",
            text_zh: format!("调整 {adjustment} 增加 {amount}，预算只剩 {left}"),
            metadata: [
                of(Resource::Adjustment, adjustment),
                vec![("left", left.to_string()), ("amount", amount.to_string())],
            ]
            .concat(),
        },
        Refusal::BudgetBelowGranted {
            adjustment,
            budget,
            granted,
        } => Naming {
            code: Code::FailedPrecondition,
            reason: "BUDGET_BELOW_GRANTED",
            text_zh: format!("调整 {adjustment} 的预算 {budget} 低于已发放的 {granted}"),
            metadata: [
                of(Resource::Adjustment, adjustment),
                vec![
                    ("budget", budget.to_string()),
                    ("granted", granted.to_string()),
                ],
            ]
            .concat(),
        },
        Refusal::ServiceOverlap { record, verified } => Naming {
            code: Code::FailedPrecondition,
            reason: "SERVICE_OVERLAP",
            text_zh: format!("服务记录 {record} 与该成员已核定的记录 {verified} 时间重叠"),
            metadata: vec![
                ("service_record", record.to_string()),
                ("verified", verified.to_string()),
            ],
        },
        Refusal::MemberErased { member } => Naming {
            code: Code::FailedPrecondition,
            reason: "MEMBER_ERASED",
            text_zh: format!("成员 {member} 的个人信息已删除"),
            metadata: of(Resource::Member, member),
        },
        Refusal::RevealOver { request_id } => Naming {
            code: Code::FailedPrecondition,
            reason: "REVEAL_OVER",
            text_zh: "该 request_id 的查看已结束，请用新的 request_id 并说明理由".to_owned(),
            metadata: vec![("request_id", request_id.to_string())],
        },
        Refusal::AmountOutOfRange { record } => Naming {
            code: Code::FailedPrecondition,
            reason: "AMOUNT_OUT_OF_RANGE",
            text_zh: format!("服务记录 {record} 的积分超出可计算的范围"),
            metadata: vec![("service_record", record.to_string())],
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
        Resource::PolicyRevision => "规则版本",
        Resource::Team => "队伍",
        Resource::Member => "成员",
        Resource::ServiceRecord => "服务记录",
        Resource::Grant => "发放",
        Resource::Adjustment => "调整",
    }
}
