//! Recomputes everything from the journal alone and names each row that differs.
//!
//! From the log of definitions come the assets, the accounts and their limits at each moment; from the entries, put through the
//! same rules that posted them, come balances, holds, lots, statements and every other column of the entries themselves. The leaves of
//! the entries give the tree, and the tree has to have the root of every checkpoint: so a tail that was cut off is missed, and an entry
//! that was edited together with everything that follows from it still does not have the leaf that was signed.
//!
//! Everything is read from one snapshot, a page at a time. Memory grows with accounts, lots, holds, limit changes and pages of statements,
//! not with entries.
//!
//! What it will not do: repair anything; miss what was never written (what was not yet sealed can be rewritten consistently, and so can
//! everything when checkpoints are not checked against a key that someone else keeps). A lot with nothing in it counts as no lot.

mod chain;
mod replay;
mod seals;
mod tables;

use std::fmt;

use sqlx::{Connection, PgConnection, PgPool};

use crate::{
    Error,
    domain::{Book, CommunityId},
    proof::{Checkpoint, Verifier},
    store::{self, EntryQuery},
};
use replay::Replay;
use seals::Seals;

/// How many rows one statement reads.
const PAGE: i64 = 2_048;

/// What to verify.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Only this community's journal; `None` means all.
    pub community: Option<CommunityId>,
    /// The key that checkpoints are signed with; without it their signatures are not checked.
    pub key: Option<Verifier>,
    /// Checkpoints kept outside the database, whose past still has to stand.
    pub kept: Vec<Checkpoint>,
}

/// How much was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Journals.
    pub communities: u64,
    /// Entries in them.
    pub entries: u64,
    /// Signed checkpoints.
    pub checkpoints: u64,
    /// Rows that differ.
    pub differences: u64,
}

/// A row that is not what the journal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whose.
    pub community: CommunityId,
    /// The table, without its schema.
    pub table: &'static str,
    /// The rest of the row's primary key.
    pub key: String,
    /// The column, or what else is wrong.
    pub what: String,
    /// As recomputed.
    pub expected: String,
    /// As stored.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            community,
            table,
            key,
            what,
            expected,
            found,
        } = self;
        write!(
            out,
            "community {}: ledger.{table} {key}: {what}: expected {expected}, found {found}",
            community.0
        )
    }
}

/// Verifies and calls `found` with each difference.
pub async fn verify(
    pool: &PgPool,
    asked: &Verification,
    found: &mut (dyn FnMut(Difference) + Send),
) -> Result<Verified, Error> {
    let mut conn = pool.acquire().await?;
    let mut tx = conn
        .begin_with("begin isolation level repeatable read read only")
        .await?;
    let mut verified = Verified::default();
    let mut next = match asked.community {
        Some(community) => Some(community),
        None => store::community_after(&mut tx, None).await?,
    };
    while let Some(community) = next {
        let mut report = Report {
            community,
            found,
            count: 0,
        };
        community_verify(&mut tx, asked, &mut report, &mut verified).await?;
        verified.communities += 1;
        verified.differences += report.count;
        next = match asked.community {
            Some(_) => None,
            None => store::community_after(&mut tx, Some(community.0)).await?,
        };
    }
    Ok(verified)
}

async fn community_verify(
    conn: &mut PgConnection,
    asked: &Verification,
    report: &mut Report<'_>,
    verified: &mut Verified,
) -> Result<(), Error> {
    let community = report.community;
    let ends = store::journal_ends(conn, community).await?;
    let mut replay = Replay::new(tables::definitions(conn, report).await?);
    tables::account_definitions(conn, &mut replay, report).await?;
    let mut seals = Seals::new(conn, community, asked, report).await?;

    let mut after = i64::MIN;
    loop {
        let query = EntryQuery {
            after,
            limit: PAGE,
            ..EntryQuery::default()
        };
        let entries = store::entry_list(conn, community, query).await?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            break;
        };
        let reversals = entries
            .iter()
            .filter(|entry| entry.kind == crate::domain::EntryKind::Reversal);
        let reversed: Vec<i64> = reversals.filter_map(|entry| entry.related).collect();
        let originals = store::originals_find(conn, community, &reversed, first.sequence).await?;
        replay.originals(originals);
        tables::allocations(conn, report, after, last.sequence).await?;
        after = last.sequence;
        for entry in entries {
            seals.entry(conn, &entry, report).await?;
            replay.entry(entry, report);
            verified.entries += 1;
        }
    }
    tables::allocations(conn, report, after, i64::MAX).await?;
    seals.end(conn, report).await?;
    verified.checkpoints += seals.count();
    replay.end(report);
    tables::journal(ends, &replay, report);
    tables::accounts(conn, &mut replay, report).await?;
    tables::holds(conn, &mut replay, report).await?;
    tables::pages(conn, &mut replay, report).await?;
    tables::refusals(conn, ends, report).await?;
    Ok(())
}

/// Where differences go.
struct Report<'a> {
    community: CommunityId,
    found: &'a mut (dyn FnMut(Difference) + Send),
    count: u64,
}

/// The name of a column and how its value is shown.
type Column<T> = (&'static str, fn(&T) -> String);

impl Report<'_> {
    fn differs(
        &mut self,
        table: &'static str,
        key: impl fmt::Display,
        what: &str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        self.count += 1;
        (self.found)(Difference {
            community: self.community,
            table,
            key: key.to_string(),
            what: what.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }

    fn compare<T: PartialEq + fmt::Debug>(
        &mut self,
        table: &'static str,
        key: impl fmt::Display,
        what: &str,
        expected: &T,
        found: &T,
    ) {
        if expected != found {
            self.differs(table, key, what, show(expected), show(found));
        }
    }

    /// Compares the columns of two rows by what they show.
    fn compare_rows<T: PartialEq>(
        &mut self,
        table: &'static str,
        key: impl fmt::Display,
        (expected, found): (&T, &T),
        columns: &[Column<T>],
    ) {
        if expected == found {
            return;
        }
        for (what, column) in columns {
            let (expected, found) = (column(expected), column(found));
            if expected != found {
                self.differs(table, &key, what, expected, found);
            }
        }
    }

    fn missing(&mut self, table: &'static str, key: impl fmt::Display) {
        self.differs(table, key, "the row", "a row", "none");
    }

    fn unexpected(&mut self, table: &'static str, key: impl fmt::Display) {
        self.differs(table, key, "the row", "none", "a row");
    }
}

/// A value as a person reads it.
fn show(value: &impl fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text
        .strip_prefix("Some(")
        .and_then(|text| text.strip_suffix(')'))
    {
        Some(inner) => inner.to_owned(),
        None if text == "None" => "none".to_owned(),
        None => text,
    }
}

/// A book with nothing in it, before the first entry.
fn empty_book() -> Book {
    Book::new(chrono::DateTime::UNIX_EPOCH, 1)
}
