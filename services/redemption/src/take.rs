//! Holding and redeeming: a member takes an offer at the counter.

use chrono::{DateTime, TimeDelta, Utc};
use runtime::Deadline;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Redemption,
    call::Stop,
    domain::{
        self, Counter, Kind, LedgerReceipt, Member, Name, Offer, Operation, RedemptionState,
        Refusal, Resource,
    },
    remote::Purse,
    settle::HEAD_START,
    store::{self, Call, Outcome},
};

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
    fn check_payer(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        match self.known_by {
            KnownBy::Handle { expires_at } if expires_at <= now => Err(Refusal::HandleExpired {
                expired_at: expires_at,
            }),
            KnownBy::Handle { .. } | KnownBy::Themself | KnownBy::Staff => Ok(()),
        }
    }
}

/// The redemption to be, once a member may take the offer.
struct Admitted {
    redemption: domain::Redemption,
    /// Whether holds of the offer whose time is over were ended on the way.
    has_expired: bool,
}

/// How it is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// Held for so long.
    Hold(TimeDelta),
    /// At once.
    Redeem,
}

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
        if order.validate_only {
            return self.preview(&call, order, way, deadline).await;
        }
        self.answered(&call, deadline, async {
            self.stop_if_known(&call).await?;
            order.check_payer(self.clock.now())?;
            let member = self.member(&call, order, deadline).await?;
            self.reserve(&call, order, way, &member).await
        })
        .await
    }

    /// Reserves stock and quota and writes down the step towards the ledger, which then is on its way.
    pub(crate) async fn reserve<T>(
        &self,
        call: &Call,
        order: Order,
        way: Way,
        member: &Member,
    ) -> Result<T, Stop> {
        let mut tx = self.begin(call).await?;
        let admitted = self.admit(&mut tx, call, order, way, member).await?;
        let redemption = admitted.redemption;
        let operation = Operation {
            community: redemption.community,
            id: redemption.id,
            redemption: redemption.id,
            kind: match way {
                Way::Hold(_) => Kind::Hold,
                Way::Redeem => Kind::Redeem,
            },
            quantity: redemption.quantity,
            operator: String::new(),
            reason: String::new(),
            traceparent: runtime::current_traceparent(),
            due_at: redemption.created_at + HEAD_START,
            created_at: redemption.created_at,
        };
        let offer = Name {
            community: redemption.community,
            id: redemption.offer,
        };
        if !store::offer_take_stock(&mut tx, offer, redemption.quantity).await? {
            let what = "stock that was admitted under lock is gone";
            return Err(Error::Broken(what.into()).into());
        }
        store::redemption_insert(&mut tx, &redemption).await?;
        store::operation_insert(&mut tx, &operation).await?;
        tx.commit().await?;
        if admitted.has_expired {
            self.recovery.nudge();
        }
        Err(Stop::Known(Outcome::Pending))
    }

    /// Answers as a hold or redemption would be answered.
    async fn preview(
        &self,
        call: &Call,
        order: Order,
        way: Way,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        order.check_payer(self.clock.now())?;
        let member = self.member(call, order, deadline).await?;
        let mut tx = self.pool.begin().await?;
        let admitted = self.admit(&mut tx, call, order, way, &member).await?;
        // Nothing has changed but holds whose time is over: the recovery loop will see to those.
        tx.rollback().await?;
        let redemption = admitted.redemption;
        let needed = redemption.points(redemption.quantity);
        let purse = Purse {
            community: redemption.community,
            programme: redemption.programme,
            member: redemption.member,
        };
        let available = self.ledger.available(purse, deadline).await?;
        if available < needed {
            return Err(Error::Refused(Refusal::InsufficientPoints {
                needed,
                available: Some(available),
            }));
        }
        Ok(match way {
            Way::Hold(_) => domain::Redemption {
                state: RedemptionState::Held,
                ..redemption
            },
            Way::Redeem => {
                let (quantity, at) = (redemption.quantity, redemption.created_at);
                domain::Redemption {
                    ledger_entry: None,
                    ..redemption.captured(quantity, LedgerReceipt { entry: 0, at })
                }
            }
        })
    }

    async fn member(&self, call: &Call, order: Order, deadline: Deadline) -> Result<Member, Error> {
        let name = Name {
            community: call.community,
            id: order.member,
        };
        let member = self.activity.member(name, deadline).await?;
        member.ok_or(Error::Refused(Refusal::NotFound {
            resource: Resource::Member,
            id: order.member,
        }))
    }

    /// Locks the offer and decides whether the member may take it, but for the points; returns the redemption to be.
    async fn admit(
        &self,
        conn: &mut PgConnection,
        call: &Call,
        order: Order,
        way: Way,
        member: &Member,
    ) -> Result<Admitted, Error> {
        let name = Name {
            community: call.community,
            id: order.offer,
        };
        let not_found = |resource, id| Error::Refused(Refusal::NotFound { resource, id });
        let mut offer = store::offer_lock(conn, name)
            .await?
            .ok_or(not_found(Resource::Offer, order.offer))?;
        let stock_back = self.expire_holds(conn, name).await?;
        offer.stock_left += stock_back;
        let now = self.clock.now();
        let merchant = Name {
            community: call.community,
            id: offer.merchant,
        };
        let counter = Counter {
            merchant: store::merchant_find(&mut *conn, merchant)
                .await?
                .ok_or(not_found(Resource::Merchant, offer.merchant))?
                .state,
            agreed: store::agreement_covers(&mut *conn, merchant, offer.local_date(now)).await?,
            member,
            taken: store::redemption_quantity_of(&mut *conn, name, order.member).await?,
            quantity: order.quantity,
            now,
        };
        offer.admit(&counter)?;
        Ok(Admitted {
            redemption: redemption_of(call, order, way, offer, now),
            has_expired: stock_back > 0,
        })
    }
}

/// The redemption of an order, under the offer's terms of now.
fn redemption_of(
    call: &Call,
    order: Order,
    way: Way,
    offer: Offer,
    now: DateTime<Utc>,
) -> domain::Redemption {
    domain::Redemption {
        community: call.community,
        id: call.request_id,
        member: order.member,
        offer: offer.id,
        merchant: offer.merchant,
        programme: offer.programme,
        offer_revision: offer.revision,
        title: offer.title,
        unit_points: offer.points,
        asset: offer.asset,
        reversal_days: offer.reversal_days,
        quantity: order.quantity,
        captured_quantity: 0,
        reversed_quantity: 0,
        reversals: 0,
        state: RedemptionState::Pending,
        expires_at: match way {
            Way::Hold(ttl) => Some(now + ttl),
            Way::Redeem => None,
        },
        created_at: now,
        captured_at: None,
        ledger_entry: None,
        terminal: order.till.map(|till| till.terminal),
        store: order.till.and_then(|till| till.store),
        offline: None,
        assisted_by: (order.known_by == KnownBy::Staff).then(|| call.by.subject.clone()),
    }
}
