//! Many clients at once, and what can be said of their answers afterwards.
//!
//! The journal is the one order in which everything happened. Replayed on the model it must make the same entries, field by field,
//! and each entry must be what its caller was told. A refused request is in no journal, so it must have been refused by the
//! model at some place between the last entry that was there when it was first asked and the last one that was there when it was
//! answered.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use chrono::{DateTime, Utc};
use ledger::{Error, Ledger};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use sqlx::PgPool;
use tokio::{sync::watch, task::JoinSet};

use super::{
    asked,
    books::{World, assert_equal, assert_sound},
    domain::{
        AccountLimits, Command, CommunityId, Entry, EntryKind, Fingerprint, Refusal, Request,
        RequestId,
    },
    model::{Model, Outcome},
};

/// What a caller was told. A refusal is kept as its values, which is what crosses the wire.
pub type Told = Result<i64, Vec<(String, String)>>;

/// A call with the answers it got and the part of the journal it was under way in.
#[derive(Clone, Debug)]
pub struct Call {
    pub requests: Vec<Request>,
    pub told: Vec<Told>,
    pub after: i64,
    pub before: i64,
}

/// What all clients were told.
#[derive(Clone, Debug, Default)]
pub struct Record {
    calls: Arc<Mutex<Vec<Call>>>,
    count: Arc<watch::Sender<usize>>,
}

impl Record {
    pub fn add(&self, call: Call) {
        assert_eq!(call.requests.len(), call.told.len());
        self.calls.lock().unwrap().push(call);
        self.count.send_modify(|count| *count += 1);
    }

    /// How many calls were answered.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until so many calls more have been answered.
    pub async fn more(&self, calls: usize) {
        let until = self.count() + calls;
        let mut count = self.count.subscribe();
        count.wait_for(|count| *count >= until).await.unwrap();
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

/// The last sequence that is committed.
pub async fn head(pool: &PgPool, community: CommunityId) -> i64 {
    sqlx::query_scalar("select next_sequence - 1 from ledger.journal where community_id = $1")
        .bind(community.0)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// A client: one call after the other, each until it has an answer.
pub async fn client(
    ledger: Ledger,
    pool: PgPool,
    community: CommunityId,
    calls: Vec<Vec<Request>>,
    record: Record,
) {
    for requests in calls {
        let after = head(&pool, community).await;
        let outcomes = loop {
            let posted = ledger.post_transfers(community, requests.clone()).await;
            match posted {
                Ok(outcomes) => break outcomes,
                Err(Error::Interrupted | Error::Store(_)) => {}
                Err(error) => panic!("{error}"),
            }
        };
        record.add(Call {
            told: outcomes.iter().map(told_of).collect(),
            before: head(&pool, community).await,
            requests,
            after,
        });
    }
}

/// Calls for so many clients, the same at every run.
pub fn calls_for(clients: usize, calls: usize, ids: u128, seed: u128) -> Vec<Vec<Vec<Request>>> {
    let mut runner = TestRunner::deterministic();
    let calls = proptest::collection::vec(asked::call(ids), calls);
    let all = proptest::collection::vec(calls, clients);
    let mut all = all.new_tree(&mut runner).unwrap().current();
    for request in all.iter_mut().flatten().flatten() {
        *request = asked::renamed(request, seed);
    }
    all
}

/// Several rounds, between which the clocks go on and limits change, so that every replica finds its accounts out of date.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_clients_are_told_at_once_is_what_the_journal_says_in_order() {
    let mut world = World::start().await;
    let replicas = [world.replica().await, world.replica().await];
    let watcher = world.superuser().await;
    let community = world.community;
    for round in 0..3_u128 {
        let record = Record::default();
        let mut tasks = JoinSet::new();
        for (number, calls) in calls_for(6, 20, 400, round << 64).into_iter().enumerate() {
            let ledger = replicas[number % 2].clone();
            tasks.spawn(client(
                ledger,
                watcher.clone(),
                community,
                calls,
                record.clone(),
            ));
        }
        for ledger in replicas.clone() {
            tasks.spawn(async move {
                ledger.sweep_expired(community).await.unwrap();
            });
        }
        tasks.join_all().await;
        let query = ledger::EntryQuery::default();
        let entries = replicas[0].entries(community, query).await.unwrap();
        let posted = entries.len() - world.model.entries.len();
        assert!(posted > 20, "little was posted: {posted} entries");
        replay(&mut world.model, &entries, &record);
        assert_explained(&world.model, &record, world.clock.now());
        assert_equal(&replicas[1], community, &world.model).await;
        assert_sound(&world.pool, community).await;

        world.clock.advance(chrono::TimeDelta::minutes(20));
        let budget = 800 + 600 * i64::try_from(round).unwrap();
        for (number, min, max) in [(asked::ISSUING, -budget, 0), (asked::KIOSK, 0, budget)] {
            let id = asked::account(number);
            let limits = AccountLimits {
                min_balance: Some(min),
                max_balance: Some(max),
            };
            let set = replicas[0].update_account_limits(community, id, limits, None);
            assert_eq!(set.await.unwrap().definition.limits, limits);
            world.model.set_limits(id, limits).unwrap();
        }
    }
    assert_eq!(deadlocks(&watcher).await, 0);
}

/// How many deadlocks Postgres found in this database.
pub async fn deadlocks(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select deadlocks from pg_stat_database where datname = current_database()")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// What the contract tells of an outcome.
pub fn told_of(outcome: &Outcome) -> Told {
    match outcome {
        Ok(entry) => Ok(entry.sequence),
        Err(refusal) => Err(values(refusal)),
    }
}

/// A refusal's reason and values.
pub fn values(refusal: &Refusal) -> Vec<(String, String)> {
    let serde_json::Value::Object(fields) = serde_json::to_value(refusal).unwrap() else {
        panic!("a refusal is an object");
    };
    let text = |value: serde_json::Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let mut values: Vec<_> = fields.into_iter().map(|(k, v)| (k, text(v))).collect();
    values.sort();
    values
}

/// Replays a journal on the model. Every entry must be the one that its request makes there.
pub fn replay(model: &mut Model, entries: &[Entry], record: &Record) {
    let mut asked: HashMap<RequestId, Vec<Request>> = HashMap::new();
    for request in record.calls().into_iter().flat_map(|call| call.requests) {
        asked
            .entry(request.id().unwrap())
            .or_default()
            .push(request);
    }
    while let Some(entry) = entries.get(model.entries.len()) {
        let request = match entry.request {
            Some((id, fingerprint)) => asked
                .get(&id)
                .and_then(|asked| {
                    asked
                        .iter()
                        .find(|it| it.identity == Some((id, fingerprint)))
                })
                .unwrap_or_else(|| panic!("nobody asked for {entry:?}"))
                .clone(),
            None => Request::own(own_command(model, entry)),
        };
        let now = model.instant(entry.recorded_at);
        let made = model.books().decide(&request, now);
        let made = made.unwrap_or_else(|refusal| panic!("{entry:?}: the model says {refusal}"));
        let there = &entries[model.entries.len()..];
        assert_eq!(there[..made.len().min(there.len())], made);
        if request.id().is_some() {
            model.answers.push((request, Ok(made[0].clone())));
        }
        model.entries.extend(made);
    }
}

/// What the ledger posts by itself.
fn own_command(model: &Model, entry: &Entry) -> Command {
    match (entry.kind, entry.related, entry.expires_at) {
        (EntryKind::HoldExpiry, Some(hold), _) => {
            let made = &model.entries[index(hold)];
            Command::ExpireHold(made.request.unwrap().0)
        }
        (EntryKind::LotExpiry, _, Some(expires_at)) => Command::ExpireLot(entry.debit, expires_at),
        _ => panic!("nobody asked for {entry:?}"),
    }
}

/// Checks every answer that was given against the replayed model. The clocks stood still at `now` all the while, or no refusal
/// depends on them.
pub fn assert_explained(model: &Model, record: &Record, now: DateTime<Utc>) {
    let calls = record.calls();
    let uses = Uses::of(&calls);
    for call in &calls {
        let mut told = &call.told[..];
        for chain in call.requests.chunk_by(|request, _| request.linked) {
            let (answers, rest) = told.split_at(chain.len());
            told = rest;
            for (request, answer) in chain.iter().zip(answers) {
                uses.assert_known(model, request, answer);
            }
            if !uses.is_independent(chain) {
                continue;
            }
            if chain.len() > 1 {
                let posted: Vec<i64> = answers.iter().flatten().copied().collect();
                let dense = posted.windows(2).all(|pair| pair[0] + 1 == pair[1]);
                assert!(dense, "linked, and not next to each other: {posted:?}");
                assert!([0, chain.len()].contains(&posted.len()), "{answers:?}");
            }
            if answers.iter().all(Result::is_ok) || answers[0] == reused(&chain[0]) {
                continue;
            }
            let range = uses.first_asked(&chain[0])..=call.before;
            let explained = range.clone().any(|sequence| {
                let mut model = model.cut(usize::try_from(sequence).unwrap());
                let predicted = model.ask(now, chain);
                predicted.iter().map(told_of).eq(answers.iter().cloned())
            });
            assert!(
                explained,
                "{chain:?} got {answers:?}, without reason after any of the entries {range:?}"
            );
        }
    }
}

/// How ids were used in all calls.
struct Uses {
    /// The chains that a request with this id was in, and after which entry they were first sent.
    chains: HashMap<RequestId, Vec<(Vec<Identity>, i64)>>,
    /// The content that an id stands for, with its answer.
    answers: HashMap<RequestId, (Identity, Told)>,
}

type Identity = Option<(RequestId, Fingerprint)>;

impl Uses {
    fn of(calls: &[Call]) -> Self {
        let mut uses = Self {
            chains: HashMap::new(),
            answers: HashMap::new(),
        };
        for call in calls {
            for chain in call.requests.chunk_by(|request, _| request.linked) {
                for request in chain {
                    let sent = (identities(chain), call.after);
                    let id = request.id().unwrap();
                    uses.chains.entry(id).or_default().push(sent);
                }
            }
            for (request, told) in call.requests.iter().zip(&call.told) {
                if *told != reused(request) {
                    let first = (request.identity, told.clone());
                    let known = uses.answers.entry(request.id().unwrap());
                    let known = known.or_insert(first.clone());
                    assert_eq!(*known, first, "an id has one content and one answer");
                }
            }
        }
        uses
    }

    /// Checks that an answer fits the one content its id stands for.
    fn assert_known(&self, model: &Model, request: &Request, told: &Told) {
        let id = request.id().unwrap();
        if *told == reused(request) {
            let (first, _) = self.answers.get(&id).expect("it was used before");
            assert_ne!(*first, request.identity);
            return;
        }
        match told {
            Ok(sequence) => {
                let entry = &model.entries[index(*sequence)];
                assert_eq!(entry.request, request.identity, "told of another's entry");
            }
            Err(_) => {
                let posted = model
                    .entries
                    .iter()
                    .any(|it| it.request == request.identity);
                assert!(!posted, "refused and posted: {request:?}");
            }
        }
    }

    /// Whether none of the ids was ever sent in other company, so that only the books decide the answers.
    fn is_independent(&self, chain: &[Request]) -> bool {
        let company = identities(chain);
        let distinct: HashSet<_> = company.iter().flatten().map(|(id, _)| id).collect();
        let sent = chain.iter().flat_map(|it| &self.chains[&it.id().unwrap()]);
        let lonely = chain.len() == 1;
        // Another content under a lone request's id was refused, if this one was not.
        let same =
            |(chain, _): &(Vec<Identity>, i64)| *chain == company || (lonely && chain.len() == 1);
        distinct.len() == chain.len() && sent.into_iter().all(same)
    }

    fn first_asked(&self, request: &Request) -> i64 {
        let sent = self.chains[&request.id().unwrap()].iter();
        let same = sent.filter(|(chain, _)| chain.contains(&request.identity));
        same.map(|(_, after)| *after).min().unwrap()
    }
}

fn identities(chain: &[Request]) -> Vec<Identity> {
    chain.iter().map(|request| request.identity).collect()
}

fn reused(request: &Request) -> Told {
    let request_id = request.id().unwrap().0;
    Err(values(&Refusal::RequestIdReused { request_id }))
}

fn index(sequence: i64) -> usize {
    usize::try_from(sequence - 1).unwrap()
}
