//! Use cases on a real Postgres, under the service's own rights. The other services' ports are closed throughout.

mod people;
mod pledges;
mod reversals;
mod values;
mod wishes;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::{Access, Client, Clock, Ids, KeyRing, TestDatabase};
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use uuid::Uuid;

use crate::{
    ROLE, Wishes,
    domain::{
        Community,
        call::Call,
        wish::{Priority, Scope, Unit, Wish, WishState},
    },
    store,
};

/// A community and a clock that stands still.
struct World {
    wishes: Wishes,
    pool: PgPool,
    clock: Clock,
    ids: Ids,
    community: Community,
    programme: Uuid,
    _database: TestDatabase,
}

/// Monday, 20 May 2024, 08:00 in Shanghai.
fn start() -> DateTime<Utc> {
    "2024-05-20T00:00:00Z".parse().unwrap()
}

impl World {
    async fn start() -> Self {
        let database = TestDatabase::new().await;
        let pool = database.pool(ROLE).await;
        let clock = Clock::manual(start());
        let ids = Ids::new(clock.clone());
        // Port 1 is reserved and nobody listens there.
        let closed = Client::new(runtime::channel("http://127.0.0.1:1").unwrap(), None);
        let services = (closed.clone(), closed);
        let keys = KeyRing::parse(&KeyRing::new_entry()).unwrap();
        Self {
            wishes: Wishes::new(pool.clone(), clock.clone(), ids.clone(), services, keys),
            pool,
            community: Community(ids.next()),
            programme: ids.next(),
            clock,
            ids,
            _database: database,
        }
    }

    /// A connection; what it makes happen is numbered with the next call's.
    async fn conn(&self) -> PoolConnection<Postgres> {
        self.pool.acquire().await.unwrap()
    }

    /// A call that nobody has made yet.
    fn call(&self, method: &'static str) -> Call {
        Call {
            community: self.community,
            request_id: self.ids.next(),
            method,
            fingerprint: [7; 32],
            by: Access::everything("test").actor(),
            resource: String::new(),
            reason: None,
        }
    }

    /// A wish for some things, SUBMITTED, that closes in ten days.
    async fn wish(&self, target: i64) -> Wish {
        let closes_at = start() + TimeDelta::days(10);
        let wish = Wish {
            community: self.community,
            id: self.ids.next(),
            programme: self.programme,
            beneficiary: self.ids.next(),
            proxy: None,
            visit: None,
            round: None,
            category: "material".to_owned(),
            scope: Scope::Individual,
            priority: Priority::Normal,
            title: "一台电风扇".to_owned(),
            description: String::new(),
            unit: Unit::Each,
            target,
            pledged: 0,
            delivered: 0,
            confirmed: 0,
            settling: 0,
            reversed: 0,
            supplier: None,
            estimated_value: None,
            state: WishState::Submitted,
            created_at: self.clock.now(),
            published_at: None,
            closes_at,
            confirms_until: closes_at + TimeDelta::days(30),
            ended_at: None,
            rating: None,
            feedback: String::new(),
        };
        store::wish::insert(&mut *self.conn().await, &wish)
            .await
            .unwrap();
        wish
    }
}
