//! The tables of wishes and pledges.

use chrono::{DateTime, Utc};
use proto::wish::v1::{WishPriority, WishScope, WishUnit};
use runtime::Problem;

use super::{MAX_COUNT, Numbers, Row};

/// A row of `wishes.csv`.
#[derive(Debug, Clone)]
pub struct Wish {
    /// `wish_no`.
    pub number: String,
    /// `requester_no`.
    pub requester: String,
    /// `category`.
    pub category: String,
    /// `scope`.
    pub scope: WishScope,
    /// `priority`.
    pub priority: WishPriority,
    /// `title`.
    pub title: String,
    /// `target`.
    pub target: i64,
    /// `unit`.
    pub unit: WishUnit,
    /// `published_at`.
    pub published_at: DateTime<Utc>,
    /// `closes_at`.
    pub closes_at: DateTime<Utc>,
}

/// A row of `pledges.csv`.
#[derive(Debug, Clone)]
pub struct Pledge {
    /// `pledge_no`.
    pub number: String,
    /// `wish_no`.
    pub wish: String,
    /// `pledger` and `pledger_kind`.
    pub pledger: Pledger,
    /// `quantity`.
    pub quantity: i64,
    /// `at`.
    pub at: DateTime<Utc>,
    /// `fulfilled_at`, if it ever was.
    pub fulfilled_at: Option<DateTime<Utc>>,
}

/// Who pledges.
#[derive(Debug, Clone)]
pub enum Pledger {
    /// A member, by `member_no`.
    Member(String),
    /// An organisation.
    Organisation(String),
    /// A company.
    Company(String),
}

pub(super) const WISH: &[&str] = &[
    "wish_no",
    "requester_no",
    "category",
    "scope",
    "priority",
    "title",
    "target",
    "unit",
    "published_at",
    "closes_at",
];

pub(super) fn wish(row: &Row, own: &mut Numbers, asset: &str) -> Result<Wish, Problem> {
    let scopes = [
        ("individual", WishScope::Individual),
        ("common", WishScope::Common),
    ];
    let priorities = [
        ("high", WishPriority::High),
        ("normal", WishPriority::Normal),
        ("low", WishPriority::Low),
    ];
    let units = [("each", WishUnit::Each), (asset, WishUnit::Points)];
    let (published_at, closes_at) = (row.instant("published_at")?, row.instant("closes_at")?);
    if closes_at < published_at {
        return Err(row.fault("closes_at", "is before published_at"));
    }
    Ok(Wish {
        number: own.own(row, "wish_no")?,
        requester: row.text("requester_no")?.to_owned(),
        category: row.text("category")?.to_owned(),
        scope: row.choice("scope", &scopes)?,
        priority: row.choice("priority", &priorities)?,
        title: row.text("title")?.to_owned(),
        target: row.integer("target", 1, MAX_COUNT)?,
        unit: row.choice("unit", &units)?,
        published_at,
        closes_at,
    })
}

pub(super) const PLEDGE: &[&str] = &[
    "pledge_no",
    "wish_no",
    "pledger",
    "pledger_kind",
    "quantity",
    "at",
    "fulfilled_at",
];

pub(super) fn pledge(
    row: &Row,
    own: &mut Numbers,
    members: &Numbers,
    wishes: &[Wish],
) -> Result<Pledge, Problem> {
    let at = row.instant("at")?;
    let fulfilled_at = row.optional_instant("fulfilled_at")?;
    if fulfilled_at.is_some_and(|fulfilled_at| fulfilled_at < at) {
        return Err(row.fault("fulfilled_at", "is before at"));
    }
    let number = row.text("wish_no")?;
    let wish = wishes.iter().find(|wish| wish.number == number);
    let wish = wish.ok_or_else(|| row.fault("wish_no", "is not known"))?;
    let kinds = [
        ("member", Pledger::Member as fn(String) -> Pledger),
        ("organisation", Pledger::Organisation),
        ("company", Pledger::Company),
    ];
    let pledger = row.choice("pledger_kind", &kinds)?(row.text("pledger")?.to_owned());
    if let Pledger::Member(_) = pledger {
        members.other(row, "pledger")?;
    } else if wish.unit == WishUnit::Points {
        return Err(row.fault("pledger_kind", "pledges points, as only members can"));
    }
    Ok(Pledge {
        number: own.own(row, "pledge_no")?,
        wish: wish.number.clone(),
        pledger,
        quantity: row.integer("quantity", 1, MAX_COUNT)?,
        at,
        fulfilled_at,
    })
}
