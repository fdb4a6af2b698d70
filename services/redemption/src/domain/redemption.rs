//! Redemptions: HELD → CAPTURED → REVERSED, or HELD → RELEASED | EXPIRED, and the steps towards the ledger between them.
//!
//! A step is decided first (`capture`, `release` …: may it be done, and for how many), then carried out by the ledger, then settled
//! here (`settle`: what its answer makes of the redemption). Only one step of a redemption is under way at a time.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Kind, LedgerReceipt, LedgerRefusal, Operation, Refusal, Resource, Verdict};

/// The most of an offer that is taken at once.
pub const MAX_QUANTITY: i64 = 1000;

/// Where a redemption stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedemptionState {
    /// The ledger has not answered yet.
    Pending,
    /// Points, stock and quota are reserved.
    Held,
    /// Spent; a part may have been given back.
    Captured,
    /// Spent and wholly given back.
    Reversed,
    /// Given back before it was spent.
    Released,
    /// Given back because its time was over.
    Expired,
}

impl RedemptionState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Held,
        Self::Captured,
        Self::Reversed,
        Self::Released,
        Self::Expired,
    ];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Captured => "captured",
            Self::Reversed => "reversed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// What an answered step leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The redemption after it; nothing when it never came about.
    pub redemption: Option<Redemption>,
    /// How many go back to the offer's stock.
    pub stock_back: i64,
    /// Why the step was refused, if it was.
    pub refusal: Option<Refusal>,
}

impl Settled {
    /// What its call is answered.
    pub fn answer(&self) -> Result<&Redemption, &Refusal> {
        match &self.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(self
                .redemption
                .as_ref()
                .expect("a redemption is undone by a refusal alone")),
        }
    }
}

/// A member takes an offer, under the terms of the moment it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    /// Its community.
    pub community: Uuid,
    /// The request_id that made it.
    pub id: Uuid,
    /// Who takes.
    pub member: Uuid,
    /// What.
    pub offer: Uuid,
    /// From whom.
    pub merchant: Uuid,
    /// Whose points.
    pub programme: Uuid,
    /// The offer's price revision.
    pub offer_revision: i32,
    /// The offer's title.
    pub title: String,
    /// Price of one.
    pub unit_points: i64,
    /// The programme's asset.
    pub asset: String,
    /// How many times 24 h after the capture it can be reversed.
    pub reversal_days: i32,
    /// How many are or were reserved.
    pub quantity: i64,
    /// How many were captured.
    pub captured_quantity: i64,
    /// How many were given back after that.
    pub reversed_quantity: i64,
    /// How many times some were.
    pub reversals: i32,
    /// Where it stands.
    pub state: RedemptionState,
    /// Of a hold: from here on it can't be captured.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was captured.
    pub captured_at: Option<DateTime<Utc>>,
    /// The ledger's entry of the capture.
    pub ledger_entry: Option<i64>,
    /// The till that made it.
    #[serde(default)]
    pub terminal: Option<Uuid>,
    /// That till's store.
    #[serde(default)]
    pub store: Option<Uuid>,
    /// Who of the staff named the member, when the member was not there themself.
    #[serde(default)]
    pub assisted_by: Option<String>,
    /// How it was sold without a network, if it was.
    #[serde(default)]
    pub offline: Option<OfflineUse>,
}

/// That something was sold without a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfflineUse {
    /// What paid.
    pub code: Uuid,
    /// When it was sold, by the till's clock.
    pub sold_at: DateTime<Utc>,
}

impl Redemption {
    /// What so many of it cost, or give back.
    pub fn points(&self, quantity: i64) -> i64 {
        self.unit_points
            .checked_mul(quantity)
            .expect("a price of at most 10^9 times at most 1,000")
    }

    /// How many count towards the member's limit.
    pub fn counted(&self) -> i64 {
        match self.state {
            RedemptionState::Pending | RedemptionState::Held => self.quantity,
            RedemptionState::Captured => self.captured_quantity - self.reversed_quantity,
            RedemptionState::Reversed | RedemptionState::Released | RedemptionState::Expired => 0,
        }
    }

    /// The last instant at which it can be reversed, once it is captured.
    pub fn reversible_until(&self) -> Option<DateTime<Utc>> {
        let days = TimeDelta::days(i64::from(self.reversal_days));
        Some(self.captured_at? + days)
    }

    /// How many can still be given back after capture.
    pub fn reversible_quantity(&self) -> i64 {
        self.captured_quantity - self.reversed_quantity
    }

    /// Decides how many a capture takes.
    pub fn capture(&self, quantity: Option<i64>, now: DateTime<Utc>) -> Result<i64, Refusal> {
        let quantity = quantity.unwrap_or(self.quantity);
        match self.state_at(now) {
            RedemptionState::Held if quantity > self.quantity => Err(Refusal::AmountExceedsHeld {
                held: self.quantity,
                asked: quantity,
            }),
            RedemptionState::Held => Ok(quantity),
            RedemptionState::Captured | RedemptionState::Reversed => Err(Refusal::AlreadyCaptured),
            RedemptionState::Expired => Err(self.hold_expired()),
            state @ (RedemptionState::Pending | RedemptionState::Released) => {
                Err(self.wrong_state(state))
            }
        }
    }

    /// Decides how many a release gives back: all.
    pub fn release(&self, now: DateTime<Utc>) -> Result<i64, Refusal> {
        match self.state_at(now) {
            RedemptionState::Held => Ok(self.quantity),
            RedemptionState::Captured | RedemptionState::Reversed => Err(Refusal::AlreadyCaptured),
            state @ (RedemptionState::Pending
            | RedemptionState::Released
            | RedemptionState::Expired) => Err(self.wrong_state(state)),
        }
    }

    /// Decides how many a reversal gives back.
    pub fn reverse(&self, quantity: Option<i64>, now: DateTime<Utc>) -> Result<i64, Refusal> {
        match self.state_at(now) {
            RedemptionState::Captured => {}
            state @ (RedemptionState::Pending
            | RedemptionState::Held
            | RedemptionState::Reversed
            | RedemptionState::Released
            | RedemptionState::Expired) => return Err(self.wrong_state(state)),
        }
        if let Some(until) = self.reversible_until().filter(|until| now > *until) {
            return Err(Refusal::ReversalWindowClosed { until });
        }
        let left = self.reversible_quantity();
        let asked = quantity.unwrap_or(left);
        if asked > left {
            return Err(Refusal::QuantityExceedsCaptured { left, asked });
        }
        Ok(asked)
    }

    /// Decides which step undoes it, and for how many; none when it is undone already.
    pub fn undo(&self, now: DateTime<Utc>) -> Result<Option<(Kind, i64)>, Refusal> {
        match self.state {
            // A hold that has run out and is not yet expired is freed all the same.
            RedemptionState::Held => Ok(Some((Kind::Release, self.quantity))),
            RedemptionState::Captured => Ok(Some((Kind::Reverse, self.reverse(None, now)?))),
            RedemptionState::Reversed | RedemptionState::Released | RedemptionState::Expired => {
                Ok(None)
            }
            RedemptionState::Pending => Err(self.wrong_state(RedemptionState::Pending)),
        }
    }

    /// Ends a hold that has run out.
    pub fn expire(self) -> Self {
        Self {
            state: RedemptionState::Expired,
            ..self
        }
    }

    /// Works out what the ledger's answer to a step makes of it.
    pub fn settle(self, operation: &Operation, verdict: &Verdict) -> Settled {
        match verdict {
            Verdict::Done(receipt) => self.settle_done(operation, *receipt),
            Verdict::Refused(refusal) => self.settle_refused(operation, refusal),
        }
    }

    fn settle_done(self, operation: &Operation, receipt: LedgerReceipt) -> Settled {
        let quantity = operation.quantity;
        let (redemption, stock_back) = match operation.kind {
            Kind::Hold => (
                Self {
                    state: RedemptionState::Held,
                    ..self
                },
                0,
            ),
            Kind::Redeem | Kind::Capture | Kind::Forward => {
                let rest = self.quantity - quantity;
                (self.captured(quantity, receipt), rest)
            }
            Kind::Release => (
                Self {
                    state: RedemptionState::Released,
                    ..self
                },
                quantity,
            ),
            Kind::Reverse => (self.reversed(quantity), quantity),
            // Its stock went back when it expired.
            Kind::Expire => (self, 0),
        };
        Settled {
            redemption: Some(redemption),
            stock_back,
            refusal: None,
        }
    }

    fn settle_refused(self, operation: &Operation, refusal: &LedgerRefusal) -> Settled {
        let other = Refusal::LedgerRefused {
            reason: refusal.reason.clone(),
        };
        // The ledger holds nothing any more: it has let go of the hold by itself.
        let is_gone = matches!(
            refusal.reason.as_str(),
            "HOLD_EXPIRED" | "HOLD_CLOSED" | "HOLD_NOT_FOUND"
        );
        match operation.kind {
            Kind::Hold | Kind::Redeem | Kind::Forward => {
                let refusal = match refusal.reason.as_str() {
                    "HOLD_EXPIRED" => self.hold_expired(),
                    _ => refusal.for_points(self.points(self.quantity)),
                };
                Settled {
                    redemption: None,
                    stock_back: self.quantity,
                    refusal: Some(refusal),
                }
            }
            Kind::Capture if is_gone => Settled {
                stock_back: self.quantity,
                refusal: Some(self.hold_expired()),
                redemption: Some(self.expire()),
            },
            Kind::Release if is_gone => Settled {
                stock_back: self.quantity,
                redemption: Some(Self {
                    state: RedemptionState::Released,
                    ..self
                }),
                refusal: None,
            },
            Kind::Expire if is_gone => Settled {
                redemption: Some(self),
                stock_back: 0,
                refusal: None,
            },
            Kind::Capture | Kind::Release | Kind::Reverse | Kind::Expire => Settled {
                redemption: Some(self),
                stock_back: 0,
                refusal: Some(other),
            },
        }
    }

    /// As it is once so many are captured.
    pub fn captured(self, quantity: i64, receipt: LedgerReceipt) -> Self {
        Self {
            state: RedemptionState::Captured,
            captured_quantity: quantity,
            captured_at: Some(receipt.at),
            ledger_entry: Some(receipt.entry),
            ..self
        }
    }

    fn reversed(self, quantity: i64) -> Self {
        let reversed_quantity = self.reversed_quantity + quantity;
        let state = if reversed_quantity == self.captured_quantity {
            RedemptionState::Reversed
        } else {
            RedemptionState::Captured
        };
        Self {
            state,
            reversed_quantity,
            reversals: self.reversals + 1,
            ..self
        }
    }

    /// Where it stands by the clock: a hold ends at its instant, whether or not that has been written down.
    fn state_at(&self, now: DateTime<Utc>) -> RedemptionState {
        match (self.state, self.expires_at) {
            (RedemptionState::Held, Some(end)) if now >= end => RedemptionState::Expired,
            (state, _) => state,
        }
    }

    fn hold_expired(&self) -> Refusal {
        Refusal::HoldExpired {
            expired_at: self.expires_at.unwrap_or(self.created_at),
        }
    }

    fn wrong_state(&self, state: RedemptionState) -> Refusal {
        Refusal::WrongState {
            resource: Resource::Redemption,
            id: self.id,
            state: state.as_str().to_owned(),
        }
    }
}
