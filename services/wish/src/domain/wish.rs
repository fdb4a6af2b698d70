//! A wish from its collection to its end. What the clock ends is ended whether or not anybody has written it down.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Community;

/// What somebody wishes for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub community: Community,
    pub id: Uuid,
    pub programme: Uuid,
    /// Whose it is; for staff alone.
    pub beneficiary: Uuid,
    /// The member who may confirm for them.
    pub proxy: Option<Uuid>,
    pub round: Option<Uuid>,
    pub category: String,
    pub scope: Scope,
    pub priority: Priority,
    pub title: String,
    pub description: String,
    pub unit: Unit,
    /// How much is wanted.
    pub target: i64,
    /// Of that, what is pledged.
    pub pledged: i64,
    /// Of that, what is delivered, confirmed or not.
    pub delivered: i64,
    /// Of that, what is confirmed.
    pub confirmed: i64,
    pub state: WishState,
    pub created_at: DateTime<Utc>,
    pub published_at: Option<DateTime<Utc>>,
    /// The last instant for pledges and deliveries.
    pub closes_at: DateTime<Utc>,
    /// The last instant for confirmations.
    pub confirms_until: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub rating: Option<i16>,
    pub feedback: String,
}

/// Whom a wish would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    Individual,
    Common,
}

/// How pressing a wish is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Priority {
    High,
    Normal,
    Low,
}

/// What a wish is counted in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Things or acts.
    Each,
    Hours,
    /// Of the programme's asset.
    Points {
        asset: String,
    },
}

/// Where a wish stands. CLAIMED is a published one that is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WishState {
    Submitted,
    Reviewed,
    Published,
    Fulfilled,
    Closed,
    Rejected,
    Withdrawn,
    Lapsed,
}

impl Wish {
    /// Whether all of it is pledged.
    pub fn is_covered(&self) -> bool {
        self.pledged == self.target
    }

    /// Behind this instant the wish lapses, or what is delivered of it and not confirmed does.
    pub fn due_at(&self) -> Option<DateTime<Utc>> {
        match self.state {
            WishState::Published if self.delivered < self.target => Some(self.closes_at),
            WishState::Published => Some(self.confirms_until),
            WishState::Lapsed => (self.delivered > self.confirmed).then_some(self.confirms_until),
            WishState::Submitted
            | WishState::Reviewed
            | WishState::Fulfilled
            | WishState::Closed
            | WishState::Rejected
            | WishState::Withdrawn => None,
        }
    }

    /// The wish by the clock: one whose time is over has lapsed, whether or not that was written down.
    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        let Some(due_at) = self.due_at().filter(|due_at| *due_at < now) else {
            return self;
        };
        if self.state == WishState::Published {
            self.state = WishState::Lapsed;
            self.ended_at = Some(due_at);
        }
        self.pledged = self.delivered;
        if self.confirms_until < now {
            self.pledged = self.confirmed;
            self.delivered = self.confirmed;
        }
        self
    }
}
