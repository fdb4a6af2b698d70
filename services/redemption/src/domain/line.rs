//! Lines of statements, and the hashes that chain them: each covers its line and every line before it.

use std::fmt;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Dispute;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Points were spent.
    Capture,
    /// Points were given back.
    Reversal,
    /// The ledger has it and nobody here knows what for.
    Other,
    /// A dispute was accepted.
    Adjustment,
}

impl LineKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Capture, Self::Reversal, Self::Other, Self::Adjustment];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Reversal => "reversal",
            Self::Other => "other",
            Self::Adjustment => "adjustment",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The ledger's entry with this sequence.
    Entry(i64),
    /// An accepted dispute.
    Dispute {
        /// The date of the statement that was disputed.
        date: NaiveDate,
        /// Which line of it.
        line: i32,
    },
}

/// A line of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The statement's date.
    pub date: NaiveDate,
    /// Which line, from 1.
    pub number: i32,
    /// What it is.
    pub kind: LineKind,
    /// Where it comes from.
    pub origin: Origin,
    /// What was taken or given back.
    pub redemption: Option<Uuid>,
    /// What it was an order of.
    pub offer: Option<Uuid>,
    /// What it was for.
    pub title: String,
    /// How many were taken or given back; 0 when unknown.
    pub quantity: i64,
    /// Above 0 in favour of the merchant.
    pub points: i64,
    /// Of the merchant in the ledger after it.
    pub balance: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Whether and how it was disputed.
    pub dispute: Option<Dispute>,
}

/// How many cells of a line are covered by its hash.
pub const CELLS: usize = 12;

impl Line {
    /// What is covered by its hash, in the order of the contract.
    pub fn cells(&self) -> [String; CELLS] {
        let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        let (entry, adjusts) = match self.origin {
            Origin::Entry(sequence) => (sequence.to_string(), String::new()),
            Origin::Dispute { date, line } => (String::new(), format!("{date}#{line}")),
        };
        [
            self.date.to_string(),
            self.number.to_string(),
            self.kind.as_str().to_uppercase(),
            entry,
            id(self.redemption),
            id(self.offer),
            self.title.clone(),
            self.quantity.to_string(),
            self.points.to_string(),
            self.balance.to_string(),
            self.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            adjusts,
        ]
    }
}

/// SHA-256 over a line and all before it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineHash(pub [u8; 32]);

impl LineHash {
    /// What stands before the first line of a merchant in a programme.
    pub fn seed(account: &str) -> Self {
        Self(Sha256::digest(account).into())
    }

    /// The hash of the line that follows.
    pub fn then(self, line: &Line) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.to_string());
        for cell in line.cells() {
            hash.update("\t");
            hash.update(cell);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
