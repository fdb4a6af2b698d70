//! Errors as the contract names them: one arm a refusal, with its text for programs, in English and in Chinese.

use runtime::{Reason, Unreadable};
use tonic::{Code, Status};
use uuid::Uuid;

use super::report_error;
use crate::{
    Error,
    domain::refusal::{EvidenceReason, QuotaPeriod, Refusal, Resource},
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
            Error::PayoutAltered(payout) => {
                tracing::error!(payout.id = %payout, "Payout {payout} is not what it was when it was frozen");
                runtime::refusal(Reason {
                    domain: DOMAIN,
                    reason: "PAYOUT_ALTERED",
                    code: Code::DataLoss,
                    text_en: &error.to_string(),
                    text_zh: "发放名单与冻结时不一致，不能导出",
                    metadata: of(Resource::Payout, &payout),
                    retry_after: None,
                })
            }
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
pub(super) struct Naming {
    pub(super) code: Code,
    pub(super) reason: &'static str,
    pub(super) text_zh: String,
    pub(super) metadata: Vec<(&'static str, String)>,
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
        Refusal::BudgetChanging { adjustment, other } => Naming {
            code: Code::FailedPrecondition,
            reason: "BUDGET_CHANGING",
            text_zh: format!("调整 {other} 正在更改同一预算，生效后再核定 {adjustment}"),
            metadata: [
                of(Resource::Adjustment, adjustment),
                vec![("other", other.to_string())],
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
        Refusal::RecorderQuotaExceeded {
            programme,
            period,
            limit_minutes,
            left_minutes,
            minutes,
            reset_at,
        } => Naming {
            code: Code::FailedPrecondition,
            reason: "RECORDER_QUOTA_EXCEEDED",
            text_zh: {
                let period = match period {
                    QuotaPeriod::Day => "日",
                    QuotaPeriod::Month => "月",
                };
                format!(
                    "每{period}最多记录 {limit_minutes} 分钟，还剩 {left_minutes} 分钟，不足 {minutes} 分钟"
                )
            },
            metadata: [
                of(Resource::Programme, programme),
                vec![
                    ("period", period.word().to_ascii_uppercase()),
                    ("limit_minutes", limit_minutes.to_string()),
                    ("left_minutes", left_minutes.to_string()),
                    ("minutes", minutes.to_string()),
                    ("reset_time", reset_at.to_rfc3339()),
                ],
            ]
            .concat(),
        },
        Refusal::MemberDayExceeded {
            record,
            date,
            limit_minutes,
            left_minutes,
        } => Naming {
            code: Code::FailedPrecondition,
            reason: "MEMBER_DAY_EXCEEDED",
            text_zh: format!(
                "该成员 {date} 最多计 {limit_minutes} 分钟，服务记录 {record} 只剩 {left_minutes} 分钟可计"
            ),
            metadata: vec![
                ("service_record", record.to_string()),
                ("date", date.to_string()),
                ("limit_minutes", limit_minutes.to_string()),
                ("left_minutes", left_minutes.to_string()),
            ],
        },
        Refusal::EvidenceRequired { record, why } => Naming {
            code: Code::FailedPrecondition,
            reason: "EVIDENCE_REQUIRED",
            text_zh: {
                let why = match why {
                    EvidenceReason::Long => "时间较长",
                    EvidenceReason::Late => "为补录",
                };
                format!("服务记录 {record} {why}，须先补充佐证材料")
            },
            metadata: vec![
                ("service_record", record.to_string()),
                ("why", why.word().to_ascii_uppercase()),
            ],
        },
        Refusal::EvidenceLimit { record, limit } => Naming {
            code: Code::FailedPrecondition,
            reason: "EVIDENCE_LIMIT",
            text_zh: format!("服务记录 {record} 最多有 {limit} 份佐证材料"),
            metadata: vec![
                ("service_record", record.to_string()),
                ("limit", limit.to_string()),
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
        Refusal::TooManyDeeds { deeds, most } => Naming {
            code: Code::FailedPrecondition,
            reason: "TOO_MANY_DEEDS",
            text_zh: format!("这些日期内有 {deeds} 条已核定的服务，一次最多试算 {most} 条"),
            metadata: vec![("deeds", deeds.to_string()), ("most", most.to_string())],
        },
        Refusal::NoticeClassNotMutable { class } => Naming {
            code: Code::FailedPrecondition,
            reason: "NOTICE_CLASS_NOT_MUTABLE",
            text_zh: format!("{class} 类通知不能关闭"),
            metadata: vec![("class", class.clone())],
        },
        Refusal::AmountOutOfRange { record } => Naming {
            code: Code::FailedPrecondition,
            reason: "AMOUNT_OUT_OF_RANGE",
            text_zh: format!("服务记录 {record} 的积分超出可计算的范围"),
            metadata: vec![("service_record", record.to_string())],
        },
        Refusal::Report(refusal) => report_error::naming(refusal),
        Refusal::NotCash { programme, asset } => Naming {
            code: Code::FailedPrecondition,
            reason: "NOT_CASH",
            text_zh: format!("项目 {programme} 的资产是 {asset}，不是现金"),
            metadata: [
                of(Resource::Programme, programme),
                vec![("asset", asset.clone())],
            ]
            .concat(),
        },
        Refusal::NothingOwed { programme, minimum } => Naming {
            code: Code::FailedPrecondition,
            reason: "NOTHING_OWED",
            text_zh: format!("项目 {programme} 没有达到 {minimum} 分的待发奖励"),
            metadata: [
                of(Resource::Programme, programme),
                vec![("minimum", minimum.to_string())],
            ]
            .concat(),
        },
        Refusal::PayoutNotReady { payout } => Naming {
            code: Code::FailedPrecondition,
            reason: "PAYOUT_NOT_READY",
            text_zh: format!("发放名单 {payout} 还在冻结金额，请稍后再试"),
            metadata: of(Resource::Payout, payout),
        },
        Refusal::PayoutExpired { payout, expired_at } => Naming {
            code: Code::FailedPrecondition,
            reason: "PAYOUT_EXPIRED",
            text_zh: format!("发放名单 {payout} 已于 {expired_at} 过期，请重新生成名单"),
            metadata: [
                of(Resource::Payout, payout),
                vec![("expire_time", expired_at.to_rfc3339())],
            ]
            .concat(),
        },
        Refusal::PayoutHashMismatch { payout, hash } => Naming {
            code: Code::FailedPrecondition,
            reason: "PAYOUT_HASH_MISMATCH",
            text_zh: format!("校验值不符，发放名单 {payout} 的校验值是 {hash}"),
            metadata: [of(Resource::Payout, payout), vec![("hash", hash.clone())]].concat(),
        },
        Refusal::SelfPayout { payout, line } => Naming {
            code: Code::FailedPrecondition,
            reason: "SELF_PAYOUT",
            text_zh: format!("发放名单 {payout} 第 {line} 行是本人，须由他人确认"),
            metadata: of_line(payout, *line),
        },
        Refusal::OutcomeMissing { payout, line } => Naming {
            code: Code::FailedPrecondition,
            reason: "OUTCOME_MISSING",
            text_zh: format!("发放名单 {payout} 第 {line} 行没有填写结果"),
            metadata: of_line(payout, *line),
        },
        Refusal::OutcomeOfNoLine { payout, line } => Naming {
            code: Code::FailedPrecondition,
            reason: "OUTCOME_OF_NO_LINE",
            text_zh: format!("发放名单 {payout} 没有待发放的第 {line} 行"),
            metadata: of_line(payout, *line),
        },
    }
}

pub(super) fn of(resource: Resource, id: &Uuid) -> Vec<(&'static str, String)> {
    vec![
        ("resource", resource.word().to_owned()),
        ("id", id.to_string()),
    ]
}

fn of_line(payout: &Uuid, line: i32) -> Vec<(&'static str, String)> {
    [
        of(Resource::Payout, payout),
        vec![("line", line.to_string())],
    ]
    .concat()
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
        Resource::Notice => "通知",
        Resource::Report => "上报",
        Resource::Payout => "发放名单",
    }
}
