//! Use cases on a real Postgres, with the other services out of reach: what is decided here, and what is left for later.

mod batches;
mod calls;
mod closing;
mod steps;
mod taking;
mod telling;
mod terminals;

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Asia;
use runtime::{Access, Actor, Client, Clock, Deadline, Ids, TestDatabase};
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    Call, Error, KnownBy, ListFilter, NewAgreement, NewMerchant, Order, Page, ROLE, Redemption,
    Reversal,
    domain::{
        self, Audience, Begun, LedgerReceipt, LedgerRefusal, Member, MemberKind, Name, Offer,
        OfferState, RedemptionState, Refusal, Taking, Verdict, Way, Zone,
    },
    engine::{Ask, Decision, Wish},
    store::{self, Lease, NewPrice, Outcome},
};

const MEMBER: Member = Member {
    kind: MemberKind::Resident,
    birth_year: None,
    is_erased: false,
};

/// A shop with one offer, open at ten in the morning.
struct Shop {
    service: Redemption,
    clock: Clock,
    pool: PgPool,
    offer: Offer,
    ann: Uuid,
    _database: TestDatabase,
}

impl Shop {
    async fn with_stock(stock: i64) -> Self {
        let database = TestDatabase::new().await;
        let pool = database.pool(ROLE).await;
        let clock = Clock::manual("2026-03-10T02:00:00Z".parse().unwrap());
        let ids = Ids::seeded(clock.clone(), 7);
        let nowhere = || Client::new(runtime::channel("http://127.0.0.1:1").unwrap(), None);
        let service = Redemption::new(
            pool.clone(),
            clock.clone(),
            ids.clone(),
            nowhere(),
            nowhere(),
        );
        let community = ids.next();
        let call = |method| call_of(community, ids.next(), method);
        let new = NewMerchant {
            id: None,
            number: "M01".into(),
            display_name: "理发店".into(),
            category: String::new(),
        };
        let merchant = service
            .create_merchant(call("CreateMerchant"), new)
            .await
            .unwrap();
        let offer = offer_of(&merchant, ids.next(), stock);
        let agreement = NewAgreement {
            id: None,
            start: offer.start,
            end: offer.end,
        };
        let merchant = Name {
            community,
            id: merchant.id,
        };
        service
            .create_agreement(call("CreateAgreement"), merchant, agreement)
            .await
            .unwrap();
        let mut conn = pool.acquire().await.unwrap();
        store::offer_insert(&mut conn, &offer).await.unwrap();
        let price = NewPrice {
            request_id: ids.next(),
            at: clock.now(),
        };
        store::offer_revision_insert(&mut conn, &offer, price)
            .await
            .unwrap();
        Self {
            service,
            clock,
            pool,
            offer,
            ann: ids.next(),
            _database: database,
        }
    }

    fn call(&self, method: &'static str) -> Call {
        call_of(self.offer.community, self.service.ids.next(), method)
    }

    fn name(&self, id: Uuid) -> Name {
        Name {
            community: self.offer.community,
            id,
        }
    }

    fn order(&self, quantity: i64) -> Order {
        Order {
            member: self.ann,
            offer: self.offer.id,
            quantity,
            validate_only: false,
            known_by: KnownBy::Themself,
            till: None,
        }
    }

    async fn reserve(&self, call: &Call, order: Order, way: Way) -> Result<(), Refusal> {
        let member = Some(MEMBER);
        match self
            .decide(
                call,
                Wish::Take(Taking {
                    order,
                    way,
                    member,
                    assisted_by: None,
                }),
            )
            .await
        {
            Decision::Begun(_) | Decision::Known(Outcome::Pending) => Ok(()),
            Decision::Known(Outcome::Refused(refusal)) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    async fn decide(&self, call: &Call, wish: Wish) -> Decision {
        let ask = Ask {
            call: call.clone(),
            wish,
            traceparent: None,
        };
        let decided = self.service.engine.decide(ask, Deadline::default());
        decided.await.unwrap()
    }

    /// Lets the ledger's answer to a step come in.
    async fn answer(&self, operation: Uuid, verdict: Verdict) -> Option<Refusal> {
        let name = self.name(operation);
        let operation = store::operation_find_pending(&self.pool, name)
            .await
            .unwrap()
            .unwrap();
        let redemption = self.redemption(operation.redemption).await.unwrap();
        let step = Begun {
            operation,
            redemption,
        };
        let settled = self.service.engine.settle(step, verdict).await.unwrap();
        settled.unwrap().refusal
    }

    fn done(&self) -> Verdict {
        Verdict::Done(LedgerReceipt {
            entry: 17,
            at: self.clock.now(),
        })
    }

    async fn held(&self, quantity: i64, ttl: TimeDelta) -> Uuid {
        let call = self.call("HoldRedemption");
        self.reserve(&call, self.order(quantity), Way::Hold(ttl))
            .await
            .unwrap();
        assert_eq!(self.answer(call.request_id, self.done()).await, None);
        call.request_id
    }

    async fn redeemed(&self, quantity: i64) -> Uuid {
        let call = self.call("Redeem");
        self.reserve(&call, self.order(quantity), Way::Redeem)
            .await
            .unwrap();
        assert_eq!(self.answer(call.request_id, self.done()).await, None);
        call.request_id
    }

    async fn redemption(&self, id: Uuid) -> Option<domain::Redemption> {
        store::redemption_find(&self.pool, self.name(id))
            .await
            .unwrap()
    }

    async fn state(&self, id: Uuid) -> RedemptionState {
        self.redemption(id).await.unwrap().state
    }

    async fn stock_left(&self) -> i64 {
        let name = self.name(self.offer.id);
        self.service.get_offer(name).await.unwrap().stock_left
    }

    async fn count(&self, table: &'static str) -> i64 {
        let statement = match table {
            "operation" => "select count(*) from redemption.operation",
            "redemption" => "select count(*) from redemption.redemption",
            "transition" => "select count(*) from redemption.transition",
            other => panic!("no table {other}"),
        };
        sqlx::query_scalar(statement)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

/// Who asks.
fn asker() -> Actor {
    Access::everything("test").actor()
}

fn call_of(community: Uuid, request_id: Uuid, method: &'static str) -> Call {
    Call {
        community,
        request_id,
        method,
        fingerprint: vec![1],
        by: asker(),
        resource: String::new(),
    }
}

fn offer_of(merchant: &domain::Merchant, id: Uuid, stock: i64) -> Offer {
    Offer {
        community: merchant.community,
        id,
        merchant: merchant.id,
        programme: Uuid::from_u128(4),
        title: "理发".into(),
        points: 30,
        revision: 1,
        stock,
        stock_left: stock,
        per_member_limit: None,
        audience: Audience::All,
        start: "2026-03-01".parse().unwrap(),
        end: "2026-03-31".parse().unwrap(),
        reversal_days: 7,
        state: OfferState::Active,
        asset: "points".into(),
        time_zone: Zone(Asia::Shanghai),
        created_at: merchant.created_at,
    }
}

fn refused(reason: &str) -> Verdict {
    Verdict::Refused(LedgerRefusal {
        reason: reason.into(),
        available: Some(5),
    })
}

const FIVE_MINUTES: TimeDelta = TimeDelta::minutes(5);

impl Shop {
    async fn reverse(&self, call: Call, id: Uuid, quantity: Option<i64>) {
        let reversal = Reversal {
            quantity,
            reason: "误操作".into(),
            operator: "clerk".into(),
        };
        let id_of_step = call.request_id;
        let name = self.name(id);
        let waiting = self
            .service
            .reverse_redemption(call, name, reversal, Deadline::default());
        assert!(matches!(waiting.await, Err(Error::Unavailable("ledger"))));
        assert_eq!(self.answer(id_of_step, self.done()).await, None);
    }
}
