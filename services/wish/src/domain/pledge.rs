//! A pledge from its promise to its end.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    refusal::{Refusal, Resource},
};

/// Somebody's promise of a part of a wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pledge {
    pub community: Community,
    /// The `request_id` that made it.
    pub id: Uuid,
    pub wish: Uuid,
    pub programme: Uuid,
    pub pledger: Pledger,
    pub quantity: i64,
    /// Held in the ledger until confirmed.
    pub in_points: bool,
    pub state: PledgeState,
    pub evidence: Vec<String>,
    pub note: String,
    pub created_at: DateTime<Utc>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    /// The wish's last instant for deliveries.
    pub closes_at: DateTime<Utc>,
    /// The wish's last instant for confirmations.
    pub confirms_until: DateTime<Utc>,
    /// When it was taken back after its confirmation, if it was.
    #[serde(default)]
    pub reversed_at: Option<DateTime<Utc>>,
    /// Why.
    #[serde(default)]
    pub reversal_reason: String,
    /// Whether the ledger has not answered its latest step.
    pub is_settling: bool,
}

/// Who pledges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pledger {
    Member(Uuid),
    Organisation(String),
    Company(String),
}

impl Pledger {
    /// The member that it is, if it is one.
    pub fn member(&self) -> Option<Uuid> {
        match self {
            Self::Member(member) => Some(*member),
            Self::Organisation(_) | Self::Company(_) => None,
        }
    }
}

/// Where a pledge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PledgeState {
    /// Its points are being held.
    Pending,
    Active,
    Delivered,
    Confirmed,
    Withdrawn,
    Revoked,
    Lapsed,
    /// Confirmed, and taken back after all.
    Reversed,
}

impl PledgeState {
    /// The word for it in the contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Active => "ACTIVE",
            Self::Delivered => "DELIVERED",
            Self::Confirmed => "CONFIRMED",
            Self::Withdrawn => "WITHDRAWN",
            Self::Revoked => "REVOKED",
            Self::Lapsed => "LAPSED",
            Self::Reversed => "REVERSED",
        }
    }
}

/// What was handed over, in the words of who did.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub evidence: Vec<String>,
    pub note: String,
}

impl Pledge {
    /// The pledge by the clock: one whose time is over has lapsed, whether or not that was written down.
    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        if let Some(due_at) = self.lapsed_at(now) {
            self.end(PledgeState::Lapsed, due_at);
            // Its points are still to be given back.
            self.is_settling = self.in_points;
        }
        self
    }

    /// When it lapsed, if its time is over and nothing else has become of it.
    pub fn lapsed_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let due_at = match self.state {
            PledgeState::Active => self.closes_at,
            // One that is being confirmed was in time.
            PledgeState::Delivered if !self.is_settling => self.confirms_until,
            PledgeState::Pending
            | PledgeState::Delivered
            | PledgeState::Confirmed
            | PledgeState::Withdrawn
            | PledgeState::Revoked
            | PledgeState::Lapsed
            | PledgeState::Reversed => return None,
        };
        (due_at < now).then_some(due_at)
    }

    /// Ends it.
    pub fn end(&mut self, state: PledgeState, at: DateTime<Utc>) {
        self.state = state;
        self.ended_at = Some(at);
    }

    /// It was taken back by who made it.
    pub fn withdraw(&mut self, now: DateTime<Utc>) -> Result<(), Refusal> {
        self.require(&[PledgeState::Active])?;
        self.end(PledgeState::Withdrawn, now);
        Ok(())
    }

    /// It is ended by staff.
    pub fn revoke(&mut self, reason: String, now: DateTime<Utc>) -> Result<(), Refusal> {
        self.require(&[PledgeState::Active, PledgeState::Delivered])?;
        self.require_settled()?;
        self.end(PledgeState::Revoked, now);
        self.note = reason;
        Ok(())
    }

    /// It is said to be delivered.
    pub fn deliver(&mut self, delivery: Delivery, now: DateTime<Utc>) -> Result<(), Refusal> {
        self.require(&[PledgeState::Active])?;
        self.state = PledgeState::Delivered;
        self.delivered_at = Some(now);
        self.evidence = delivery.evidence;
        self.note = delivery.note;
        Ok(())
    }

    /// The delivery is not accepted.
    pub fn refuse_delivery(&mut self, reason: String, now: DateTime<Utc>) -> Result<(), Refusal> {
        self.require(&[PledgeState::Delivered])?;
        self.require_settled()?;
        self.state = PledgeState::Active;
        self.note = reason;
        if let Some(due_at) = self.lapsed_at(now) {
            self.end(PledgeState::Lapsed, due_at);
        }
        Ok(())
    }

    /// Whether its delivery can be confirmed.
    pub fn require_delivered(&self) -> Result<(), Refusal> {
        self.require(&[PledgeState::Delivered])
    }

    /// Whether it can be reversed.
    pub fn require_confirmed(&self) -> Result<(), Refusal> {
        self.require(&[PledgeState::Confirmed])
    }

    /// It is taken back after its confirmation.
    pub fn reverse(&mut self, reason: String, now: DateTime<Utc>) -> Result<(), Refusal> {
        self.require_confirmed()?;
        self.state = PledgeState::Reversed;
        self.reversed_at = Some(now);
        self.reversal_reason = reason;
        Ok(())
    }

    fn require(&self, states: &[PledgeState]) -> Result<(), Refusal> {
        if states.contains(&self.state) {
            return Ok(());
        }
        let words: Vec<&str> = states.iter().map(|state| state.word()).collect();
        Err(Refusal::WrongState {
            resource: Resource::Pledge,
            id: self.id,
            state: self.state.word().to_owned(),
            needed: words.join(" or "),
        })
    }

    fn require_settled(&self) -> Result<(), Refusal> {
        if self.is_settling {
            return Err(Refusal::ConfirmationBegun { pledge: self.id });
        }
        Ok(())
    }
}
