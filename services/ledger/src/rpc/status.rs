//! Errors as gRPC statuses, one arm a refusal.

use std::{collections::HashMap, time::Duration};

use proto::ledger::v1 as pb;
use runtime::{Reason, aborted, internal, is_retryable, is_unavailable, refusal, unavailable};
use tonic::{Code, Status};

use super::DOMAIN;
use crate::{Error, domain::Refusal};

/// A full queue is worked off in about this time.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// An entry is sealed in about this time.
const SEALED_AFTER: Duration = Duration::from_secs(1);

/// The status of a failed use case. The cause of a store's failure is logged here and never sent.
pub fn status(error: Error) -> Status {
    match error {
        Error::Refused(refused) => refused_status(&refused),
        Error::StaleEtag => aborted(DOMAIN),
        Error::Busy => refusal(Reason {
            domain: DOMAIN,
            reason: "QUEUE_FULL",
            code: Code::ResourceExhausted,
            text_en: "too many requests wait for this community; try again shortly",
            text_zh: "请求过多，请稍后重试",
            metadata: vec![],
            retry_after: Some(RETRY_AFTER),
        }),
        Error::Interrupted => unavailable(DOMAIN, "the ledger's database"),
        Error::Broken => internal(),
        Error::HistoryChanged { .. } => {
            tracing::error!(error = %error, "{error}");
            internal()
        }
        Error::ProofNotKept => proof_refusal(
            "PROOF_NOT_KEPT",
            Code::FailedPrecondition,
            &error,
            "该账本未配置密钥，不提供证明",
        ),
        Error::NoCheckpoint => proof_refusal(
            "CHECKPOINT_NOT_FOUND",
            Code::NotFound,
            &error,
            "检查点不存在",
        ),
        Error::NotSealed { .. } => refusal(Reason {
            domain: DOMAIN,
            reason: "ENTRY_NOT_SEALED",
            code: Code::Unavailable,
            text_en: &error.to_string(),
            text_zh: "该分录尚未封存，请稍后重试",
            metadata: vec![],
            retry_after: Some(SEALED_AFTER),
        }),
        Error::Store(cause) if is_retryable(&cause) => aborted(DOMAIN),
        Error::Store(cause) if is_unavailable(&cause) => {
            tracing::warn!(error = %cause, "ledger store unavailable: {cause}");
            unavailable(DOMAIN, "the ledger's database")
        }
        Error::Store(cause) => {
            tracing::error!(error = %cause, "ledger store failed: {cause}");
            internal()
        }
    }
}

/// The same facts inside a verdict.
pub fn refusal_message(refused: &Refusal) -> pb::Refusal {
    let metadata: HashMap<String, String> = metadata(refused)
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    pb::Refusal {
        reason: reason(refused).0.to_owned(),
        message: refused.to_string(),
        metadata,
    }
}

fn proof_refusal(reason: &'static str, code: Code, error: &Error, text_zh: &'static str) -> Status {
    refusal(Reason {
        domain: DOMAIN,
        reason,
        code,
        text_en: &error.to_string(),
        text_zh,
        metadata: vec![],
        retry_after: None,
    })
}

fn refused_status(refused: &Refusal) -> Status {
    let (reason, code, text_zh) = reason(refused);
    refusal(Reason {
        domain: DOMAIN,
        reason,
        code,
        text_en: &refused.to_string(),
        text_zh,
        metadata: metadata(refused),
        retry_after: None,
    })
}

fn reason(refused: &Refusal) -> (&'static str, Code, &'static str) {
    use Code::{AlreadyExists, FailedPrecondition, InvalidArgument, NotFound};
    match refused {
        Refusal::AccountNotFound { .. } => ("ACCOUNT_NOT_FOUND", NotFound, "账户不存在"),
        Refusal::AssetMismatch { .. } => (
            "ASSET_MISMATCH",
            FailedPrecondition,
            "两个账户的资产或项目不同",
        ),
        Refusal::InsufficientPoints { .. } => {
            ("INSUFFICIENT_POINTS", FailedPrecondition, "可用积分不足")
        }
        Refusal::LimitExceeded { .. } => ("LIMIT_EXCEEDED", FailedPrecondition, "超出账户限额"),
        Refusal::LotExpired { .. } => ("LOT_EXPIRED", FailedPrecondition, "积分到期时间已过"),
        Refusal::LotsNotKept { .. } => (
            "LOTS_NOT_KEPT",
            FailedPrecondition,
            "该账户不支持有期限的积分",
        ),
        Refusal::LotsOnBothSides => (
            "LOTS_ON_BOTH_SIDES",
            FailedPrecondition,
            "有期限的积分不能转给同类账户",
        ),
        Refusal::NotAnotherAccount { .. } => (
            "NOT_ANOTHER_ACCOUNT",
            FailedPrecondition,
            "收款账户须不同于预留的两个账户",
        ),
        Refusal::LinkedTransferFailed => (
            "LINKED_TRANSFER_FAILED",
            FailedPrecondition,
            "关联的转账未成功",
        ),
        Refusal::RequestIdReused { .. } => (
            "REQUEST_ID_REUSED",
            InvalidArgument,
            "请求编号已用于其他请求",
        ),
        Refusal::HoldNotFound { .. } => ("HOLD_NOT_FOUND", NotFound, "冻结不存在"),
        Refusal::HoldExpired { .. } => ("HOLD_EXPIRED", FailedPrecondition, "冻结已到期"),
        Refusal::HoldNotExpired { .. } => ("HOLD_NOT_EXPIRED", FailedPrecondition, "冻结尚未到期"),
        Refusal::HoldClosed { .. } => ("HOLD_CLOSED", FailedPrecondition, "冻结已结束"),
        Refusal::AmountExceedsHeld { .. } => (
            "AMOUNT_EXCEEDS_HELD",
            FailedPrecondition,
            "金额超过冻结余额",
        ),
        Refusal::EntryNotFound { .. } => ("ENTRY_NOT_FOUND", NotFound, "分录不存在"),
        Refusal::NotReversible { .. } => ("NOT_REVERSIBLE", FailedPrecondition, "该分录不能冲正"),
        Refusal::AmountExceedsOriginal { .. } => (
            "AMOUNT_EXCEEDS_ORIGINAL",
            FailedPrecondition,
            "冲正金额超过原金额",
        ),
        Refusal::AssetExists { .. } => ("ASSET_EXISTS", AlreadyExists, "资产已存在且精度不同"),
        Refusal::AssetNotFound { .. } => ("ASSET_NOT_FOUND", NotFound, "资产不存在"),
        Refusal::AccountExists { .. } => ("ACCOUNT_EXISTS", AlreadyExists, "账户已存在且定义不同"),
        Refusal::LotsNeedMinBalance => (
            "LOTS_NEED_MIN_BALANCE",
            FailedPrecondition,
            "有期限积分的账户余额下限须不小于零",
        ),
    }
}

fn metadata(refused: &Refusal) -> Vec<(&'static str, String)> {
    match refused {
        Refusal::AccountNotFound { account }
        | Refusal::AccountExists { account }
        | Refusal::LotsNotKept { account }
        | Refusal::NotAnotherAccount { account } => {
            vec![("account", account.0.to_string())]
        }
        Refusal::AssetMismatch { debit, credit } => {
            vec![("debit", debit.clone()), ("credit", credit.clone())]
        }
        Refusal::InsufficientPoints { available, asked } => {
            vec![
                ("available", available.to_string()),
                ("asked", asked.to_string()),
            ]
        }
        Refusal::LimitExceeded { room, asked } => {
            vec![("room", room.to_string()), ("asked", asked.to_string())]
        }
        Refusal::LotExpired { expire_time, now }
        | Refusal::HoldExpired { expire_time, now }
        | Refusal::HoldNotExpired { expire_time, now } => {
            vec![
                ("expire_time", expire_time.to_rfc3339()),
                ("now", now.to_rfc3339()),
            ]
        }
        Refusal::LotsOnBothSides | Refusal::LinkedTransferFailed | Refusal::LotsNeedMinBalance => {
            vec![]
        }
        Refusal::RequestIdReused { request_id } => vec![("request_id", request_id.to_string())],
        Refusal::HoldNotFound { hold } => vec![("hold", hold.to_string())],
        Refusal::HoldClosed { captured, released } => {
            vec![
                ("captured", captured.to_string()),
                ("released", released.to_string()),
            ]
        }
        Refusal::AmountExceedsHeld { held, asked } => {
            vec![("held", held.to_string()), ("asked", asked.to_string())]
        }
        Refusal::EntryNotFound { sequence } | Refusal::NotReversible { sequence } => {
            vec![("entry", sequence.to_string())]
        }
        Refusal::AmountExceedsOriginal { reversible, asked } => {
            vec![
                ("reversible", reversible.to_string()),
                ("asked", asked.to_string()),
            ]
        }
        Refusal::AssetExists { asset, exponent } => {
            vec![("asset", asset.clone()), ("exponent", exponent.to_string())]
        }
        Refusal::AssetNotFound { asset } => vec![("asset", asset.clone())],
    }
}
