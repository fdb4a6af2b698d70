//! What can be asked for: to take an offer, or the next step of what was taken.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{HEAD_START, Kind, OfflineUse, Operation, Redemption, Refusal};

/// Who takes how many of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Who takes.
    pub member: Uuid,
    /// What.
    pub offer: Uuid,
    /// How many.
    pub quantity: i64,
    /// Whether to answer as if, and change nothing.
    pub validate_only: bool,
    /// How it is known who takes.
    pub known_by: KnownBy,
    /// The till it is made at.
    pub till: Option<Till>,
}

/// How it is known who takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownBy {
    /// They ask themself.
    Themself,
    /// Staff name them.
    Staff,
    /// They have shown a code or a card, not long ago.
    Handle {
        /// From here on that counts no more.
        expires_at: DateTime<Utc>,
    },
    /// They have shown a code to a till that had no network.
    OfflineCode,
}

/// A till.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Till {
    /// Which.
    pub terminal: Uuid,
    /// Where it stands, when that is known.
    pub store: Option<Uuid>,
}

impl Order {
    /// Whether it can still be said who takes.
    pub fn check_payer(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        match self.known_by {
            KnownBy::Handle { expires_at } if expires_at <= now => Err(Refusal::HandleExpired {
                expired_at: expires_at,
            }),
            KnownBy::Handle { .. } | KnownBy::Themself | KnownBy::Staff | KnownBy::OfflineCode => {
                Ok(())
            }
        }
    }
}

/// How an offer is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Held for so long.
    Hold(TimeDelta),
    /// At once.
    Redeem,
    /// It was taken before, without a network.
    Forward(OfflineUse),
}

impl Way {
    /// What it asks of the ledger.
    pub fn kind(self) -> Kind {
        match self {
            Self::Hold(_) => Kind::Hold,
            Self::Redeem => Kind::Redeem,
            Self::Forward(_) => Kind::Forward,
        }
    }

    /// When it is or was taken.
    pub fn time(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Hold(_) | Self::Redeem => now,
            Self::Forward(offline) => offline.sold_at,
        }
    }
}

/// Why a redemption is reversed, and who does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    /// How many to give back; missing: all that is left.
    pub quantity: Option<i64>,
    /// Why.
    pub reason: String,
    /// Who does it.
    pub operator: String,
}

/// What is to become of a redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// So many are spent; missing: all.
    Capture(Option<i64>),
    /// It is given back before it was spent.
    Release,
    /// It is given back after that.
    Reverse(Reversal),
}

impl Step {
    /// What it asks of the ledger.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Capture(_) => Kind::Capture,
            Self::Release => Kind::Release,
            Self::Reverse(_) => Kind::Reverse,
        }
    }

    /// Decides whether it may be done, and for how many.
    pub fn decide(&self, redemption: &Redemption, now: DateTime<Utc>) -> Result<i64, Refusal> {
        match self {
            Self::Capture(quantity) => redemption.capture(*quantity, now),
            Self::Release => redemption.release(now),
            Self::Reverse(reversal) => redemption.reverse(reversal.quantity, now),
        }
    }
}

/// A call that asks for a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Its id.
    pub id: Uuid,
    /// Its trace.
    pub traceparent: Option<String>,
}

impl Cause {
    /// The operation that the call leads to.
    pub fn operation(
        &self,
        redemption: &Redemption,
        (kind, quantity): (Kind, i64),
        now: DateTime<Utc>,
    ) -> Operation {
        Operation {
            community: redemption.community,
            id: self.id,
            redemption: redemption.id,
            kind,
            quantity,
            operator: String::new(),
            reason: String::new(),
            traceparent: self.traceparent.clone(),
            due_at: now + HEAD_START,
            created_at: now,
        }
    }
}
