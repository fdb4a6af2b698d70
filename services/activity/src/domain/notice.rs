//! What members are told: that points will expire, that they have, that something was taken back, how what they reported or promised goes on, and
//! what becomes of that with which their points can be spent. What a notice says is kept as values; its text ([`notice_text`](super::notice_text)) is made of them when it is read.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    adjustment::{Adjustment, AdjustmentState, Change},
    grant::{Grant, GrantState, Step},
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
    /// A grant was taken back.
    GrantRevoked {
        grant: Uuid,
        unit: Unit,
        amount: i64,
        /// As far as it was not spent.
        taken: i64,
    },
    /// Points were taken by hand.
    PointsTaken {
        adjustment: Uuid,
        unit: Unit,
        amount: i64,
        /// As whoever proposed it said.
        reason: String,
    },
    /// A purchase was given back.
    RedemptionReversed {
        redemption: Uuid,
        title: String,
        points: Points,
        quantity: i64,
        /// Whether nothing of it is left.
        is_whole: bool,
    },
    /// A purchase was made for the member by whoever named them, without their code or card.
    RedemptionAssisted {
        redemption: Uuid,
        title: String,
        points: Points,
    },
    /// Something became of a card.
    CardChanged { card: Uuid, what: CardEvent },
    /// Something became of a promise.
    PledgeMoved {
        pledge: Uuid,
        wish: Uuid,
        title: String,
        what: PledgeMove,
        /// What came back.
        back: Option<Points>,
    },
    /// The member is asked to do a wish, or not any more.
    DispatchMoved {
        dispatch: Uuid,
        wish: Uuid,
        title: String,
        what: DispatchMove,
    },
    /// What a later release tells.
    #[serde(other)]
    Unknown,
}

/// What becomes of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardEvent {
    Created,
    PinReset,
    Blocked,
    Revoked,
}

/// What becomes of a promise that its maker did not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PledgeMove {
    Confirmed,
    Refused,
    Revoked,
    Lapsed,
    Reversed,
}

/// What becomes of a question to a member that they did not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchMove {
    Issued,
    Expired,
    Withdrawn,
}

/// Points of a programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Points {
    pub programme: Uuid,
    pub unit: Unit,
    pub amount: i64,
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
}

impl Content {
    /// What a member may mute it by.
    pub fn class(&self) -> NoticeClass {
        match self {
            Self::ExpiryAhead { .. } | Self::ExpiryDone { .. } => NoticeClass::Expiry,
            Self::ReportMoved { .. } => NoticeClass::Report,
            Self::GrantRevoked { .. }
            | Self::PointsTaken { .. }
            | Self::RedemptionReversed { .. } => NoticeClass::Reversal,
            Self::RedemptionAssisted { .. } | Self::CardChanged { .. } => NoticeClass::Security,
            Self::PledgeMoved { .. } | Self::DispatchMoved { .. } | Self::Unknown => {
                NoticeClass::Wish
            }
        }
    }

    /// What the text is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ExpiryAhead { .. } => "expiry_ahead",
            Self::ExpiryDone { .. } => "expiry_done",
            Self::ReportMoved { .. } => "report_moved",
            Self::GrantRevoked { .. } => "grant_revoked",
            Self::PointsTaken { .. } => "points_taken",
            Self::RedemptionReversed { .. } => "redemption_reversed",
            Self::RedemptionAssisted { .. } => "redemption_assisted",
            Self::CardChanged { .. } => "card_changed",
            Self::PledgeMoved { .. } => "pledge_moved",
            Self::DispatchMoved { .. } => "dispatch_moved",
            Self::Unknown => "unknown",
        }
    }

    /// Name of the resource it is about, within its community.
    pub fn subject(&self) -> String {
        match self {
            Self::ExpiryAhead { account, .. } => format!("accounts/{account}"),
            Self::ExpiryDone { entry, .. } => format!("entries/{entry}"),
            Self::ReportMoved { report, .. } => format!("reports/{report}"),
            Self::GrantRevoked { grant, .. } => format!("grants/{grant}"),
            Self::PointsTaken { adjustment, .. } => format!("adjustments/{adjustment}"),
            Self::RedemptionReversed { redemption, .. }
            | Self::RedemptionAssisted { redemption, .. } => format!("redemptions/{redemption}"),
            Self::CardChanged { card, .. } => format!("memberCards/{card}"),
            Self::PledgeMoved { pledge, .. } => format!("pledges/{pledge}"),
            Self::DispatchMoved { dispatch, .. } => format!("dispatches/{dispatch}"),
            Self::Unknown => String::new(),
        }
    }
}

impl NewNotice {
    /// Two with the same key tell a member the same thing.
    pub fn dedupe_key(&self) -> String {
        match &self.content {
            Content::ExpiryAhead {
                account,
                expires_at,
                days,
                ..
            } => format!(
                "expiry-ahead/{account}/{}/{days}",
                expires_at.timestamp_micros()
            ),
            Content::ExpiryDone { entry, .. } => format!("expiry-done/{entry}"),
            Content::ReportMoved { report, event, .. } => format!("report/{report}/{event}"),
            Content::GrantRevoked { grant, .. } => format!("grant-revoked/{grant}"),
            Content::PointsTaken { adjustment, .. } => format!("points-taken/{adjustment}"),
            Content::RedemptionReversed { .. }
            | Content::RedemptionAssisted { .. }
            | Content::CardChanged { .. }
            | Content::PledgeMoved { .. }
            | Content::DispatchMoved { .. }
            | Content::Unknown => format!("told/{}", self.id),
        }
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

/// What a member is told of a grant's step: nothing, unless it is what takes the grant away and there was something in it.
pub fn of_revocation(grant: &Grant, step: &Step, programme: &Programme) -> Option<Content> {
    let is_taken = step.state == GrantState::Revoked && grant.amount > 0;
    is_taken.then(|| Content::GrantRevoked {
        grant: grant.id,
        unit: Unit::of(programme),
        amount: grant.amount,
        taken: step.revoked_amount,
    })
}

/// What a member is told of an adjustment: that points were taken.
pub fn of_adjustment(adjustment: &Adjustment, programme: &Programme) -> Option<(Uuid, Content)> {
    match adjustment.change {
        Change::Points { member, amount, .. }
            if amount < 0 && adjustment.state == AdjustmentState::Applied =>
        {
            let content = Content::PointsTaken {
                adjustment: adjustment.id,
                unit: Unit::of(programme),
                amount: amount.saturating_neg(),
                reason: adjustment.reason.clone(),
            };
            Some((member, content))
        }
        Change::Points { .. } | Change::Budget(_) => None,
    }
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
