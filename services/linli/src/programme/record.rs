//! The tables of a programme, each row checked against its columns and against the rows it names.

use std::{collections::HashSet, path::Path};

use chrono::{DateTime, NaiveDate, Utc};
use proto::{
    activity::v1::{MemberKind, ServiceRole},
    redemption::v1::Audience,
};
use runtime::Problem;

use super::{
    report::{self, Report},
    table::{self, Row},
};

mod wishes;

pub use wishes::{Pledge, Pledger, Wish};

/// The names of all tables that can be replayed.
pub const TABLES: [&str; 9] = [
    "teams.csv",
    "members.csv",
    "merchants.csv",
    "offers.csv",
    "services.csv",
    "reports.csv",
    "redemptions.csv",
    "wishes.csv",
    "pledges.csv",
];
/// What the contracts take for a price or a stock.
const MAX_COUNT: i64 = 1_000_000_000;
/// What the contracts take for the quantity of one redemption.
const MAX_QUANTITY: i64 = 1_000;

/// A row of `teams.csv`.
#[derive(Debug, Clone)]
pub struct Team {
    /// `team_no`.
    pub number: String,
    /// `name`.
    pub name: String,
    /// `colour`; may be empty.
    pub colour: String,
}

/// A row of `members.csv`; `joined` is for people only.
#[derive(Debug, Clone)]
pub struct Member {
    /// `member_no`.
    pub number: String,
    /// `name`.
    pub name: String,
    /// `kind`.
    pub kind: MemberKind,
    /// `team_no`, if any.
    pub team: Option<String>,
    /// `birth_year`, 0 when it is not known.
    pub birth_year: i32,
}

/// A row of `merchants.csv`.
#[derive(Debug, Clone)]
pub struct Merchant {
    /// `merchant_no`.
    pub number: String,
    /// `name`.
    pub name: String,
    /// `category`; may be empty.
    pub category: String,
    /// `agreement_from`, included.
    pub agreement_from: NaiveDate,
    /// `agreement_to`, included.
    pub agreement_to: NaiveDate,
}

/// A row of `offers.csv`.
#[derive(Debug, Clone)]
pub struct Offer {
    /// `offer_no`.
    pub number: String,
    /// `merchant_no`.
    pub merchant: String,
    /// `title`.
    pub title: String,
    /// `points`: the price of one.
    pub points: i64,
    /// `stock`.
    pub stock: i64,
    /// `per_member_limit`; nothing: no limit.
    pub per_member_limit: Option<i64>,
    /// `audience`.
    pub audience: Audience,
    /// `from`, included.
    pub from: NaiveDate,
    /// `to`, included.
    pub to: NaiveDate,
}

/// A row of `services.csv`.
#[derive(Debug, Clone)]
pub struct Service {
    /// `record_no`.
    pub number: String,
    /// `member_no`.
    pub member: String,
    /// `role`.
    pub role: ServiceRole,
    /// `category`.
    pub category: String,
    /// `activity`.
    pub activity: String,
    /// `start`.
    pub start: DateTime<Utc>,
    /// `end`.
    pub end: DateTime<Utc>,
    /// `verified_at`.
    pub verified_at: DateTime<Utc>,
    /// `verified_by`.
    pub verified_by: String,
    /// `outcome`: whether it was verified, not rejected.
    pub verified: bool,
}

/// A row of `redemptions.csv`.
#[derive(Debug, Clone)]
pub struct Redemption {
    /// `redemption_no`.
    pub number: String,
    /// `member_no`.
    pub member: String,
    /// `offer_no`.
    pub offer: String,
    /// `quantity`.
    pub quantity: i64,
    /// `at`.
    pub at: DateTime<Utc>,
    /// `reversed_at` and `reversed_quantity`, if any.
    pub reversal: Option<Reversal>,
}

/// The end of a row of `redemptions.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reversal {
    /// `reversed_at`.
    pub at: DateTime<Utc>,
    /// `reversed_quantity`.
    pub quantity: i64,
}

/// All tables of a programme.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// `teams.csv`.
    pub teams: Vec<Team>,
    /// `members.csv`.
    pub members: Vec<Member>,
    /// `merchants.csv`.
    pub merchants: Vec<Merchant>,
    /// `offers.csv`.
    pub offers: Vec<Offer>,
    /// `services.csv`.
    pub services: Vec<Service>,
    /// `reports.csv`.
    pub reports: Vec<Report>,
    /// `redemptions.csv`.
    pub redemptions: Vec<Redemption>,
    /// `wishes.csv`.
    pub wishes: Vec<Wish>,
    /// `pledges.csv`.
    pub pledges: Vec<Pledge>,
}

impl Records {
    /// Reads the tables of a folder, of a programme with this asset.
    pub fn read(folder: &Path, asset: &str) -> Result<Self, Problem> {
        let mut teams = Numbers::default();
        let mut members = Numbers::default();
        let mut merchants = Numbers::default();
        let mut offers = Numbers::default();
        let mut own = Numbers::default();
        let wishes = read(folder, "wishes.csv", wishes::WISH, |row| {
            wishes::wish(row, &mut own, asset)
        })?;
        Ok(Self {
            teams: read(folder, "teams.csv", TEAM, |row| team(row, &mut teams))?,
            members: read(folder, "members.csv", MEMBER, |row| {
                member(row, &mut members, &teams)
            })?,
            merchants: read(folder, "merchants.csv", MERCHANT, |row| {
                merchant(row, &mut merchants)
            })?,
            offers: read(folder, "offers.csv", OFFER, |row| {
                offer(row, &mut offers, &merchants)
            })?,
            services: {
                let mut records = Numbers::default();
                read(folder, "services.csv", SERVICE, |row| {
                    service(row, &mut records, &members)
                })?
            },
            reports: report::read(folder, &members)?,
            redemptions: {
                let mut redemptions = Numbers::default();
                read(folder, "redemptions.csv", REDEMPTION, |row| {
                    redemption(row, &mut redemptions, &members, &offers)
                })?
            },
            pledges: {
                let mut pledges = Numbers::default();
                read(folder, "pledges.csv", wishes::PLEDGE, |row| {
                    wishes::pledge(row, &mut pledges, &members, &wishes)
                })?
            },
            wishes,
        })
    }
}

fn read<T>(
    folder: &Path,
    name: &str,
    columns: &'static [&'static str],
    convert: impl FnMut(&Row) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    table::read(folder, name, columns)?
        .iter()
        .map(convert)
        .collect()
}

/// The numbers that a table has given out so far.
#[derive(Default)]
pub(super) struct Numbers(HashSet<String>);

impl Numbers {
    /// The row's own number, which no row before it has.
    pub(super) fn own(&mut self, row: &Row, column: &str) -> Result<String, Problem> {
        let number = row.text(column)?.to_owned();
        if !self.0.insert(number.clone()) {
            return Err(row.fault(column, "is there twice"));
        }
        Ok(number)
    }

    /// The number of a row in this table.
    pub(super) fn other(&self, row: &Row, column: &str) -> Result<String, Problem> {
        let number = row.text(column)?;
        if !self.0.contains(number) {
            return Err(row.fault(column, "is not known"));
        }
        Ok(number.to_owned())
    }
}

const TEAM: &[&str] = &["team_no", "name", "colour"];

fn team(row: &Row, own: &mut Numbers) -> Result<Team, Problem> {
    Ok(Team {
        number: own.own(row, "team_no")?,
        name: row.text("name")?.to_owned(),
        colour: row.optional("colour").unwrap_or_default().to_owned(),
    })
}

const MEMBER: &[&str] = &[
    "member_no",
    "name",
    "kind",
    "team_no",
    "birth_year",
    "joined",
];

fn member(row: &Row, own: &mut Numbers, teams: &Numbers) -> Result<Member, Problem> {
    let kinds = [
        ("resident", MemberKind::Resident),
        ("courier", MemberKind::Courier),
        ("rider", MemberKind::Rider),
        ("driver", MemberKind::Driver),
        ("staff", MemberKind::Staff),
    ];
    let birth_year = row
        .optional_integer("birth_year", 1900, 9999)?
        .unwrap_or_default();
    Ok(Member {
        number: own.own(row, "member_no")?,
        name: row.text("name")?.to_owned(),
        kind: row.choice("kind", &kinds)?,
        team: match row.optional("team_no") {
            None => None,
            Some(_) => Some(teams.other(row, "team_no")?),
        },
        birth_year: i32::try_from(birth_year).expect("a year fits"),
    })
}

const MERCHANT: &[&str] = &[
    "merchant_no",
    "name",
    "category",
    "agreement_from",
    "agreement_to",
];

fn merchant(row: &Row, own: &mut Numbers) -> Result<Merchant, Problem> {
    let (agreement_from, agreement_to) = dates(row, "agreement_from", "agreement_to")?;
    Ok(Merchant {
        number: own.own(row, "merchant_no")?,
        name: row.text("name")?.to_owned(),
        category: row.optional("category").unwrap_or_default().to_owned(),
        agreement_from,
        agreement_to,
    })
}

const OFFER: &[&str] = &[
    "offer_no",
    "merchant_no",
    "title",
    "points",
    "stock",
    "per_member_limit",
    "audience",
    "from",
    "to",
];

fn offer(row: &Row, own: &mut Numbers, merchants: &Numbers) -> Result<Offer, Problem> {
    let audiences = [
        ("all", Audience::All),
        ("gig", Audience::Gig),
        ("senior", Audience::Senior),
    ];
    let (from, to) = dates(row, "from", "to")?;
    Ok(Offer {
        number: own.own(row, "offer_no")?,
        merchant: merchants.other(row, "merchant_no")?,
        title: row.text("title")?.to_owned(),
        points: row.integer("points", 1, MAX_COUNT)?,
        stock: row.integer("stock", 0, MAX_COUNT)?,
        per_member_limit: row.optional_integer("per_member_limit", 1, MAX_COUNT)?,
        audience: row.choice("audience", &audiences)?,
        from,
        to,
    })
}

const SERVICE: &[&str] = &[
    "record_no",
    "member_no",
    "role",
    "category",
    "activity",
    "start",
    "end",
    "verified_at",
    "verified_by",
    "outcome",
];

fn service(row: &Row, own: &mut Numbers, members: &Numbers) -> Result<Service, Problem> {
    let roles = [
        ("member", ServiceRole::Member),
        ("leader", ServiceRole::Leader),
    ];
    let (start, end) = (row.instant("start")?, row.instant("end")?);
    if end <= start {
        return Err(row.fault("end", "is not after start"));
    }
    let verified_at = row.instant("verified_at")?;
    if verified_at < end {
        return Err(row.fault("verified_at", "is before end"));
    }
    let member = members.other(row, "member_no")?;
    if row.text("verified_by")? == member {
        return Err(row.fault("verified_by", "is the volunteer"));
    }
    Ok(Service {
        number: own.own(row, "record_no")?,
        member,
        role: row.choice("role", &roles)?,
        category: row.text("category")?.to_owned(),
        activity: row.text("activity")?.to_owned(),
        start,
        end,
        verified_at,
        verified_by: row.text("verified_by")?.to_owned(),
        verified: row.choice("outcome", &[("verified", true), ("rejected", false)])?,
    })
}

const REDEMPTION: &[&str] = &[
    "redemption_no",
    "member_no",
    "offer_no",
    "quantity",
    "at",
    "reversed_at",
    "reversed_quantity",
];

fn redemption(
    row: &Row,
    own: &mut Numbers,
    members: &Numbers,
    offers: &Numbers,
) -> Result<Redemption, Problem> {
    let at = row.instant("at")?;
    let quantity = row.integer("quantity", 1, MAX_QUANTITY)?;
    let reversed_at = row.optional_instant("reversed_at")?;
    let reversed_quantity = row.optional_integer("reversed_quantity", 1, quantity)?;
    let reversal = match (reversed_at, reversed_quantity) {
        (None, None) => None,
        (Some(reversed_at), Some(_)) if reversed_at < at => {
            return Err(row.fault("reversed_at", "is before at"));
        }
        (Some(at), Some(quantity)) => Some(Reversal { at, quantity }),
        (None, Some(_)) => return Err(row.fault("reversed_at", "is empty")),
        (Some(_), None) => return Err(row.fault("reversed_quantity", "is empty")),
    };
    Ok(Redemption {
        number: own.own(row, "redemption_no")?,
        member: members.other(row, "member_no")?,
        offer: offers.other(row, "offer_no")?,
        quantity,
        at,
        reversal,
    })
}

/// The first and the last of some days.
fn dates(row: &Row, from: &str, to: &str) -> Result<(NaiveDate, NaiveDate), Problem> {
    let (first, last) = (row.date(from)?, row.date(to)?);
    if last < first {
        return Err(row.fault(to, &format!("is before {from}")));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests;
