//! Errors as the contract names them: one arm a refusal, with its text for programs, in English and in Chinese.

mod roster;

use runtime::{Reason, Unreadable};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    Error,
    domain::{
        refusal::{Refusal, Resource},
        wish::MOST_OPEN_PLEDGES,
    },
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
            Error::Unreadable(cause) => unreadable(&cause),
            Error::AddressUnreadable { task } => runtime::refusal(Reason {
                domain: DOMAIN,
                reason: "PERSON_UNREADABLE",
                code: Code::DataLoss,
                text_en: &error.to_string(),
                text_zh: "该任务的地址已损坏，无法读取",
                metadata: vec![("task", task.to_string())],
                retry_after: None,
            }),
            Error::Unsettled => runtime::aborted(DOMAIN),
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

/// A replica that has a newer configuration may have the key; nobody can mend what was changed.
fn unreadable(cause: &Unreadable) -> Status {
    tracing::error!(error = %cause, "A person can't be read: {cause}");
    match cause {
        Unreadable::KeyMissing { .. } => runtime::unavailable(DOMAIN, "person key"),
        Unreadable::Damaged { kind, id } => runtime::refusal(Reason {
            domain: DOMAIN,
            reason: "PERSON_UNREADABLE",
            code: Code::DataLoss,
            text_en: &cause.to_string(),
            text_zh: "该服务对象的个人信息已损坏，无法读取",
            metadata: vec![("resource", kind.noun.to_owned()), ("id", id.to_string())],
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
        Refusal::Roster(refusal) => roster::naming(refusal),
        Refusal::DeliveryBegun { wish, delivered } => Naming {
            code: Code::FailedPrecondition,
            reason: "DELIVERY_BEGUN",
            text_zh: format!("心愿 {wish} 已交付 {delivered}，不能撤回"),
            metadata: about_wish(wish, [("delivered", delivered.to_string())]),
        },
        Refusal::InAnotherRound { wish, round } => Naming {
            code: Code::FailedPrecondition,
            reason: "IN_ANOTHER_ROUND",
            text_zh: format!("心愿 {wish} 已列入发布批次 {round}"),
            metadata: about_wish(wish, [("round", round.to_string())]),
        },
        Refusal::NotPublished { .. }
        | Refusal::WishClosed { .. }
        | Refusal::Covered { .. }
        | Refusal::TooManyPledges { .. }
        | Refusal::ExceedsUncovered { .. }
        | Refusal::OnlyMembersPledgePoints { .. }
        | Refusal::MemberErased { .. }
        | Refusal::InsufficientPoints { .. } => no_pledge(refusal),
        Refusal::CashProgramme { programme } => Naming {
            code: Code::FailedPrecondition,
            reason: "CASH_PROGRAMME",
            text_zh: format!("项目 {programme} 是现金奖励，由社区发放，不能用于心愿"),
            metadata: of(Resource::Programme, programme),
        },
        Refusal::LedgerRefused { reason } => Naming {
            code: Code::FailedPrecondition,
            reason: "LEDGER_REFUSED",
            text_zh: format!("账本拒绝了该操作：{reason}"),
            metadata: vec![("ledger_reason", reason.clone())],
        },
        Refusal::PledgerConfirms { pledge } => Naming {
            code: Code::FailedPrecondition,
            reason: "PLEDGER_CONFIRMS",
            text_zh: format!("认领 {pledge} 不能由认领人本人确认"),
            metadata: of(Resource::Pledge, pledge),
        },
        Refusal::ConfirmationBegun { pledge } => Naming {
            code: Code::FailedPrecondition,
            reason: "CONFIRMATION_BEGUN",
            text_zh: format!("认领 {pledge} 正在确认"),
            metadata: of(Resource::Pledge, pledge),
        },
        Refusal::PledgerReverses { pledge } => Naming {
            code: Code::FailedPrecondition,
            reason: "PLEDGER_REVERSES",
            text_zh: format!("认领 {pledge} 不能由认领人本人冲正"),
            metadata: of(Resource::Pledge, pledge),
        },
        Refusal::SupplierWithoutPoints { .. }
        | Refusal::SupplierWithoutAccount { .. }
        | Refusal::ValueRequired { .. }
        | Refusal::ValueAboveCeiling { .. } => no_wish(refusal),
        Refusal::CloseTimeOver { closes_at } => Naming {
            code: Code::FailedPrecondition,
            reason: "CLOSE_TIME_OVER",
            text_zh: format!("截止时间 {closes_at} 已过"),
            metadata: vec![("close_time", closes_at.to_rfc3339())],
        },
    }
}

/// Why a wish is not written down, or not published.
fn no_wish(refusal: &Refusal) -> Naming {
    let (reason, text_zh, metadata) = match refusal {
        Refusal::SupplierWithoutPoints { merchant } => (
            "SUPPLIER_WITHOUT_POINTS",
            format!("心愿不以积分计，不能指定供货商户 {merchant}"),
            vec![("merchant", merchant.to_string())],
        ),
        Refusal::SupplierWithoutAccount {
            merchant,
            programme,
        } => (
            "SUPPLIER_WITHOUT_ACCOUNT",
            format!("商户 {merchant} 在项目 {programme} 中没有账户，发布首个兑换项目时才会开立"),
            vec![
                ("merchant", merchant.to_string()),
                ("programme", programme.to_string()),
            ],
        ),
        Refusal::ValueRequired { wish, ceiling } => (
            "VALUE_REQUIRED",
            format!("心愿 {wish} 没有估价，价值上限为 {ceiling} 分"),
            about_wish(wish, [("ceiling", ceiling.to_string())]),
        ),
        Refusal::ValueAboveCeiling {
            wish,
            ceiling,
            value,
        } => (
            "VALUE_ABOVE_CEILING",
            format!("心愿 {wish} 估价 {value} 分，超过价值上限 {ceiling} 分"),
            about_wish(
                wish,
                [
                    ("ceiling", ceiling.to_string()),
                    ("value", value.to_string()),
                ],
            ),
        ),
        other => unreachable!("{other:?} is about no wish"),
    };
    Naming {
        code: Code::FailedPrecondition,
        reason,
        text_zh,
        metadata,
    }
}

/// Why nothing more, or not so much, or not by them, can be pledged.
fn no_pledge(refusal: &Refusal) -> Naming {
    let (reason, text_zh, metadata) = match refusal {
        Refusal::NotPublished { wish, state } => (
            "WISH_NOT_PUBLISHED",
            format!("心愿 {wish} 尚未发布"),
            about_wish(wish, [("state", state.clone())]),
        ),
        Refusal::WishClosed { wish, state } => (
            "WISH_CLOSED",
            format!("心愿 {wish} 已结束认领"),
            about_wish(wish, [("state", state.clone())]),
        ),
        Refusal::Covered { wish, target } => (
            "WISH_COVERED",
            format!("心愿 {wish} 已全部被认领"),
            about_wish(wish, [("target", target.to_string())]),
        ),
        Refusal::ExceedsUncovered {
            wish,
            uncovered,
            quantity,
        } => (
            "EXCEEDS_UNCOVERED",
            format!("心愿 {wish} 还缺 {uncovered}，认领了 {quantity}"),
            about_wish(
                wish,
                [
                    ("uncovered", uncovered.to_string()),
                    ("quantity", quantity.to_string()),
                ],
            ),
        ),
        Refusal::TooManyPledges { wish } => (
            "TOO_MANY_PLEDGES",
            format!("心愿 {wish} 的有效认领已达 {MOST_OPEN_PLEDGES} 笔上限"),
            about_wish(wish, [("most", MOST_OPEN_PLEDGES.to_string())]),
        ),
        Refusal::OnlyMembersPledgePoints { wish } => (
            "ONLY_MEMBERS_PLEDGE_POINTS",
            format!("心愿 {wish} 以积分计，只有成员可以认领"),
            about_wish(wish, []),
        ),
        Refusal::MemberErased { member } => (
            "MEMBER_ERASED",
            format!("成员 {member} 的个人信息已删除"),
            of(Resource::Member, member),
        ),
        Refusal::InsufficientPoints { needed, available } => (
            "INSUFFICIENT_POINTS",
            match available {
                Some(available) => format!("认领需要 {needed} 积分，可用 {available}"),
                None => format!("认领需要 {needed} 积分，可用积分不足"),
            },
            [
                vec![("needed", needed.to_string())],
                available
                    .map(|available| ("available", available.to_string()))
                    .into_iter()
                    .collect(),
            ]
            .concat(),
        ),
        other => unreachable!("{other:?} is about no pledge"),
    };
    Naming {
        code: Code::FailedPrecondition,
        reason,
        text_zh,
        metadata,
    }
}

fn about_wish<const N: usize>(
    wish: &Uuid,
    more: [(&'static str, String); N],
) -> Vec<(&'static str, String)> {
    [vec![("wish", wish.to_string())], more.to_vec()].concat()
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
        Resource::Member => "成员",
        Resource::Wish => "心愿",
        Resource::Round => "发布批次",
        Resource::Pledge => "认领",
        Resource::Beneficiary => "服务对象",
        Resource::Visit => "走访",
        Resource::Dispatch => "派单",
        Resource::DonationDrive => "捐赠活动",
        Resource::Allotment => "分配",
    }
}
