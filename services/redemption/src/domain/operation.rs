//! The steps of redemptions towards the ledger, and what it answers.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::Refusal;

/// For how long the call that decided a step has it to itself.
pub const HEAD_START: TimeDelta = TimeDelta::seconds(5);

/// What a step asks of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reserves the points.
    Hold,
    /// Moves the points at once.
    Redeem,
    /// Moves held points, all or a part, and frees the rest.
    Capture,
    /// Frees held points on request.
    Release,
    /// Moves points back.
    Reverse,
    /// Frees the points of a hold that has run out.
    Expire,
    /// Moves what was held for an offline code.
    Forward,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Hold,
        Self::Redeem,
        Self::Capture,
        Self::Release,
        Self::Reverse,
        Self::Expire,
        Self::Forward,
    ];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Redeem => "redeem",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Reverse => "reverse",
            Self::Expire => "expire",
            Self::Forward => "forward",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One step of a redemption towards the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its community.
    pub community: Uuid,
    /// The request_id of its call, or one made for it.
    pub id: Uuid,
    /// Whose step it is.
    pub redemption: Uuid,
    /// What it asks of the ledger.
    pub kind: Kind,
    /// How many it concerns.
    pub quantity: i64,
    /// Who asked; may be empty.
    pub operator: String,
    /// Why; may be empty.
    pub reason: String,
    /// The trace of its call.
    pub traceparent: Option<String>,
    /// When a recovery loop may take it up.
    pub due_at: DateTime<Utc>,
    /// When it was decided.
    pub created_at: DateTime<Utc>,
}

/// What the ledger did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerReceipt {
    /// The entry it made; for a release the hold's.
    pub entry: i64,
    /// When that was, by the ledger's clock.
    pub at: DateTime<Utc>,
}

/// Why the ledger did nothing, and never will under this id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRefusal {
    /// The ledger's reason.
    pub reason: String,
    /// What the account could spend, when it is about that.
    pub available: Option<i64>,
}

impl LedgerRefusal {
    /// Why so many points could not be held or moved.
    pub fn for_points(&self, needed: i64) -> Refusal {
        match self.reason.as_str() {
            "INSUFFICIENT_POINTS" => Refusal::InsufficientPoints {
                needed,
                available: self.available,
            },
            // A member who never earned anything has no account.
            "ACCOUNT_NOT_FOUND" => Refusal::InsufficientPoints {
                needed,
                available: Some(0),
            },
            _ => Refusal::LedgerRefused {
                reason: self.reason.clone(),
            },
        }
    }
}

/// The ledger's answer to a step; final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Done(LedgerReceipt),
    /// Refused.
    Refused(LedgerRefusal),
}
