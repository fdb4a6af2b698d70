//! What members are told: that points will expire, that they have, how what they reported goes on. What a notice says is kept as values; its text is made of them when it is read.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    programme::Programme,
    refusal::Refusal,
    report::{EventKind, Report, ReportEvent},
};

/// What a member may mute, or not.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum NoticeClass {
    Report,
    Wish,
    Expiry,
    Reversal,
    Security,
}

impl NoticeClass {
    /// As the contract writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Report => "REPORT",
            Self::Wish => "WISH",
            Self::Expiry => "EXPIRY",
            Self::Reversal => "REVERSAL",
            Self::Security => "SECURITY",
        }
    }

    /// What takes points away, or could, is told to everyone.
    pub fn require_mutable(self) -> Result<(), Refusal> {
        match self {
            Self::Report | Self::Wish => Ok(()),
            Self::Expiry | Self::Reversal | Self::Security => Err(Refusal::NoticeClassNotMutable {
                class: self.word().to_owned(),
            }),
        }
    }
}

/// What a notice says. A further kind is a variant here with its texts, and a message in the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Points will expire.
    ExpiryAhead {
        programme: Uuid,
        account: Uuid,
        unit: Unit,
        /// What was there, held points included.
        amount: i64,
        /// What of it was held.
        held: i64,
        expires_at: DateTime<Utc>,
        /// The step it is for.
        days: i32,
    },
    /// Points have expired.
    ExpiryDone {
        programme: Uuid,
        unit: Unit,
        amount: i64,
        expires_at: DateTime<Utc>,
        /// Sequence of the ledger's entry.
        entry: i64,
    },
    /// Something happened to a report.
    ReportMoved {
        report: Uuid,
        category: String,
        what: EventKind,
        /// Number of the event.
        event: i64,
    },
}

/// In what amounts and dates of a programme are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    pub asset: String,
    pub exponent: i16,
    pub time_zone: Tz,
}

/// Something to tell a member, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotice {
    pub id: Uuid,
    pub member: Uuid,
    pub content: Content,
}

/// Something that a member was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub id: Uuid,
    pub member: Uuid,
    pub class: NoticeClass,
    /// Name of the resource it is about.
    pub subject: String,
    pub content: Content,
    pub created_at: DateTime<Utc>,
    pub read_at: Option<DateTime<Utc>>,
}

impl Unit {
    /// Of a programme.
    pub fn of(programme: &Programme) -> Self {
        Self {
            asset: programme.asset.clone(),
            exponent: programme.exponent,
            time_zone: programme.time_zone,
        }
    }

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

impl Content {
    /// What a member may mute it by.
    pub fn class(&self) -> NoticeClass {
        match self {
            Self::ExpiryAhead { .. } | Self::ExpiryDone { .. } => NoticeClass::Expiry,
            Self::ReportMoved { .. } => NoticeClass::Report,
        }
    }

    /// What the text is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ExpiryAhead { .. } => "expiry_ahead",
            Self::ExpiryDone { .. } => "expiry_done",
            Self::ReportMoved { .. } => "report_moved",
        }
    }

    /// Name of the resource it is about, within its community.
    pub fn subject(&self) -> String {
        match self {
            Self::ExpiryAhead { account, .. } => format!("accounts/{account}"),
            Self::ExpiryDone { entry, .. } => format!("entries/{entry}"),
            Self::ReportMoved { report, .. } => format!("reports/{report}"),
        }
    }

    /// Two with the same key tell a member the same thing.
    pub fn dedupe_key(&self) -> String {
        match self {
            Self::ExpiryAhead {
                account,
                expires_at,
                days,
                ..
            } => format!(
                "expiry-ahead/{account}/{}/{days}",
                expires_at.timestamp_micros()
            ),
            Self::ExpiryDone { entry, .. } => format!("expiry-done/{entry}"),
            Self::ReportMoved { report, event, .. } => format!("report/{report}/{event}"),
        }
    }

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

/// What a report's reporter is told of an event that is not their own; `None`: nothing.
pub fn of_report(report: &Report, event: &ReportEvent) -> Option<Content> {
    let is_told = match event.kind {
        EventKind::Accepted
        | EventKind::Rejected
        | EventKind::Abuse
        | EventKind::Duplicate
        | EventKind::Referred
        | EventKind::Started
        | EventKind::Progress
        | EventKind::Resolved
        | EventKind::Closed => event.actor.is_some(),
        EventKind::Submitted
        | EventKind::Detail
        | EventKind::Assigned
        | EventKind::HandedBack
        | EventKind::Reopened
        | EventKind::Rated
        | EventKind::Visibility => false,
    };
    is_told.then(|| Content::ReportMoved {
        report: report.id,
        category: report.category.clone(),
        what: event.kind,
        event: event.number,
    })
}

/// The step that applies to what expires at an instant: the smallest that has begun. `None`: none has yet, or it has expired.
pub fn step(days: &[i32], expires_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<i32> {
    let left = expires_at - now;
    if left <= TimeDelta::zero() {
        return None;
    }
    let begun = days
        .iter()
        .filter(|days| left <= TimeDelta::days(i64::from(**days)));
    begun.min().copied()
}

/// The next instant at which a step of what expires begins, or it expires.
pub fn next_step(
    days: &[i32],
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let steps = days
        .iter()
        .map(|days| expires_at - TimeDelta::days(i64::from(*days)));
    steps.chain([expires_at]).filter(|at| *at > now).min()
}

#[cfg(test)]
mod tests {
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
    fn the_smallest_step_that_has_begun_applies() {
        let expires = at("2024-11-30T16:00:00Z");
        let cases = [
            ("2024-10-31T15:59:59Z", None, "2024-10-31T16:00:00Z"),
            ("2024-10-31T16:00:00Z", Some(30), "2024-11-23T16:00:00Z"),
            ("2024-11-23T16:00:00Z", Some(7), "2024-11-29T16:00:00Z"),
            ("2024-11-29T16:00:00Z", Some(1), "2024-11-30T16:00:00Z"),
            ("2024-11-30T15:59:59Z", Some(1), "2024-11-30T16:00:00Z"),
        ];
        for (now, expected, next) in cases {
            assert_eq!(step(&[30, 7, 1], expires, at(now)), expected, "{now}");
            assert_eq!(
                next_step(&[30, 7, 1], expires, at(now)),
                Some(at(next)),
                "{now}"
            );
        }
        assert_eq!(step(&[30, 7, 1], expires, expires), None);
        assert_eq!(next_step(&[30, 7, 1], expires, expires), None);
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

    #[test]
    fn what_takes_points_away_cannot_be_muted() {
        assert!(NoticeClass::Report.require_mutable().is_ok());
        assert!(NoticeClass::Wish.require_mutable().is_ok());
        for class in [
            NoticeClass::Expiry,
            NoticeClass::Reversal,
            NoticeClass::Security,
        ] {
            let refusal = class.require_mutable().unwrap_err();
            assert!(refusal.to_string().contains(class.word()));
        }
    }
}
