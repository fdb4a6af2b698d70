//! Random sequences of calls to several replicas: every answer is the model's.

use std::ops::Range;

use ledger::{
    Error, Ledger,
    domain::{AccountLimits, CommunityId, RequestId},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use runtime::Clock;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{
    asked,
    books::{World, assert_equal, assert_sound, open},
    domain::{AccountId, Command, Entry, EntryKind, Hold, Refusal, Request},
    model::{Model, Outcome},
};

const REPLICAS: usize = 3;
/// So few that most are used again.
const IDS: u128 = 60;
/// How many random sequences, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 24;

#[derive(Clone, Debug)]
enum Step {
    /// All in one call.
    Together(Vec<Request>),
    /// Through the use case of its own.
    Alone(Request),
    /// An earlier call once more.
    Again(usize),
    Sweep,
    Limit(AccountId, AccountLimits),
    /// Moves the clock of one replica, or all clocks.
    Wait(i64, bool),
}

fn steps() -> BoxedStrategy<Vec<(usize, Step)>> {
    let limited = prop_oneof![
        Just(asked::ISSUING),
        Just(asked::KIOSK),
        asked::member(),
        Just(asked::NOBODY)
    ];
    let limits = (
        limited,
        proptest::option::weighted(0.8, -700_i64..30),
        proptest::option::weighted(0.5, 0_i64..150),
    );
    let step = prop_oneof![
        8 => asked::call(IDS).prop_map(Step::Together),
        8 => asked::request(IDS).prop_map(Step::Alone),
        4 => (0_usize..50).prop_map(Step::Again),
        1 => Just(Step::Sweep),
        2 => limits.prop_map(|(number, min_balance, max_balance)| {
            Step::Limit(asked::account(number), AccountLimits { min_balance, max_balance })
        }),
        2 => (0_i64..25, any::<bool>()).prop_map(|(minutes, all)| Step::Wait(minutes, all)),
    ];
    proptest::collection::vec((0..REPLICAS, step), 10..60).boxed()
}

fn run<S: Strategy>(runtime: &Runtime, strategy: &S, case: impl AsyncFn(S::Value)) {
    let cases = std::env::var("PROPTEST_CASES").ok();
    let config = Config {
        cases: cases.map_or(CASES, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let tried = TestRunner::new(config).run(strategy, |value| {
        runtime.block_on(case(value));
        Ok::<(), TestCaseError>(())
    });
    tried.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn any_sequence_of_calls_over_replicas_gets_the_answers_of_the_model() {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::start());
    let next = std::cell::Cell::new(1_000_u128);
    run(&runtime, &steps(), async |steps| {
        next.set(next.get() + 1);
        let community = CommunityId(Uuid::from_u128(next.get()));
        let mut replicas = vec![];
        for _ in 0..REPLICAS {
            let clock = Clock::manual(asked::start());
            replicas.push((Ledger::new(world.pool.clone(), clock.clone()), clock));
        }
        let accounts = open(&replicas[0].0, community).await;
        let mut case = Case {
            community,
            replicas,
            model: Model::new(asked::start(), accounts),
            calls: vec![],
        };
        for (replica, step) in steps {
            case.take(replica, step).await;
        }
        assert_equal(&case.replicas[0].0, community, &case.model).await;
        assert_sound(&world.pool, community).await;
    });
}

struct Case {
    community: CommunityId,
    replicas: Vec<(Ledger, Clock)>,
    model: Model,
    calls: Vec<Step>,
}

impl Case {
    async fn take(&mut self, replica: usize, step: Step) {
        let (ledger, clock) = self.replicas[replica].clone();
        let community = self.community;
        match step {
            Step::Again(number) => {
                if let Some(call) = self.calls.get(number % self.calls.len().max(1)) {
                    self.call(&ledger, &clock, call.clone()).await;
                }
            }
            Step::Together(_) | Step::Alone(_) => {
                self.calls.push(step.clone());
                self.call(&ledger, &clock, step).await;
            }
            Step::Sweep => {
                let expected = self.model.sweep(clock.now());
                let swept = ledger.sweep_expired(community).await.unwrap();
                assert_eq!((swept.lots, swept.holds), expected);
            }
            Step::Limit(id, limits) => {
                let set = ledger.update_account_limits(community, id, limits, None);
                let set = refused(set.await).map(|account| account.definition.limits);
                let expected = self.model.set_limits(id, limits);
                assert_eq!(set, expected.map(|()| limits));
            }
            Step::Wait(minutes, all) => {
                let those: Range<usize> = if all {
                    0..REPLICAS
                } else {
                    replica..replica + 1
                };
                for (_, clock) in &self.replicas[those] {
                    clock.advance(chrono::TimeDelta::minutes(minutes));
                }
            }
        }
    }

    async fn call(&mut self, ledger: &Ledger, clock: &Clock, call: Step) {
        match call {
            Step::Together(requests) => {
                let expected = self.model.ask(clock.now(), &requests);
                let posted = ledger.post_transfers(self.community, requests);
                assert_eq!(posted.await.unwrap(), expected);
            }
            Step::Alone(request) => {
                let now = clock.now();
                let expected = self
                    .model
                    .ask(now, std::slice::from_ref(&request))
                    .remove(0);
                self.ask_alone(ledger, request, expected).await;
            }
            Step::Again(_) | Step::Sweep | Step::Limit(..) | Step::Wait(..) => {
                panic!("no call: {call:?}")
            }
        }
    }

    async fn ask_alone(&self, ledger: &Ledger, request: Request, expected: Outcome) {
        let (community, id) = (self.community, request.id().unwrap());
        match request.command.clone() {
            Command::Transfer(_) => {
                let posted = ledger.post_transfers(community, vec![request]).await;
                assert_eq!(posted.unwrap(), [expected]);
            }
            Command::CreateHold(hold) => {
                let held = refused(ledger.create_hold(community, id, hold).await);
                assert_eq!(held, expected.map(|entry| self.hold_after(&entry)));
            }
            Command::CaptureHold(capture) => {
                let captured = refused(ledger.capture_hold(community, id, capture).await);
                let expected = expected.map(|entry| (self.hold_after(&entry), entry));
                assert_eq!(captured, expected);
            }
            Command::ReleaseHold(release) => {
                let released = refused(ledger.release_hold(community, id, release).await);
                assert_eq!(released, expected.map(|entry| self.hold_after(&entry)));
            }
            Command::ReverseEntry(reverse) => {
                let reversed = refused(ledger.reverse_entry(community, id, reverse).await);
                assert_eq!(reversed, expected);
            }
            Command::ExpireHold(_) | Command::ExpireLot(..) => panic!("nobody asks {request:?}"),
        }
    }

    /// An entry's hold as its request left it, which is what its answer tells for ever.
    fn hold_after(&self, entry: &Entry) -> Hold {
        let made = entry.related.unwrap_or(entry.sequence);
        let id: RequestId = self.model.entries[index(made)].request.unwrap().0;
        let next = self.model.entries.get(index(entry.sequence) + 1);
        let has_remainder = next.is_some_and(|next| {
            let own = next.kind == EntryKind::Release && next.request.is_none();
            own && next.related == entry.related
        });
        let end = index(entry.sequence) + 1 + usize::from(has_remainder);
        self.model.books_after(end).hold(id).unwrap()
    }
}

fn index(sequence: i64) -> usize {
    usize::try_from(sequence - 1).unwrap()
}

/// A result, unless something broke.
fn refused<T>(result: Result<T, Error>) -> Result<T, Refusal> {
    result.map_err(|error| match error {
        Error::Refused(refusal) => refusal,
        error => panic!("{error}"),
    })
}
