//! How many statements a batch costs: the same, however many requests it has.

use std::sync::{Arc, Mutex};

use ledger::{
    Ledger,
    domain::{
        AccountId, CaptureHold, Command, CommunityId, CreateHold, Posting, ReleaseHold, Request,
        RequestId, ReverseEntry, Transfer,
    },
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};
use uuid::Uuid;

use crate::world::{ANNA, BAO, ISSUING, MERCHANT, World, noon};

/// Notes the first line of each statement, which names it.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            event.record(&mut Summary(self));
        }
    }
}

struct Summary<'a>(&'a Statements);

impl Visit for Summary<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" {
            let name = value.split_whitespace().nth(1).unwrap_or(value);
            self.0.0.lock().unwrap().push(name.to_owned());
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}

impl Statements {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn posting(debit: u128, credit: u128, amount: i64) -> Posting {
    Posting {
        debit: AccountId(Uuid::from_u128(debit)),
        credit: AccountId(Uuid::from_u128(credit)),
        amount,
    }
}

fn request(id: u128, command: Command) -> Request {
    Request::new(RequestId(Uuid::from_u128(id)), false, command)
}

fn grant(id: u128, member: u128) -> Request {
    let transfer = Transfer {
        posting: posting(ISSUING, member, 100),
        expires_at: Some(noon(20)),
        description: String::new(),
    };
    request(id, Command::Transfer(transfer))
}

/// Something of everything, `count` times: grants, purchases, holds, captures, releases, reversals, refusals and repeats.
fn mixed(first: u128, count: u128, reversible: i64) -> Vec<Request> {
    let mut requests = Vec::new();
    for number in 0..count {
        let id = first + number * 10;
        let member = if number % 2 == 0 { ANNA } else { BAO };
        let pay = |amount| Transfer {
            posting: posting(member, MERCHANT, amount),
            expires_at: None,
            description: String::new(),
        };
        let hold = |id| {
            let hold = CreateHold {
                posting: posting(member, MERCHANT, 2),
                expires_at: noon(2),
                description: String::new(),
            };
            request(id, Command::CreateHold(hold))
        };
        let capture = CaptureHold {
            hold: RequestId(Uuid::from_u128(id + 2)),
            amount: 1,
            is_final: true,
            credit: None,
            description: String::new(),
        };
        let release = ReleaseHold {
            hold: RequestId(Uuid::from_u128(id + 3)),
        };
        let reverse = ReverseEntry {
            sequence: reversible,
            amount: 1,
            allow_partial: false,
            description: String::new(),
        };
        requests.extend([
            grant(id, member),
            request(id + 1, Command::Transfer(pay(1))),
            hold(id + 2),
            hold(id + 3),
            request(id + 4, Command::CaptureHold(capture)),
            request(id + 5, Command::ReleaseHold(release)),
            request(id + 6, Command::ReverseEntry(reverse)),
            request(id + 7, Command::Transfer(pay(1_000_000))),
            grant(id, member),
        ]);
    }
    requests
}

#[tokio::test]
async fn a_batch_costs_the_same_statements_however_many_requests_it_has() {
    let world = World::start().await;
    let community = CommunityId(Uuid::from_u128(7));
    let ledger = world.replica();
    let first = ledger.post_transfers(community, vec![grant(1, ANNA)]);
    let reversible = first.await.unwrap().remove(0).unwrap().sequence;
    let statements = Statements::default();
    let noting = tracing_subscriber::registry().with(statements.clone());
    // One thread runs all of this test, and no other test.
    let _noting = tracing::subscriber::set_default(noting);
    let cost = async |ledger: &Ledger, requests: Vec<Request>| {
        statements.take();
        let outcomes = ledger.post_transfers(community, requests).await.unwrap();
        assert!(outcomes.iter().any(Result::is_ok));
        // Only batches in which a page of someone's statement ends have that one more; large ones copy what small ones insert, their
        // entries in a statement more.
        let mut taken = statements.take();
        taken.retain(|it| !["ledger.pages_insert", "ledger.entries_copy"].contains(&it.as_str()));
        let copied = |it: String| it.replace("allocations_copy", "allocations_insert");
        taken.into_iter().map(copied).collect::<Vec<_>>()
    };

    // A process that knows nothing yet, each time.
    let small = cost(&world.replica(), mixed(1_000, 1, reversible)).await;
    let large = cost(&world.replica(), mixed(100_000, 90, reversible)).await;
    assert_eq!(small, large);
    assert!(small.len() <= 16, "{}: {small:#?}", small.len());

    // One that knows the accounts from the batch before.
    let ledger = world.replica();
    cost(&ledger, mixed(200_000, 2, reversible)).await;
    let small = cost(&ledger, mixed(300_000, 1, reversible)).await;
    let large = cost(&ledger, mixed(400_000, 9, reversible)).await;
    assert_eq!(small, large);
    assert!(small.len() <= 14, "{}: {small:#?}", small.len());
}
