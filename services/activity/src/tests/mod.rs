//! Use cases on a real Postgres, under the service's own rights. The ledger's port is closed throughout: no use case but
//! the start of a programme needs it.

mod adjusting;
mod erasing;
mod happening;
mod oversight;
mod payouts;
mod persons;
mod policies;
mod relaying;
mod repeating;
mod reporting;
mod requests;
mod revoking;
mod simulating;
mod telling;
mod verifying;
mod waiting;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::{Access, Client, Clock, Ids, KeyRing, TestDatabase};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    Activity, Error, ROLE,
    domain::{
        Community,
        call::Call,
        grant::Grant,
        member::{Member, MemberKind},
        person::Person,
        policy::{Cap, EarnRule, Period, Policy, Source},
        programme::{Programme, Summary},
        refusal::Refusal,
        revision::RevisionKey,
        service_record::{Role, ServiceRecord},
    },
    member::NewMember,
    service_record::{Decide, NewServiceRecord},
    store,
};

/// A community with a programme of 100 points, 10 an hour, at most 60 a day, and a clock that stands still.
struct World {
    activity: Activity,
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

fn policy() -> Policy {
    Policy {
        earn_rules: vec![EarnRule::Service {
            category: "*".to_owned(),
            per_hour: 10,
        }],
        multipliers: vec![],
        caps: vec![Cap {
            source: Some(Source::Service),
            period: Period::Day,
            limit: 60,
        }],
        expiry_months: Some(6),
    }
}

impl World {
    async fn start() -> Self {
        Self::with_budget(Some(100)).await
    }

    async fn with_budget(budget: Option<i64>) -> Self {
        let world = Self::without_policy(budget).await;
        world.activate(policy()).await;
        world
    }

    async fn without_policy(budget: Option<i64>) -> Self {
        let database = TestDatabase::new().await;
        let pool = database.pool(ROLE).await;
        let clock = Clock::manual(start());
        let ids = Ids::new(clock.clone());
        // Port 1 is reserved and nobody listens there.
        let closed = Client::new(runtime::channel("http://127.0.0.1:1").unwrap(), None);
        let activity = Activity::new(pool.clone(), clock.clone(), ids.clone(), closed, keys());
        let programme = Programme {
            community: Community(ids.next()),
            id: ids.next(),
            display_name: "积分".to_owned(),
            asset: "points".to_owned(),
            exponent: 0,
            time_zone: chrono_tz::Tz::Asia__Shanghai,
            budget,
            second_person_days: 7,
            expiry_notice_days: vec![30, 7, 1],
            created_at: start(),
        };
        store::programme::insert(&pool, &programme).await.unwrap();
        Self {
            activity,
            pool,
            clock,
            ids,
            community: programme.community,
            programme: programme.id,
            _database: database,
        }
    }

    async fn activate(&self, policy: Policy) -> RevisionKey {
        let call = self.call("CreatePolicyRevision");
        let revision = self
            .activity
            .create_policy_revision(&call, self.programme, policy)
            .await
            .unwrap();
        let key = RevisionKey {
            community: self.community,
            programme: self.programme,
            revision: revision.id,
        };
        let call = self.call("ActivatePolicyRevision");
        self.activity
            .activate_policy_revision(&call, key)
            .await
            .unwrap();
        key
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

    async fn member(&self) -> Member {
        let person = Person {
            name: "王小明".to_owned(),
            phone: "13912345678".to_owned(),
        };
        let new = NewMember {
            id: None,
            number: None,
            kind: MemberKind::Resident,
            team: None,
            birth_year: Some(1960),
            person,
        };
        self.activity
            .create_member(&self.call("CreateMember"), new)
            .await
            .unwrap()
            .member
    }

    /// A service of some hours that began so many hours before the world's start; PENDING.
    async fn served(&self, member: &Member, hours_ago: i64, hours: i64) -> ServiceRecord {
        let started_at = start() - TimeDelta::hours(hours_ago);
        let new = NewServiceRecord {
            id: None,
            programme: self.programme,
            member: member.id,
            is_member: false,
            role: Role::Member,
            category: "patrol".to_owned(),
            activity: "night round".to_owned(),
            started_at,
            ended_at: started_at + TimeDelta::hours(hours),
            evidence: vec![],
        };
        let call = self.call("CreateServiceRecord");
        self.activity
            .create_service_record(&call, new)
            .await
            .unwrap()
    }

    async fn verify(&self, record: &ServiceRecord) -> Result<ServiceRecord, Error> {
        let call = self.call("VerifyServiceRecord");
        self.activity
            .verify_service_record(&call, by("STAFF01", record))
            .await
    }

    /// A verified service and its grant.
    async fn granted(&self, member: &Member, hours_ago: i64, hours: i64) -> (ServiceRecord, Grant) {
        let record = self.served(member, hours_ago, hours).await;
        let record = self.verify(&record).await.unwrap();
        let grant = self.grant(&record).await;
        (record, grant)
    }

    async fn revoke(&self, record: &ServiceRecord) -> Result<ServiceRecord, Error> {
        let call = self.call("RevokeServiceRecord");
        self.activity
            .revoke_service_record(&call, by("STAFF01", record))
            .await
    }

    /// The grant of a record as it stands now.
    async fn grant(&self, record: &ServiceRecord) -> Grant {
        let record = self
            .activity
            .get_service_record(self.community, record.id)
            .await
            .unwrap();
        self.activity
            .get_grant(self.community, record.grant.unwrap())
            .await
            .unwrap()
    }

    async fn summary(&self) -> Summary {
        self.activity
            .get_programme_summary(self.community, self.programme)
            .await
            .unwrap()
    }

    async fn minutes(&self, member: &Member) -> i64 {
        self.activity
            .get_member(self.community, member.id)
            .await
            .unwrap()
            .member
            .service_minutes
    }
}

/// A key ring of one new key.
fn keys() -> KeyRing {
    KeyRing::parse(&KeyRing::new_entry()).unwrap()
}

/// A decision on a record, with a reason for those that need one.
fn by(verifier: &str, record: &ServiceRecord) -> Decide {
    Decide {
        record: record.id,
        by: Access::everything(verifier),
        reason: Some("checked again".to_owned()),
    }
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Refusal {
    match outcome {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}
