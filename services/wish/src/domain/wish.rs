//! A wish from its collection to its end. What the clock ends is ended whether or not anybody has written it down.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    pledge::{Pledge, PledgeState},
    refusal::{Refusal, Resource},
};

/// How many pledges of one wish may stand at once: they end together, under its lock.
pub const MOST_OPEN_PLEDGES: i64 = 1000;

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
    /// At which it was collected.
    #[serde(default)]
    pub visit: Option<Uuid>,
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
    /// Of what is delivered, what the ledger is asked to confirm and has not answered.
    #[serde(default)]
    pub settling: i64,
    /// What was confirmed and then reversed; in none of these sums.
    #[serde(default)]
    pub reversed: i64,
    /// The merchant who gets its points; nobody: the programme's account for wishes.
    #[serde(default)]
    pub supplier: Option<Uuid>,
    /// What it is worth by estimate, in fen of CNY.
    #[serde(default)]
    pub estimated_value: Option<i64>,
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
    /// Of the programme's asset, which is no money.
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
    /// The word of the contract for where it stands.
    pub fn word(&self) -> &'static str {
        match self.state {
            WishState::Submitted => "SUBMITTED",
            WishState::Reviewed => "REVIEWED",
            WishState::Published if self.is_covered() => "CLAIMED",
            WishState::Published => "PUBLISHED",
            WishState::Fulfilled => "FULFILLED",
            WishState::Closed => "CLOSED",
            WishState::Rejected => "REJECTED",
            WishState::Withdrawn => "WITHDRAWN",
            WishState::Lapsed => "EXPIRED",
        }
    }

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
        if self.confirms_until < now {
            // What is being confirmed was in time.
            self.delivered = self.confirmed + self.settling;
        }
        self.pledged = self.delivered;
        if self.state == WishState::Published && self.delivered < self.target {
            self.end(WishState::Lapsed, due_at);
        }
        self
    }

    /// It was found to be in order, perhaps with another estimate of its value.
    pub fn review(&mut self, estimated_value: Option<i64>) -> Result<(), Refusal> {
        self.require(&[WishState::Submitted], "SUBMITTED")?;
        self.estimated_value = estimated_value.or(self.estimated_value);
        self.state = WishState::Reviewed;
        Ok(())
    }

    /// It is not taken up.
    pub fn reject(&mut self, now: DateTime<Utc>) -> Result<(), Refusal> {
        let states = [WishState::Submitted, WishState::Reviewed];
        self.require(&states, "SUBMITTED or REVIEWED")?;
        self.end(WishState::Rejected, now);
        Ok(())
    }

    /// It is to be published with others.
    pub fn gather(&mut self, round: Uuid) -> Result<(), Refusal> {
        self.require(&[WishState::Reviewed], "REVIEWED")?;
        if let Some(round) = self.round {
            return Err(Refusal::InAnotherRound {
                wish: self.id,
                round,
            });
        }
        self.round = Some(round);
        Ok(())
    }

    /// It is opened for pledges.
    pub fn publish(&mut self, now: DateTime<Utc>) -> Result<(), Refusal> {
        self.require(&[WishState::Reviewed], "REVIEWED")?;
        if self.closes_at < now {
            let closes_at = self.closes_at;
            return Err(Refusal::CloseTimeOver { closes_at });
        }
        self.state = WishState::Published;
        self.published_at = Some(now);
        Ok(())
    }

    /// It is taken back; what was pledged is to be revoked.
    pub fn withdraw(&mut self, now: DateTime<Utc>) -> Result<(), Refusal> {
        let states = [
            WishState::Submitted,
            WishState::Reviewed,
            WishState::Published,
        ];
        self.require(&states, "SUBMITTED, REVIEWED, PUBLISHED or CLAIMED")?;
        if self.delivered > 0 {
            return Err(Refusal::DeliveryBegun {
                wish: self.id,
                delivered: self.delivered,
            });
        }
        self.pledged = 0;
        self.end(WishState::Withdrawn, now);
        Ok(())
    }

    /// The requester was heard.
    pub fn close(&mut self, rating: i16, feedback: String) -> Result<(), Refusal> {
        self.require(&[WishState::Fulfilled], "FULFILLED")?;
        self.state = WishState::Closed;
        self.rating = Some(rating);
        self.feedback = feedback;
        Ok(())
    }

    /// Some of it is promised. Expects a wish that was brought up to the clock.
    pub fn pledge(&mut self, quantity: i64) -> Result<(), Refusal> {
        let (wish, state) = (self.id, self.word().to_owned());
        match self.state {
            WishState::Submitted | WishState::Reviewed => {
                return Err(Refusal::NotPublished { wish, state });
            }
            WishState::Fulfilled
            | WishState::Closed
            | WishState::Rejected
            | WishState::Withdrawn
            | WishState::Lapsed => return Err(Refusal::WishClosed { wish, state }),
            WishState::Published => {}
        }
        let uncovered = self.target - self.pledged;
        if uncovered == 0 {
            let target = self.target;
            return Err(Refusal::Covered { wish, target });
        }
        if quantity > uncovered {
            return Err(Refusal::ExceedsUncovered {
                wish,
                uncovered,
                quantity,
            });
        }
        self.pledged += quantity;
        Ok(())
    }

    /// Some of what was pledged was delivered.
    pub fn deliver(&mut self, quantity: i64) {
        self.delivered += quantity;
    }

    /// Some of what was delivered was confirmed.
    pub fn confirm(&mut self, quantity: i64, now: DateTime<Utc>) {
        self.confirmed += quantity;
        if self.confirmed == self.target {
            self.end(WishState::Fulfilled, now);
        }
    }

    /// Some of what was confirmed was taken back after all. What was fulfilled stays so.
    pub fn reverse(&mut self, quantity: i64) {
        self.pledged -= quantity;
        self.delivered -= quantity;
        self.confirmed -= quantity;
        self.reversed += quantity;
    }

    /// A pledge that stood so far has come to nothing, or its delivery has.
    pub fn lose(&mut self, pledge: &Pledge, before: PledgeState) {
        if before == PledgeState::Delivered {
            self.delivered -= pledge.quantity;
        }
        if pledge.state != PledgeState::Active {
            self.pledged -= pledge.quantity;
        }
    }

    /// A pledge that became active again after the wish was closed to pledges has lapsed with it, also when another replica's clock said so.
    pub fn end_late(&self, pledge: &mut Pledge, now: DateTime<Utc>) {
        let is_over = self.state != WishState::Published || self.closes_at < now;
        if pledge.state == PledgeState::Active && is_over {
            pledge.end(PledgeState::Lapsed, self.closes_at);
        }
    }

    /// Writes down what the clock has ended: the wish itself, and these of its pledges. What is being held or confirmed is left to the ledger's
    /// answer.
    pub fn lapse(&mut self, pledges: Vec<Pledge>, now: DateTime<Utc>) -> Vec<Pledge> {
        let due_at = self.due_at().unwrap_or(self.closes_at);
        let mut lapsed = Vec::new();
        for mut pledge in pledges {
            let before = pledge.state;
            if let Some(due_at) = pledge.lapsed_at(now) {
                pledge.end(PledgeState::Lapsed, due_at);
                self.lose(&pledge, before);
                lapsed.push(pledge);
            }
        }
        if self.state == WishState::Published && self.closes_at < now {
            // What is still being held came too late.
            self.pledged = self.delivered;
            if self.delivered < self.target {
                self.end(WishState::Lapsed, due_at);
            }
        }
        lapsed
    }

    fn end(&mut self, state: WishState, now: DateTime<Utc>) {
        self.state = state;
        self.ended_at = Some(now);
    }

    fn require(&self, states: &[WishState], needed: &str) -> Result<(), Refusal> {
        if states.contains(&self.state) {
            return Ok(());
        }
        Err(Refusal::WrongState {
            resource: Resource::Wish,
            id: self.id,
            state: self.word().to_owned(),
            needed: needed.to_owned(),
        })
    }
}
