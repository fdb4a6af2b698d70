//! Holding and redeeming: a member takes an offer at the counter.

use std::collections::{BTreeSet, HashSet};

use chrono::TimeDelta;
use runtime::Deadline;

use crate::{
    Error, Redemption,
    domain::{
        self, KnownBy, LedgerReceipt, Member, Name, Order, RedemptionState, Refusal, Taking, Way,
    },
    engine::Wish,
    remote::Purse,
    store::{Call, Needs},
};

impl Redemption {
    /// Reserves points, stock and quota for a member.
    pub async fn hold_redemption(
        &self,
        call: Call,
        order: Order,
        ttl: TimeDelta,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        self.take(call, order, Way::Hold(ttl), deadline).await
    }

    /// Spends a member's points at once.
    pub async fn redeem(
        &self,
        call: Call,
        order: Order,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        self.take(call, order, Way::Redeem, deadline).await
    }

    async fn take(
        &self,
        call: Call,
        order: Order,
        way: Way,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        let name = Name {
            community: call.community,
            id: order.member,
        };
        if order.validate_only {
            let member = self.member(name, deadline).await?;
            let taking = taking(&call, order, way, member);
            return self.preview(&call, &taking, deadline).await;
        }
        let member = match self.members.known(name, self.clock.now()) {
            Some(member) => Some(member),
            None => {
                // Activity is not asked for what a repeated call does not need.
                if let Some(outcome) = self.outcome(&call).await? {
                    return self.answer_of(&call, outcome, deadline).await;
                }
                self.member(name, deadline).await?
            }
        };
        let wish = Wish::Take(taking(&call, order, way, member));
        self.ask(call, wish, deadline).await
    }

    /// Answers as a hold or redemption would be answered.
    async fn preview(
        &self,
        call: &Call,
        taking: &Taking,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        let order = taking.order;
        let needs = Needs {
            takes: BTreeSet::from([(order.offer, order.member)]),
            ..Needs::default()
        };
        let mut tx = runtime::begin_by_key(&self.pool).await?;
        let mut book = self.open(&mut tx, call.community, &needs).await?;
        book.expire(&HashSet::from([order.offer]), || self.ids.next());
        let redemption = book.admit(call.request_id, taking)?;
        // Nothing would change but holds whose time is over: the recovery loop will see to those.
        tx.rollback().await?;
        let needed = redemption.points(redemption.quantity);
        let purse = Purse::of(&redemption);
        let available = self.ledger.available(purse, deadline).await?;
        if available < needed {
            return Err(Error::Refused(Refusal::InsufficientPoints {
                needed,
                available: Some(available),
            }));
        }
        Ok(match taking.way {
            Way::Hold(_) => domain::Redemption {
                state: RedemptionState::Held,
                ..redemption
            },
            Way::Redeem | Way::Forward(_) => {
                let (quantity, at) = (redemption.quantity, redemption.created_at);
                domain::Redemption {
                    ledger_entry: None,
                    ..redemption.captured(quantity, LedgerReceipt { entry: 0, at })
                }
            }
        })
    }

    async fn member(&self, name: Name, deadline: Deadline) -> Result<Option<Member>, Error> {
        let member = self.activity.member(name, deadline).await?;
        if let Some(member) = member {
            self.members.know(name, member, self.clock.now());
        }
        Ok(member)
    }
}

fn taking(call: &Call, order: Order, way: Way, member: Option<Member>) -> Taking {
    let assisted = order.known_by == KnownBy::Staff;
    Taking {
        order,
        way,
        member,
        assisted_by: assisted.then(|| call.by.subject.clone()),
    }
}
