//! The steps of points pledges towards the ledger, and what it answers.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Community, refusal::Refusal};

/// For how long the call that decided a step has it to itself.
pub const HEAD_START: TimeDelta = TimeDelta::seconds(5);

/// What a step asks of the ledger. A pledge has at most one step of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reserves the points.
    Hold,
    /// Moves them to whoever the hold was for.
    Capture,
    /// Frees them.
    Release,
    /// Moves them back.
    Reverse,
}

/// Which step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepKey {
    pub community: Community,
    pub pledge: Uuid,
    pub kind: Kind,
}

/// A step that the ledger has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub key: StepKey,
    /// The call that waits for it.
    pub request_id: Option<Uuid>,
    pub wish: Uuid,
    pub programme: Uuid,
    /// Whose points they are.
    pub member: Uuid,
    pub quantity: i64,
    /// The merchant who is to get them; nobody: the programme's account for wishes.
    pub supplier: Option<Uuid>,
    /// What the wish is called.
    pub title: String,
    /// The last instant at which the pledge can be confirmed.
    pub confirms_until: DateTime<Utc>,
    /// The ledger's entry that captured them.
    pub captured: Option<i64>,
    /// Why, where the call says so.
    pub reason: String,
}

/// Why the ledger did nothing, and never will for this step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRefusal {
    /// The ledger's reason.
    pub reason: String,
    /// What the account could spend, when it is about that.
    pub available: Option<i64>,
}

impl LedgerRefusal {
    /// What it means for who asked for so many points.
    pub fn into_refusal(self, needed: i64) -> Refusal {
        match &self.reason[..] {
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
                reason: self.reason,
            },
        }
    }

    /// Whether the hold has ended by itself, so that nothing is left to free.
    pub fn is_over(&self) -> bool {
        ["HOLD_EXPIRED", "HOLD_CLOSED"].contains(&&self.reason[..])
    }
}

/// The ledger's answer to a step; final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Done, by this entry.
    Done(i64),
    /// Refused.
    Refused(LedgerRefusal),
}
