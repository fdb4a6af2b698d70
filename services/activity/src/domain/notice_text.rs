//! What notices say, in Chinese and English.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::{
    notice::{CardEvent, Content, DispatchMove, PledgeMove, Points, Unit},
    report::EventKind,
};

impl Unit {
    /// `12.34 CNY`.
    fn amount(&self, amount: i64) -> String {
        let places = usize::from(self.exponent.unsigned_abs());
        let digits = format!("{amount:0>width$}", width = places + 1);
        let (whole, rest) = digits.split_at(digits.len() - places);
        let point = if rest.is_empty() { "" } else { "." };
        format!("{whole}{point}{rest} {}", self.asset)
    }

    /// The local date of an instant, with the time of day, as in 15:30, unless that is its start: points given by hand expire at any time.
    fn local(&self, at: DateTime<Utc>) -> (NaiveDate, Option<String>) {
        let local = at.with_timezone(&self.time_zone).naive_local();
        let time = local.format("%H:%M").to_string();
        (
            local.date(),
            (local.time() != NaiveTime::MIN).then_some(time),
        )
    }
}

impl Points {
    fn text(&self) -> String {
        self.unit.amount(self.amount)
    }
}

impl Content {
    /// The whole in Chinese.
    pub fn text_zh(&self) -> String {
        match self {
            Self::ExpiryAhead {
                unit,
                amount,
                held,
                expires_at,
                ..
            } => {
                let amount = unit.amount(*amount);
                let time = match unit.local(*expires_at) {
                    (date, None) => format!("{date} 零时"),
                    (date, Some(time)) => format!("{date} {time} "),
                };
                let held = match held {
                    0 => String::new(),
                    held => format!("，其中 {} 已被预留", unit.amount(*held)),
                };
                format!("您有 {amount} 将于 {time}到期{held}，到期后不能再使用。")
            }
            Self::ExpiryDone {
                unit,
                amount,
                expires_at,
                entry,
                ..
            } => {
                let amount = unit.amount(*amount);
                let time = match unit.local(*expires_at) {
                    (date, None) => date.to_string(),
                    (date, Some(time)) => format!("{date} {time}"),
                };
                format!("您有 {amount} 已于 {time} 到期，账目编号 {entry}。")
            }
            Self::ReportMoved { category, what, .. } => {
                format!("您上报的问题（{category}）{}。", moved(*what).0)
            }
            Self::GrantRevoked {
                unit,
                amount,
                taken,
                ..
            } => {
                let (amount, taken) = (unit.amount(*amount), unit.amount(*taken));
                format!(
                    "您的一笔奖励（{amount}）已被撤回，实际收回 {taken}，原因见对应的服务或上报记录。"
                )
            }
            Self::PointsTaken {
                unit,
                amount,
                reason,
                ..
            } => {
                let amount = unit.amount(*amount);
                format!("社区经两人审批，从您的账户扣回了 {amount}。原因：{reason}")
            }
            Self::RedemptionReversed {
                title,
                points,
                quantity,
                is_whole,
                ..
            } => {
                let amount = points.text();
                let rest = if *is_whole { "" } else { "，其余未退" };
                format!("您兑换的“{title}”已退回 {quantity} 份，{amount} 已按原有效期退回{rest}。")
            }
            Self::RedemptionAssisted { title, points, .. } => {
                let amount = points.text();
                format!(
                    "工作人员未用您的付款码或卡，代您兑换了“{title}”，支付 {amount}。如非您本人要求，请联系社区。"
                )
            }
            Self::CardChanged { what, .. } => {
                format!("{}如非您本人要求，请联系社区。", card(*what).0)
            }
            Self::PledgeMoved {
                title, what, back, ..
            } => {
                let back = match back {
                    Some(points) => format!("，{} 已按原有效期退回", points.text()),
                    None => String::new(),
                };
                format!("您认领的微心愿“{title}”{}{back}。", pledge(*what).0)
            }
            Self::DispatchMoved { title, what, .. } => dispatch(*what, title).0,
            Self::Unknown => "您有一条新消息，请更新应用后查看。".to_owned(),
        }
    }

    /// The same in English.
    pub fn text_en(&self) -> String {
        match self {
            Self::ExpiryAhead {
                unit,
                amount,
                held,
                expires_at,
                ..
            } => {
                let amount = unit.amount(*amount);
                let time = match unit.local(*expires_at) {
                    (date, None) => format!("the start of {date}"),
                    (date, Some(time)) => format!("{date} {time}"),
                };
                let held = match held {
                    0 => String::new(),
                    held => format!(", {} of it reserved", unit.amount(*held)),
                };
                format!("{amount} will expire at {time}{held}. From then on it can't be spent.")
            }
            Self::ExpiryDone {
                unit,
                amount,
                expires_at,
                entry,
                ..
            } => {
                let amount = unit.amount(*amount);
                let time = match unit.local(*expires_at) {
                    (date, None) => format!("on {date}"),
                    (date, Some(time)) => format!("at {date} {time}"),
                };
                format!("{amount} expired {time}, entry {entry}.")
            }
            Self::ReportMoved { category, what, .. } => {
                format!(
                    "The problem that you reported ({category}) {}.",
                    moved(*what).1
                )
            }
            Self::GrantRevoked {
                unit,
                amount,
                taken,
                ..
            } => {
                let (amount, taken) = (unit.amount(*amount), unit.amount(*taken));
                format!(
                    "A reward of {amount} was revoked, {taken} of it taken back. The service record or report says why."
                )
            }
            Self::PointsTaken {
                unit,
                amount,
                reason,
                ..
            } => {
                let amount = unit.amount(*amount);
                format!(
                    "The community took {amount} from your account; two people stand for that. Why: {reason}"
                )
            }
            Self::RedemptionReversed {
                title,
                points,
                quantity,
                is_whole,
                ..
            } => {
                let amount = points.text();
                let rest = if *is_whole { "" } else { " The rest stands." };
                format!(
                    "{quantity} of \"{title}\" were given back; {amount} went back to you, to expire when they would have.{rest}"
                )
            }
            Self::RedemptionAssisted { title, points, .. } => {
                let amount = points.text();
                format!(
                    "Staff bought \"{title}\" for you for {amount}, without your code or card. If you did not ask for it, tell the community."
                )
            }
            Self::CardChanged { what, .. } => {
                format!(
                    "{} If you did not ask for it, tell the community.",
                    card(*what).1
                )
            }
            Self::PledgeMoved {
                title, what, back, ..
            } => {
                let back = match back {
                    Some(points) => format!(
                        "; {} went back to you, to expire when they would have",
                        points.text()
                    ),
                    None => String::new(),
                };
                format!(
                    "Your pledge to the wish \"{title}\" {}{back}.",
                    pledge(*what).1
                )
            }
            Self::DispatchMoved { title, what, .. } => dispatch(*what, title).1,
            Self::Unknown => "There is news for you that this version can't show.".to_owned(),
        }
    }
}

/// What has become of a report, in Chinese and English.
fn moved(what: EventKind) -> (&'static str, &'static str) {
    match what {
        EventKind::Accepted => ("已受理", "was accepted"),
        EventKind::Rejected => (
            "未被受理，原因见上报记录",
            "was not accepted; the report says why",
        ),
        EventKind::Abuse => (
            "被认定为不实上报，原因见上报记录",
            "was found to be abusive; the report says why",
        ),
        EventKind::Duplicate => (
            "与更早的上报是同一件事，可以关注那一件的进展",
            "is the same as an earlier one, which can be followed",
        ),
        EventKind::Referred => (
            "已转交其他单位，单位名称见上报记录",
            "was referred to another office, which the report names",
        ),
        EventKind::Started => ("已开始处理", "is being worked on"),
        EventKind::Resolved => (
            "已处理完毕；如未解决，可以在期限内重新打开",
            "was resolved; if it is not, it can be reopened for some days",
        ),
        EventKind::Closed => ("已办结", "was closed"),
        EventKind::Submitted
        | EventKind::Detail
        | EventKind::Assigned
        | EventKind::HandedBack
        | EventKind::Progress
        | EventKind::Reopened
        | EventKind::Rated
        | EventKind::Visibility => ("有新的进展", "goes on"),
    }
}

/// What has become of a card, in Chinese and English.
fn card(what: CardEvent) -> (&'static str, &'static str) {
    match what {
        CardEvent::Created => (
            "为您制作了新的兑换卡，旧卡已失效。",
            "A new card was made for you; the one before counts no more.",
        ),
        CardEvent::PinReset => ("您的兑换卡密码已重置。", "Your card has a new PIN."),
        CardEvent::Blocked => (
            "您的兑换卡因多次输错密码已被锁定。",
            "Your card is blocked: its PIN was wrong too often.",
        ),
        CardEvent::Revoked => ("您的兑换卡已注销。", "Your card was revoked."),
    }
}

/// What has become of a pledge, in Chinese and English.
fn pledge(what: PledgeMove) -> (&'static str, &'static str) {
    match what {
        PledgeMove::Confirmed => ("已确认完成，谢谢您", "was confirmed: thank you"),
        PledgeMove::Refused => (
            "的交付未被接受，请重新交付，原因见认领记录",
            "was not accepted as delivered; the pledge says why",
        ),
        PledgeMove::Revoked => ("已被社区取消", "was ended by the community"),
        PledgeMove::Lapsed => ("已过期，认领失效", "lapsed: the time of the wish is over"),
        PledgeMove::Reversed => ("在确认后被撤销", "was reversed"),
    }
}

/// What has become of a dispatch, in Chinese and English.
fn dispatch(what: DispatchMove, title: &str) -> (String, String) {
    match what {
        DispatchMove::Issued => (
            format!("请您帮忙办理微心愿“{title}”，请接受或谢绝。"),
            format!("You are asked to help with the wish \"{title}\": accept or decline."),
        ),
        DispatchMove::Expired => (
            format!("您未在期限内答复微心愿“{title}”，已不再派给您。"),
            format!(
                "You did not answer about the wish \"{title}\" in time; it is not yours to do."
            ),
        ),
        DispatchMove::Withdrawn => (
            format!("微心愿“{title}”已不再派给您。"),
            format!("You are not asked to help with the wish \"{title}\" any more."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn unit(asset: &str, exponent: i16) -> Unit {
        Unit {
            asset: asset.to_owned(),
            exponent,
            time_zone: Tz::Asia__Shanghai,
        }
    }

    #[test]
    fn a_notice_tells_how_much_and_when_in_local_days() {
        let ahead = Content::ExpiryAhead {
            programme: Uuid::from_u128(1),
            account: Uuid::from_u128(2),
            unit: unit("points", 0),
            amount: 120,
            held: 20,
            expires_at: at("2024-11-30T16:00:00Z"),
            days: 30,
        };
        assert_eq!(
            ahead.text_zh(),
            "您有 120 points 将于 2024-12-01 零时到期，其中 20 points 已被预留，到期后不能再使用。"
        );
        assert_eq!(
            ahead.text_en(),
            "120 points will expire at the start of 2024-12-01, 20 points of it reserved. From then on it can't be spent."
        );
        let done = Content::ExpiryDone {
            programme: Uuid::from_u128(1),
            unit: unit("CNY", 2),
            amount: 5,
            expires_at: at("2024-11-30T16:00:00Z"),
            entry: 7,
        };
        assert_eq!(
            done.text_zh(),
            "您有 0.05 CNY 已于 2024-12-01 到期，账目编号 7。"
        );
        assert_eq!(done.text_en(), "0.05 CNY expired on 2024-12-01, entry 7.");
    }

    #[test]
    fn what_expires_within_a_day_says_when() {
        let expires_at = at("2024-11-30T07:30:00Z");
        let ahead = Content::ExpiryAhead {
            programme: Uuid::from_u128(1),
            account: Uuid::from_u128(2),
            unit: unit("points", 0),
            amount: 5,
            held: 0,
            expires_at,
            days: 1,
        };
        assert_eq!(
            ahead.text_zh(),
            "您有 5 points 将于 2024-11-30 15:30 到期，到期后不能再使用。"
        );
        assert_eq!(
            ahead.text_en(),
            "5 points will expire at 2024-11-30 15:30. From then on it can't be spent."
        );
        let done = Content::ExpiryDone {
            programme: Uuid::from_u128(1),
            unit: unit("points", 0),
            amount: 5,
            expires_at,
            entry: 7,
        };
        assert_eq!(
            done.text_zh(),
            "您有 5 points 已于 2024-11-30 15:30 到期，账目编号 7。"
        );
        assert_eq!(
            done.text_en(),
            "5 points expired at 2024-11-30 15:30, entry 7."
        );
    }
}
