//! The world of the journeys: a whole system on a database of its own and a clock moved by hand, and short words for
//! what its people do.
//!
//! It speaks to the services over gRPC only and shares nothing with another world, so journeys run side by side.

#![allow(
    clippy::unwrap_used,
    reason = "a journey fails by a panic, its world too"
)]

mod cash;
mod codes;
mod oversight;
mod people;
mod refusal;
mod report;
mod roster;
mod secure;
mod shop;
mod watch;
pub mod web;
pub mod wire;
mod wishing;

pub use people::{Member, Volunteer};
pub use refusal::{Refused, refused};
pub use secure::{Certificate, Secure};
pub use shop::{Draft, Merchant, date};
pub use watch::heard;

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use linli::system::{Clients, KeyRing, Limits, Offline, OfflineKeys, Ports, System, SystemConfig};
use proto::{account_id, activity::v1 as act, ledger::v1 as led};
use runtime::{Clock, Holder, Ids, Minter, Role, TestDatabase};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::JoinSet,
};
use uuid::Uuid;

/// How long a call may take, and whatever happens by itself.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How many worlds there are at once: their services share the connections that one Postgres takes.
static PLACES: Semaphore = Semaphore::const_new(5);
/// How often there is a look at what happens by itself.
const LOOK: Duration = Duration::from_millis(5);

/// Makes one call and returns its answer or status.
#[macro_export]
macro_rules! send {
    ($client:expr, $method:ident, $message:expr) => {{
        let mut client = $client.clone();
        let request = ::runtime::request($message, $crate::PATIENCE);
        client
            .$method(request)
            .await
            .map(::tonic::Response::into_inner)
    }};
}

/// Makes the same call twenty times at once and returns the one answer that all of them got.
#[macro_export]
macro_rules! one_answer {
    ($client:expr, $method:ident, $message:expr) => {{
        let message = $message;
        let answers = $crate::at_once(20, |_| {
            let (client, message) = ($client.clone(), message.clone());
            async move { $crate::send!(client, $method, message) }
        })
        .await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:#?}"
        );
        answers.into_iter().next().unwrap()
    }};
}

/// How points are earned in a world.
#[derive(Debug, Clone)]
pub struct Scheme {
    /// The policy that is in force.
    pub policy: act::Policy,
    /// The most that is ever granted.
    pub budget: Option<i64>,
}

impl Default for Scheme {
    /// A point a minute, which never expires.
    fn default() -> Self {
        Self {
            policy: per_hour("*", 60),
            budget: None,
        }
    }
}

/// A policy with one rule for services of a category.
pub fn per_hour(category: &str, points: i64) -> act::Policy {
    act::Policy {
        earn_rules: vec![act::EarnRule {
            source: act::EarnSource::Service.into(),
            category: category.to_owned(),
            urgency: String::new(),
            rate: Some(act::earn_rule::Rate::PerHour(points)),
        }],
        ..Default::default()
    }
}

/// A community with one programme, and every service.
pub struct World {
    /// The services.
    pub system: System,
    /// A client of each.
    pub clients: Clients,
    /// The time, at first 10:00 in Shanghai on Monday, 2 March 2026.
    pub clock: Clock,
    /// The community's id.
    pub community: Uuid,
    /// The programme's id.
    pub programme: Uuid,
    minter: Minter,
    limits: Limits,
    keys: KeyRing,
    ids: Ids,
    /// How many services were recorded; each gets a day of its own.
    services: AtomicI64,
    /// How many numbers were given to members and merchants.
    numbers: AtomicI64,
    /// Dropped after the services that use it.
    database: TestDatabase,
    _place: SemaphorePermit<'static>,
}

impl World {
    /// A world with the plain scheme.
    pub async fn start() -> Self {
        Self::with(Scheme::default()).await
    }

    /// A world with a scheme of its own.
    pub async fn with(scheme: Scheme) -> Self {
        let world = Self::empty().await;
        world.programme(world.programme, scheme.budget).await;
        world.put_in_force(scheme.policy).await;
        world
    }

    /// A world with the plain scheme in which tills and members may not do as much as they like.
    pub async fn limited(limits: Limits) -> Self {
        let world = Self::empty_with(limits).await;
        world.programme(world.programme, None).await;
        world.put_in_force(Scheme::default().policy).await;
        world
    }

    /// The services, before anything has happened.
    pub async fn empty() -> Self {
        Self::empty_with(Limits::default()).await
    }

    async fn empty_with(limits: Limits) -> Self {
        runtime::init_quiet();
        let place = PLACES.acquire().await.unwrap();
        let database = TestDatabase::new().await;
        let clock = Clock::manual(at("2026-03-02T02:00:00Z"));
        let ids = Ids::new(clock.clone());
        let minter = linli::key::temporary_issuer();
        let keys = linli::key::temporary_persons();
        let system = start(&database, &clock, &ids, (&minter, &keys), limits).await;
        Self {
            clients: system.clients().unwrap(),
            system,
            minter,
            limits,
            keys,
            clock,
            community: ids.next(),
            programme: ids.next(),
            ids,
            services: AtomicI64::new(0),
            numbers: AtomicI64::new(0),
            database,
            _place: place,
        }
    }

    /// Starts every service once more, beside those that run.
    pub async fn replicas(&self) -> System {
        start(
            &self.database,
            &self.clock,
            &self.ids,
            (&self.minter, &self.keys),
            self.limits,
        )
        .await
    }

    /// Starts a programme of this world's community.
    pub async fn programme(&self, id: Uuid, budget: Option<i64>) -> act::Programme {
        let message = act::CreateProgrammeRequest {
            parent: self.community_name(),
            programme_id: id.to_string(),
            programme: Some(act::Programme {
                display_name: "Neighbours".to_owned(),
                asset: "points".to_owned(),
                time_zone: "Asia/Shanghai".to_owned(),
                budget,
                ..Default::default()
            }),
            request_id: self.id(),
        };
        send!(self.clients.activity, create_programme, message).unwrap()
    }

    /// Puts a policy of the programme in force from now on.
    pub async fn put_in_force(&self, policy: act::Policy) -> act::PolicyRevision {
        self.put_in_force_of(&self.programme_name(), policy).await
    }

    /// Puts a policy of a programme in force from now on.
    pub async fn put_in_force_of(
        &self,
        programme: &str,
        policy: act::Policy,
    ) -> act::PolicyRevision {
        let draft = act::CreatePolicyRevisionRequest {
            parent: programme.to_owned(),
            policy: Some(policy),
            request_id: self.id(),
        };
        let draft = send!(self.clients.activity, create_policy_revision, draft).unwrap();
        let activation = act::ActivatePolicyRevisionRequest {
            name: draft.name,
            request_id: self.id(),
        };
        send!(self.clients.activity, activate_policy_revision, activation).unwrap()
    }

    /// The clients of a member of the staff.
    pub fn staff(&self, subject: &str) -> Clients {
        let holder = Holder::everywhere(subject, [Role::Staff]);
        self.clients.of(holder)
    }

    /// A token for a day.
    pub fn token(&self, holder: &Holder) -> String {
        self.minter
            .mint(holder, self.clock.now(), TimeDelta::days(1))
    }

    /// A client over HTTP that may do everything.
    pub fn web(&self) -> web::Web {
        web::Web::with_token(&self.token(&Holder::everywhere("web", Role::ALL)))
    }

    /// A new id, as a caller makes one for its request.
    pub fn id(&self) -> String {
        self.ids.next().to_string()
    }

    /// `communities/{community}`.
    pub fn community_name(&self) -> String {
        format!("communities/{}", self.community)
    }

    /// `communities/{community}/programmes/{programme}`.
    pub fn programme_name(&self) -> String {
        format!("{}/programmes/{}", self.community_name(), self.programme)
    }

    /// Name of the programme's ledger account of a kind and an owner.
    pub fn account_name(&self, kind: led::AccountKind, owner: Option<Uuid>) -> String {
        let id = account_id(self.programme, kind, owner);
        format!("{}/accounts/{id}", self.community_name())
    }

    /// The programme's ledger account of a kind and an owner.
    pub async fn account(&self, kind: led::AccountKind, owner: Option<Uuid>) -> led::Account {
        let message = led::GetAccountRequest {
            name: self.account_name(kind, owner),
        };
        send!(self.clients.ledger, get_account, message).unwrap()
    }

    /// The whole statement of an account; of the community, when the name is empty.
    pub async fn entries(&self, account: &str) -> Vec<led::Entry> {
        let message = led::ListEntriesRequest {
            parent: self.community_name(),
            account: account.to_owned(),
            page_size: 1000,
            ..Default::default()
        };
        let answer = send!(self.clients.ledger, list_entries, message).unwrap();
        assert!(answer.entries.len() < 1000, "one page has them all");
        answer.entries
    }

    /// The sums of the community's accounts, which add up to nothing.
    pub async fn trial_balance(&self) -> led::TrialBalance {
        let message = led::GetTrialBalanceRequest {
            parent: self.community_name(),
            ..Default::default()
        };
        let sums = send!(self.clients.ledger, get_trial_balance, message).unwrap();
        assert_eq!(sums.rows.iter().map(|row| row.balance).sum::<i64>(), 0);
        sums
    }

    /// What the programme stands at.
    pub async fn summary(&self) -> act::ProgrammeSummary {
        let message = act::GetProgrammeSummaryRequest {
            name: self.programme_name(),
        };
        send!(self.clients.activity, get_programme_summary, message).unwrap()
    }

    /// Looks until it sees something, while a second of the world's time passes now and then.
    pub async fn in_time<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        eventually(what, async || {
            let seen = look().await;
            if seen.is_none() {
                self.clock.advance(TimeDelta::seconds(1));
            }
            seen
        })
        .await
    }

    fn next_service(&self) -> i64 {
        self.services.fetch_add(1, Ordering::Relaxed)
    }

    fn number(&self, letter: char) -> String {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{letter}{number:04}")
    }
}

async fn start(
    database: &TestDatabase,
    clock: &Clock,
    ids: &Ids,
    (minter, keys): (&Minter, &KeyRing),
    limits: Limits,
) -> System {
    let config = SystemConfig {
        database_url: database.url().to_owned(),
        clock: clock.clone(),
        ids: ids.clone(),
        listen: Ports::ANY,
        signer: Some(linli::key::temporary()),
        person_keys: keys.clone(),
        origins: vec![web::ORIGIN.to_owned()],
        minter: minter.clone(),
        limits,
        offline: offline(),
    };
    System::start(config).await.unwrap()
}

fn offline() -> Offline {
    Offline {
        keys: OfflineKeys::new([[7; 32]]),
        most_points: 100,
    }
}

/// Looks until it sees something; the world's time stands still.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(started.elapsed() < PATIENCE, "still not so: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Does the same so many times at once and returns what came of each, in order.
pub async fn at_once<T, F>(count: usize, mut make: impl FnMut(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut running = JoinSet::new();
    for number in 0..count {
        let work = make(number);
        running.spawn(async move { (number, work.await) });
    }
    let mut ended = running.join_all().await;
    ended.sort_by_key(|(number, _)| *number);
    ended.into_iter().map(|(_, result)| result).collect()
}

/// An instant, written as in `2026-03-02T02:00:00Z`.
pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}
