//! Many calls decided together: what they touch is read into a book, they are applied to it one after another, and what has changed
//! is written. Each has a verdict of its own, as if it had come alone.
//!
//! Stock, quota and the one step under way of each redemption are kept here; who may take what is the offer's rule, and what
//! becomes of a redemption its own.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Cause, Counter, Kind, Member, MerchantState, Offer, Operation, Order, Redemption,
    RedemptionState, Refusal, Resource, Settled, Step, Verdict, Way,
};

/// An offer, and what else decides whether it can be taken.
#[derive(Debug, Clone)]
pub struct Stand {
    /// The offer.
    pub offer: Offer,
    /// Where its merchant stands; read when somebody takes the offer.
    pub merchant: Option<MerchantState>,
    /// Whether an agreement of the merchant covers the local date.
    pub agreed: bool,
}

/// Who takes how many of what, and how.
#[derive(Debug, Clone)]
pub struct Taking {
    /// The order.
    pub order: Order,
    /// How it is taken.
    pub way: Way,
    /// Who takes; nothing when there is no such member.
    pub member: Option<Member>,
    /// Who of the staff names them, when they are not there themself.
    pub assisted_by: Option<String>,
}

/// A step that was decided and is on its way to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The step.
    pub operation: Operation,
    /// Its redemption as it stands.
    pub redemption: Redemption,
}

/// Why a step does not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// A rule says no.
    Refused(Refusal),
    /// This step of the same redemption is under way.
    Busy(Uuid),
}

impl From<Refusal> for Hindrance {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// How far a redemption is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undoing {
    /// There is none: the ledger refused it.
    Gone,
    /// Wholly.
    Undone(Redemption),
    /// Nothing is begun: this step of it is under way.
    Busy(Uuid),
    /// This step has begun.
    Begun(Begun),
}

/// What a book's owner has to write.
#[derive(Debug, Default)]
pub struct Changes {
    /// What is added to the stock that is left of each offer, or taken from it.
    pub stock: HashMap<Uuid, i64>,
    /// Redemptions that are new.
    pub made: Vec<Redemption>,
    /// Redemptions that have changed.
    pub changed: HashMap<Uuid, Redemption>,
    /// Redemptions that never came about.
    pub removed: Vec<Uuid>,
    /// Steps that have begun.
    pub begun: Vec<Operation>,
    /// Steps that have ended, each with the ledger's entry unless it was refused.
    pub ended: Vec<(Uuid, Option<i64>)>,
    /// Which step led from where to where.
    pub transitions: Vec<(Operation, RedemptionState, RedemptionState)>,
}

/// What calls touch, as it stands while they are applied.
#[derive(Debug)]
pub struct Book {
    /// The community.
    pub community: Uuid,
    /// The time of all decisions.
    pub now: DateTime<Utc>,
    /// The offers.
    pub offers: HashMap<Uuid, Stand>,
    /// The redemptions.
    pub redemptions: HashMap<Uuid, Redemption>,
    /// The step under way of each redemption that has one.
    pub pending: HashMap<Uuid, Uuid>,
    /// What a member has of an offer that limits it, by offer and member.
    pub taken: HashMap<(Uuid, Uuid), i64>,
    /// What has changed.
    pub changes: Changes,
}

impl Book {
    /// An empty book.
    pub fn new(community: Uuid, now: DateTime<Utc>) -> Self {
        Self {
            community,
            now,
            offers: HashMap::new(),
            redemptions: HashMap::new(),
            pending: HashMap::new(),
            taken: HashMap::new(),
            changes: Changes::default(),
        }
    }

    /// Decides whether a member may take an offer, but for the points; returns the redemption to be.
    pub fn admit(&self, id: Uuid, taking: &Taking) -> Result<Redemption, Refusal> {
        let not_found = |resource, id| Refusal::NotFound { resource, id };
        let order = taking.order;
        order.check_payer(self.now)?;
        let member = taking.member.as_ref();
        let member = member.ok_or(not_found(Resource::Member, order.member))?;
        let stand = self.offers.get(&order.offer);
        let stand = stand.ok_or(not_found(Resource::Offer, order.offer))?;
        let offer = &stand.offer;
        let merchant = stand.merchant;
        let taken = self.taken.get(&(offer.id, order.member));
        offer.admit(&Counter {
            merchant: merchant.ok_or(not_found(Resource::Merchant, offer.merchant))?,
            agreed: stand.agreed,
            member,
            taken: taken.copied().unwrap_or_default(),
            quantity: order.quantity,
            now: taking.way.time(self.now),
        })?;
        Ok(Redemption {
            community: self.community,
            id,
            member: order.member,
            offer: offer.id,
            merchant: offer.merchant,
            programme: offer.programme,
            offer_revision: offer.revision,
            title: offer.title.clone(),
            unit_points: offer.points,
            asset: offer.asset.clone(),
            reversal_days: offer.reversal_days,
            quantity: order.quantity,
            captured_quantity: 0,
            reversed_quantity: 0,
            reversals: 0,
            state: RedemptionState::Pending,
            expires_at: match taking.way {
                Way::Hold(ttl) => Some(self.now + ttl),
                Way::Redeem | Way::Forward(_) => None,
            },
            created_at: self.now,
            captured_at: None,
            ledger_entry: None,
            terminal: order.till.map(|till| till.terminal),
            store: order.till.and_then(|till| till.store),
            assisted_by: taking.assisted_by.clone(),
            offline: match taking.way {
                Way::Hold(_) | Way::Redeem => None,
                Way::Forward(offline) => Some(offline),
            },
        })
    }

    /// Reserves stock and quota for a member.
    pub fn take(&mut self, cause: &Cause, taking: &Taking) -> Result<Begun, Hindrance> {
        let redemption = self.admit(cause.id, taking)?;
        let what = (taking.way.kind(), redemption.quantity);
        let operation = cause.operation(&redemption, what, self.now);
        self.add_stock(redemption.offer, -redemption.quantity);
        self.count(&redemption, redemption.counted());
        self.changes.made.push(redemption.clone());
        Ok(self.begin(operation, redemption))
    }

    /// Decides the next step of a redemption.
    pub fn step(&mut self, cause: &Cause, id: Uuid, step: &Step) -> Result<Begun, Hindrance> {
        let resource = Resource::Redemption;
        let redemption = self.redemptions.get(&id);
        let redemption = redemption.ok_or(Refusal::NotFound { resource, id })?;
        if let Some(operation) = self.pending.get(&id) {
            return Err(Hindrance::Busy(*operation));
        }
        let quantity = step.decide(redemption, self.now)?;
        let mut operation = cause.operation(redemption, (step.kind(), quantity), self.now);
        match step {
            Step::Reverse(reversal) => {
                operation.operator.clone_from(&reversal.operator);
                operation.reason.clone_from(&reversal.reason);
            }
            Step::Capture(_) | Step::Release => {}
        }
        let redemption = redemption.clone();
        Ok(self.begin(operation, redemption))
    }

    /// Begins the step that undoes a redemption, whichever that is.
    pub fn undo(&mut self, cause: &Cause, id: Uuid) -> Result<Undoing, Refusal> {
        let Some(redemption) = self.redemptions.get(&id) else {
            return Ok(Undoing::Gone);
        };
        if let Some(operation) = self.pending.get(&id) {
            return Ok(Undoing::Busy(*operation));
        }
        let redemption = redemption.clone();
        let Some(what) = redemption.undo(self.now)? else {
            return Ok(Undoing::Undone(redemption));
        };
        let operation = Operation {
            reason: "cancelled by its request_id".into(),
            ..cause.operation(&redemption, what, self.now)
        };
        Ok(Undoing::Begun(self.begin(operation, redemption)))
    }

    /// Works out what the ledger's answer to a step leads to; nothing when the step has ended before.
    pub fn settle(&mut self, operation: &Operation, verdict: &Verdict) -> Option<Settled> {
        let id = operation.redemption;
        if self.pending.get(&id) != Some(&operation.id) {
            return None;
        }
        // It is there while it has a step under way.
        let before = self.redemptions.remove(&id)?;
        self.pending.remove(&id);
        let entry = match verdict {
            Verdict::Done(receipt) => Some(receipt.entry),
            Verdict::Refused(_) => None,
        };
        self.changes.ended.push((operation.id, entry));
        let settled = before.clone().settle(operation, verdict);
        self.add_stock(before.offer, settled.stock_back);
        match &settled.redemption {
            Some(after) => self.change(operation, &before, after),
            None => {
                self.count(&before, -before.counted());
                self.changes.removed.push(id);
            }
        }
        Some(settled)
    }

    /// Ends the holds of these offers that have run out and gives their stock back, unless a step of theirs is under way: then that
    /// decides. A step that nobody called for has an id that no caller can have chosen. Returns how many came back; the ledger lets go of the points soon after.
    pub fn expire(&mut self, offers: &HashSet<Uuid>, mut id_of_step: impl FnMut() -> Uuid) -> i64 {
        let due = self.redemptions.values().filter(|held| {
            let is_over = held.expires_at.is_some_and(|end| end <= self.now);
            held.state == RedemptionState::Held && is_over && offers.contains(&held.offer)
        });
        let mut due: Vec<Uuid> = due.map(|held| held.id).collect();
        due.retain(|id| !self.pending.contains_key(id));
        due.sort_unstable();
        let mut stock_back = 0;
        for id in due {
            let Some(held) = self.redemptions.remove(&id) else {
                continue;
            };
            let cause = Cause {
                id: id_of_step(),
                traceparent: None,
            };
            let operation = Operation {
                reason: "the hold's time is over".into(),
                due_at: self.now,
                ..cause.operation(&held, (Kind::Expire, held.quantity), self.now)
            };
            let expired = held.clone().expire();
            stock_back += held.quantity;
            self.add_stock(held.offer, held.quantity);
            self.change(&operation, &held, &expired);
            self.begin(operation, expired);
        }
        stock_back
    }

    fn begin(&mut self, operation: Operation, redemption: Redemption) -> Begun {
        self.pending.insert(redemption.id, operation.id);
        self.redemptions.insert(redemption.id, redemption.clone());
        self.changes.begun.push(operation.clone());
        Begun {
            operation,
            redemption,
        }
    }

    fn change(&mut self, operation: &Operation, before: &Redemption, after: &Redemption) {
        if after != before {
            self.count(before, after.counted() - before.counted());
            self.changes.changed.insert(after.id, after.clone());
            let transition = (operation.clone(), before.state, after.state);
            self.changes.transitions.push(transition);
        }
        self.redemptions.insert(after.id, after.clone());
    }

    fn add_stock(&mut self, offer: Uuid, quantity: i64) {
        if quantity == 0 {
            return;
        }
        *self.changes.stock.entry(offer).or_default() += quantity;
        if let Some(stand) = self.offers.get_mut(&offer) {
            stand.offer.stock_left += quantity;
        }
    }

    fn count(&mut self, of: &Redemption, more: i64) {
        if let Some(taken) = self.taken.get_mut(&(of.offer, of.member)) {
            *taken += more;
        }
    }
}
