//! Errors as the caller gets them: a reason, a text in English and one in Chinese for the clerk, and the values behind them.

mod settlement;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use runtime::Reason;
use tonic::{Code, Status};

use crate::{
    Error,
    domain::{Audience, Inactive, Refusal, Resource},
};

/// When a queue that was full has room again, more or less.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// The domain of this service's errors.
pub(super) const DOMAIN: &str = "redemption.linli";

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => {
                let (reason, code) = reason(&refusal);
                runtime::refusal(Reason {
                    domain: DOMAIN,
                    reason,
                    code,
                    text_en: &text_en(&refusal),
                    text_zh: &text_zh(&refusal),
                    metadata: metadata(&refusal),
                    retry_after: None,
                })
            }
            Error::Unavailable(service) => runtime::unavailable(DOMAIN, service),
            Error::Busy => runtime::refusal(Reason {
                domain: DOMAIN,
                reason: "QUEUE_FULL",
                code: Code::ResourceExhausted,
                text_en: "too many requests wait for this community; try again shortly",
                text_zh: "请求过多，请稍后重试",
                metadata: vec![],
                retry_after: Some(RETRY_AFTER),
            }),
            Error::Conflict => runtime::aborted(DOMAIN),
            Error::Store(cause) if runtime::is_retryable(&cause) => runtime::aborted(DOMAIN),
            Error::Store(cause) if runtime::is_unavailable(&cause) => {
                tracing::warn!(error = %cause, "The database does not answer: {cause}");
                runtime::unavailable(DOMAIN, "database")
            }
            Error::Store(cause) => {
                tracing::error!(error = %cause, "The redemption store failed: {cause}");
                runtime::internal()
            }
            Error::Broken(what) => {
                tracing::error!("Redemption found what should never be: {what}");
                runtime::internal()
            }
        }
    }
}

/// The reason of a refusal and its code.
pub(super) fn reason(refusal: &Refusal) -> (&'static str, Code) {
    match refusal {
        Refusal::NotFound { .. } => ("RESOURCE_NOT_FOUND", Code::NotFound),
        Refusal::Exists { .. } => ("RESOURCE_EXISTS", Code::AlreadyExists),
        Refusal::NumberTaken { .. } => ("NUMBER_TAKEN", Code::AlreadyExists),
        Refusal::WrongState { .. } => ("WRONG_STATE", Code::FailedPrecondition),
        Refusal::PairingCodeInvalid => ("PAIRING_CODE_INVALID", Code::InvalidArgument),
        Refusal::PairingCodeExpired { .. } => ("PAIRING_CODE_EXPIRED", Code::FailedPrecondition),
        Refusal::PairingCodeUsed => ("PAIRING_CODE_USED", Code::FailedPrecondition),
        Refusal::TerminalRevoked => ("TERMINAL_REVOKED", Code::FailedPrecondition),
        Refusal::CertificateRequired { .. } => ("CERTIFICATE_REQUIRED", Code::FailedPrecondition),
        Refusal::MemberCodeInvalid => ("MEMBER_CODE_INVALID", Code::InvalidArgument),
        Refusal::MemberCodeExpired { .. } => ("MEMBER_CODE_EXPIRED", Code::FailedPrecondition),
        Refusal::MemberCodeUsed => ("MEMBER_CODE_USED", Code::FailedPrecondition),
        Refusal::PinWrong { .. } => ("PIN_WRONG", Code::FailedPrecondition),
        Refusal::CardBlocked => ("CARD_BLOCKED", Code::FailedPrecondition),
        Refusal::CardRevoked => ("CARD_REVOKED", Code::FailedPrecondition),
        Refusal::HandleExpired { .. } => ("MEMBER_HANDLE_EXPIRED", Code::FailedPrecondition),
        Refusal::NotYourStore => ("NOT_YOUR_STORE", Code::PermissionDenied),
        Refusal::OfflineCodesOff => ("OFFLINE_CODES_OFF", Code::FailedPrecondition),
        Refusal::TooManyOfflineCodes { .. } => ("TOO_MANY_OFFLINE_CODES", Code::FailedPrecondition),
        Refusal::OfflineCodeInvalid => ("OFFLINE_CODE_INVALID", Code::InvalidArgument),
        Refusal::OfflineCodeUsed { .. } => ("OFFLINE_CODE_USED", Code::FailedPrecondition),
        Refusal::OfflineCodeExpired { .. } => ("OFFLINE_CODE_EXPIRED", Code::FailedPrecondition),
        Refusal::AmountExceedsCode { .. } => ("AMOUNT_EXCEEDS_CODE", Code::FailedPrecondition),
        Refusal::SaleInFuture => ("SALE_IN_FUTURE", Code::FailedPrecondition),
        Refusal::MemberErased => ("MEMBER_ERASED", Code::FailedPrecondition),
        Refusal::CashProgramme => ("CASH_PROGRAMME", Code::FailedPrecondition),
        Refusal::MerchantSuspended { .. } => ("MERCHANT_SUSPENDED", Code::FailedPrecondition),
        Refusal::OfferNotActive(_) => ("OFFER_NOT_ACTIVE", Code::FailedPrecondition),
        Refusal::AudienceNotMatched { .. } => ("AUDIENCE_NOT_MATCHED", Code::FailedPrecondition),
        Refusal::OfferSoldOut { .. } => ("OFFER_SOLD_OUT", Code::FailedPrecondition),
        Refusal::MemberLimitReached { .. } => ("MEMBER_LIMIT_REACHED", Code::FailedPrecondition),
        Refusal::InsufficientPoints { .. } => ("INSUFFICIENT_POINTS", Code::FailedPrecondition),
        Refusal::HoldExpired { .. } => ("HOLD_EXPIRED", Code::FailedPrecondition),
        Refusal::AlreadyCaptured => ("ALREADY_CAPTURED", Code::FailedPrecondition),
        Refusal::AmountExceedsHeld { .. } => ("AMOUNT_EXCEEDS_HELD", Code::FailedPrecondition),
        Refusal::ReversalWindowClosed { .. } => {
            ("REVERSAL_WINDOW_CLOSED", Code::FailedPrecondition)
        }
        Refusal::QuantityExceedsCaptured { .. } => {
            ("QUANTITY_EXCEEDS_CAPTURED", Code::FailedPrecondition)
        }
        Refusal::Cancelled { .. } => ("CANCELLED", Code::FailedPrecondition),
        Refusal::RequestIdReused { .. } => ("REQUEST_ID_REUSED", Code::InvalidArgument),
        Refusal::StockTooLarge { .. } => ("STOCK_TOO_LARGE", Code::FailedPrecondition),
        Refusal::LedgerRefused { .. } => ("LEDGER_REFUSED", Code::FailedPrecondition),
        Refusal::Settlement(refusal) => settlement::reason(refusal),
    }
}

fn text_en(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotFound { resource, id } => format!("there is no {} {id}", english(*resource)),
        Refusal::Exists { resource, id } => {
            format!("there is a {} {id} already", english(*resource))
        }
        Refusal::NumberTaken { number } => format!("number {number} belongs to another merchant"),
        Refusal::WrongState {
            resource,
            id,
            state,
        } => format!("{} {id} is {}", english(*resource), upper(state)),
        Refusal::PairingCodeInvalid => "there is no such pairing code".into(),
        Refusal::PairingCodeExpired { expired_at } => {
            format!("the pairing code expired at {}", iso(*expired_at))
        }
        Refusal::PairingCodeUsed => "a till was paired with this code already".into(),
        Refusal::TerminalRevoked => "the terminal is revoked".into(),
        Refusal::CertificateRequired { store } => {
            format!("store {store} wants a client certificate, and the connection has none")
        }
        Refusal::MemberCodeInvalid => "there is no such member code or card".into(),
        Refusal::MemberCodeExpired { expired_at } => {
            format!("the member code expired at {}", iso(*expired_at))
        }
        Refusal::MemberCodeUsed => "the member code was used already".into(),
        Refusal::PinWrong { left } => format!("the PIN is wrong, {left} tries left"),
        Refusal::CardBlocked => "the card is blocked: too many wrong PINs in a row".into(),
        Refusal::CardRevoked => "the card is revoked".into(),
        Refusal::HandleExpired { expired_at } => {
            format!("the member handle expired at {}", iso(*expired_at))
        }
        Refusal::NotYourStore => "the member handle is of another merchant than the offer".into(),
        Refusal::OfflineCodesOff => "there are no offline codes here".into(),
        Refusal::TooManyOfflineCodes { most, have } => {
            format!("at most {most} offline codes at a time, {have} there already")
        }
        Refusal::OfflineCodeInvalid => {
            "it is not an offline code that was signed here for points of this kind".into()
        }
        Refusal::OfflineCodeUsed { sold_at } => {
            format!("the offline code has paid a sale of {}", iso(*sold_at))
        }
        Refusal::OfflineCodeExpired { expired_at } => format!(
            "the offline code counted until {}, for sales forwarded within 72 hours after that",
            iso(*expired_at)
        ),
        Refusal::AmountExceedsCode { worth, asked } => {
            format!("the offline code is worth {worth} points, the sale {asked}")
        }
        Refusal::SaleInFuture => "the sale is in the future: check the till's clock".into(),
        Refusal::MemberErased => "the member was erased".into(),
        Refusal::CashProgramme => "cash rewards are paid out, not spent".into(),
        Refusal::MerchantSuspended { state } => {
            format!("the merchant is {}", upper(state.as_str()))
        }
        Refusal::OfferNotActive(Inactive::State(state)) => {
            format!("the offer is {}", upper(state.as_str()))
        }
        Refusal::OfferNotActive(Inactive::Date { today, start, end }) => {
            format!("the offer runs from {start} to {end}, today is {today}")
        }
        Refusal::OfferNotActive(Inactive::Agreement { today }) => {
            format!("the merchant has no agreement for {today}")
        }
        Refusal::AudienceNotMatched { audience } => {
            format!(
                "the offer is for another audience: {}",
                upper(audience.as_str())
            )
        }
        Refusal::OfferSoldOut { left, asked } => format!("{left} left, {asked} asked for"),
        Refusal::MemberLimitReached {
            limit,
            taken,
            asked,
        } => format!("limit {limit} for each member, {taken} taken, {asked} asked for"),
        Refusal::InsufficientPoints {
            needed,
            available: Some(available),
        } => format!("{available} points available, {needed} needed"),
        Refusal::InsufficientPoints {
            needed,
            available: None,
        } => format!("too few points available, {needed} needed"),
        Refusal::HoldExpired { expired_at } => format!("the hold ended at {}", iso(*expired_at)),
        Refusal::AlreadyCaptured => "the redemption is captured already".into(),
        Refusal::AmountExceedsHeld { held, asked } => format!("{held} held, {asked} asked for"),
        Refusal::ReversalWindowClosed { until } => {
            format!("it could be reversed until {}", iso(*until))
        }
        Refusal::QuantityExceedsCaptured { left, asked } => {
            format!("{left} captured and not yet reversed, {asked} asked for")
        }
        Refusal::Cancelled { request_id } => {
            format!("request_id {request_id} was cancelled before this call came")
        }
        Refusal::RequestIdReused { request_id } => {
            format!("request_id {request_id} was used for another request")
        }
        Refusal::StockTooLarge { most } => format!("at most {most} can be in stock"),
        Refusal::LedgerRefused { reason } => format!("the ledger refused: {reason}"),
        Refusal::Settlement(refusal) => settlement::text_en(refusal),
    }
}

fn text_zh(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotFound { resource, id } => format!("找不到{} {id}", chinese(*resource)),
        Refusal::Exists { resource, id } => format!("{} {id} 已存在", chinese(*resource)),
        Refusal::NumberTaken { number } => format!("编号 {number} 已被其他商户使用"),
        Refusal::WrongState {
            resource, state, ..
        } => format!(
            "{}当前状态为 {},不能执行此操作",
            chinese(*resource),
            upper(state)
        ),
        Refusal::PairingCodeInvalid => "配对码不正确,请核对后重新输入".into(),
        Refusal::PairingCodeExpired { .. } => "配对码已过期,请重新生成".into(),
        Refusal::PairingCodeUsed => "该配对码已被使用,请重新生成".into(),
        Refusal::TerminalRevoked => "该终端已停用".into(),
        Refusal::CertificateRequired { .. } => "该门店要求终端使用证书,请先安装证书再配对".into(),
        Refusal::MemberCodeInvalid => "会员码不正确,请让会员刷新后重新出示".into(),
        Refusal::MemberCodeExpired { .. } => "会员码已过期,请让会员刷新后重新出示".into(),
        Refusal::MemberCodeUsed => "会员码已被使用,请让会员刷新后重新出示".into(),
        Refusal::PinWrong { left } => format!("密码不正确,还可以再试 {left} 次"),
        Refusal::CardBlocked => "密码多次错误,会员卡已锁定,请联系社区工作人员".into(),
        Refusal::CardRevoked => "会员卡已作废,请联系社区工作人员".into(),
        Refusal::HandleExpired { .. } => "会员识别已过期,请重新扫码".into(),
        Refusal::NotYourStore => "该会员是在其他商户识别的,请在本店重新扫码".into(),
        Refusal::OfflineCodesOff => "本平台未开通离线码".into(),
        Refusal::TooManyOfflineCodes { most, have } => {
            format!("离线码最多 {most} 个,现有 {have} 个")
        }
        Refusal::OfflineCodeInvalid => "不是本平台为该积分签发的离线码".into(),
        Refusal::OfflineCodeUsed { .. } => "该离线码已在另一笔交易中使用,本笔不予入账".into(),
        Refusal::OfflineCodeExpired { .. } => "离线码已过有效期或上传过晚,本笔不予入账".into(),
        Refusal::AmountExceedsCode { worth, asked } => {
            format!("离线码面值 {worth} 分,本笔 {asked} 分")
        }
        Refusal::SaleInFuture => "交易时间晚于当前时间,请校准收银机时钟".into(),
        Refusal::MemberErased => "该成员的个人信息已删除".into(),
        Refusal::CashProgramme => "现金奖励由社区发放,不能兑换".into(),
        Refusal::MerchantSuspended { .. } => "该商户已暂停或终止合作,暂不能兑换".into(),
        Refusal::OfferNotActive(Inactive::State(_)) => "该兑换项目未上架或已停止".into(),
        Refusal::OfferNotActive(Inactive::Date { today, start, end }) => {
            format!("兑换期为 {start} 至 {end},今天是 {today}")
        }
        Refusal::OfferNotActive(Inactive::Agreement { today }) => {
            format!("商户在 {today} 没有有效的合作协议")
        }
        Refusal::AudienceNotMatched { audience } => match audience {
            Audience::All => "该会员不在兑换对象之内".into(),
            Audience::Gig => "仅限快递员、外卖骑手和网约车司机兑换".into(),
            Audience::Senior => "仅限当年满 60 周岁及以上的居民兑换".into(),
        },
        Refusal::OfferSoldOut { left, asked } => {
            format!("库存不足:剩余 {left} 份,需要 {asked} 份")
        }
        Refusal::MemberLimitReached {
            limit,
            taken,
            asked,
        } => format!("每人限兑 {limit} 份,已兑 {taken} 份,本次 {asked} 份"),
        Refusal::InsufficientPoints {
            needed,
            available: Some(available),
        } => format!("积分不足:可用 {available},需要 {needed}"),
        Refusal::InsufficientPoints {
            needed,
            available: None,
        } => format!("积分不足:需要 {needed}"),
        Refusal::HoldExpired { .. } => "预留已过期,请重新下单".into(),
        Refusal::AlreadyCaptured => "该兑换已核销,请改用撤销".into(),
        Refusal::AmountExceedsHeld { held, asked } => {
            format!("超出预留数量:预留 {held} 份,核销 {asked} 份")
        }
        Refusal::ReversalWindowClosed { until } => {
            format!("已过可撤销期限({})", iso(*until))
        }
        Refusal::QuantityExceedsCaptured { left, asked } => {
            format!("超出可撤销数量:可撤销 {left} 份,申请 {asked} 份")
        }
        Refusal::Cancelled { .. } => "该请求已被取消,请用新的请求号重新下单".into(),
        Refusal::RequestIdReused { .. } => "请求号已用于其他请求,请换用新的请求号".into(),
        Refusal::StockTooLarge { most } => format!("库存最多 {most} 份"),
        Refusal::LedgerRefused { reason } => format!("积分账本拒绝了此操作:{reason}"),
        Refusal::Settlement(refusal) => settlement::text_zh(refusal),
    }
}

fn metadata(refusal: &Refusal) -> Vec<(&'static str, String)> {
    match refusal {
        Refusal::NotFound { resource, id } | Refusal::Exists { resource, id } => vec![
            ("resource", english(*resource).to_owned()),
            ("id", id.to_string()),
        ],
        Refusal::NumberTaken { number } => vec![("number", number.clone())],
        Refusal::WrongState {
            resource,
            id,
            state,
        } => vec![
            ("resource", english(*resource).to_owned()),
            ("id", id.to_string()),
            ("state", upper(state)),
        ],
        Refusal::PairingCodeInvalid
        | Refusal::PairingCodeUsed
        | Refusal::TerminalRevoked
        | Refusal::MemberErased
        | Refusal::CashProgramme
        | Refusal::MemberCodeInvalid
        | Refusal::MemberCodeUsed
        | Refusal::CardBlocked
        | Refusal::CardRevoked
        | Refusal::NotYourStore
        | Refusal::OfflineCodesOff
        | Refusal::OfflineCodeInvalid
        | Refusal::SaleInFuture => vec![],
        Refusal::CertificateRequired { store } => vec![("store", store.to_string())],
        Refusal::TooManyOfflineCodes { most, have } => {
            numbers([("most", i64::from(*most)), ("have", i64::from(*have))])
        }
        Refusal::OfflineCodeUsed { sold_at } => vec![("redeem_time", iso(*sold_at))],
        Refusal::AmountExceedsCode { worth, asked } => {
            numbers([("worth", *worth), ("asked", *asked)])
        }
        Refusal::PairingCodeExpired { expired_at }
        | Refusal::MemberCodeExpired { expired_at }
        | Refusal::HandleExpired { expired_at }
        | Refusal::OfflineCodeExpired { expired_at } => vec![("expire_time", iso(*expired_at))],
        Refusal::PinWrong { left } => numbers([("tries_left", i64::from(*left))]),
        Refusal::MerchantSuspended { state } => vec![("state", upper(state.as_str()))],
        Refusal::OfferNotActive(Inactive::State(state)) => {
            vec![("cause", "STATE".into()), ("state", upper(state.as_str()))]
        }
        Refusal::OfferNotActive(Inactive::Date { today, start, end }) => vec![
            ("cause", "DATE".into()),
            ("local_date", today.to_string()),
            ("start_date", start.to_string()),
            ("end_date", end.to_string()),
        ],
        Refusal::OfferNotActive(Inactive::Agreement { today }) => vec![
            ("cause", "AGREEMENT".into()),
            ("local_date", today.to_string()),
        ],
        Refusal::AudienceNotMatched { audience } => match audience {
            Audience::All | Audience::Gig => vec![("audience", upper(audience.as_str()))],
            Audience::Senior => {
                vec![("audience", "SENIOR".into()), ("from_age", "60".into())]
            }
        },
        Refusal::OfferSoldOut { left, asked } => numbers([("left", *left), ("asked", *asked)]),
        Refusal::MemberLimitReached {
            limit,
            taken,
            asked,
        } => numbers([("limit", *limit), ("taken", *taken), ("asked", *asked)]),
        Refusal::InsufficientPoints { needed, available } => numbers(
            [("needed", *needed)]
                .into_iter()
                .chain(available.map(|available| ("available", available))),
        ),
        Refusal::HoldExpired { expired_at } => vec![("expire_time", iso(*expired_at))],
        Refusal::AlreadyCaptured => vec![],
        Refusal::AmountExceedsHeld { held, asked } => numbers([("held", *held), ("asked", *asked)]),
        Refusal::ReversalWindowClosed { until } => vec![("reversible_until", iso(*until))],
        Refusal::QuantityExceedsCaptured { left, asked } => {
            numbers([("left", *left), ("asked", *asked)])
        }
        Refusal::Cancelled { request_id } | Refusal::RequestIdReused { request_id } => {
            vec![("request_id", request_id.to_string())]
        }
        Refusal::StockTooLarge { most } => numbers([("most", *most)]),
        Refusal::LedgerRefused { reason } => vec![("ledger_reason", reason.clone())],
        Refusal::Settlement(refusal) => settlement::metadata(refusal),
    }
}

fn numbers(values: impl IntoIterator<Item = (&'static str, i64)>) -> Vec<(&'static str, String)> {
    values
        .into_iter()
        .map(|(key, value)| (key, value.to_string()))
        .collect()
}

fn english(resource: Resource) -> &'static str {
    match resource {
        Resource::Merchant => "merchant",
        Resource::Agreement => "agreement",
        Resource::Offer => "offer",
        Resource::Redemption => "redemption",
        Resource::Member => "member",
        Resource::Programme => "programme",
        Resource::Store => "store",
        Resource::Terminal => "terminal",
        Resource::MemberCard => "member card",
        Resource::MemberHandle => "member handle",
        Resource::Settlement => "settlement",
    }
}

fn chinese(resource: Resource) -> &'static str {
    match resource {
        Resource::Merchant => "商户",
        Resource::Agreement => "协议",
        Resource::Offer => "兑换项目",
        Resource::Redemption => "兑换单",
        Resource::Member => "会员",
        Resource::Programme => "积分方案",
        Resource::Store => "门店",
        Resource::Terminal => "终端",
        Resource::MemberCard => "会员卡",
        Resource::MemberHandle => "会员识别",
        Resource::Settlement => "结算账户",
    }
}

fn upper(name: &str) -> String {
    name.to_uppercase()
}

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
