//! The book against the model of the service's tests: whatever is asked, both say the same.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain;

#[path = "../../tests/engine/asked.rs"]
#[allow(dead_code, reason = "the service's tests use the rest")]
mod asked;
#[path = "../../tests/engine/history.rs"]
#[allow(dead_code, reason = "the service's tests use the rest")]
mod history;
#[path = "../../tests/engine/model.rs"]
#[allow(dead_code, reason = "the service's tests use the rest")]
mod model;
#[path = "../../tests/engine/ruling.rs"]
mod ruling;

use self::model::Model;

const IDS: u128 = 60;

#[derive(Clone, Debug)]
enum Step {
    Ask(Vec<Request>),
    Limit(u128, AccountLimits),
    Wait(i64),
}

fn steps() -> BoxedStrategy<Vec<Step>> {
    let hold = (1..IDS / 3).prop_map(|number| Command::ExpireHold(asked::id(number)));
    let keeper =
        prop_oneof![4 => asked::member(), 1 => Just(asked::SHOP), 1 => Just(asked::NOBODY)];
    let lot = (keeper, 0_i64..120)
        .prop_map(|(number, at)| Command::ExpireLot(asked::account(number), asked::minute(at)));
    let due = prop_oneof![hold, lot].prop_map(|command| vec![Request::own(command)]);
    let limited = prop_oneof![Just(asked::ISSUING), Just(asked::KIOSK), asked::member()];
    let limits = (
        limited,
        proptest::option::weighted(0.8, -700_i64..60),
        proptest::option::weighted(0.5, 0_i64..150),
    );
    let step = prop_oneof![
        8 => asked::call(IDS).prop_map(Step::Ask),
        2 => due.prop_map(Step::Ask),
        1 => limits.prop_map(|(number, min_balance, max_balance)| {
            Step::Limit(number, AccountLimits { min_balance, max_balance })
        }),
        1 => (0_i64..25).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..50).boxed()
}

fn open() -> (Book, Model) {
    let model = Model::new(asked::start(), asked::cast());
    let mut book = Book::new(asked::start(), 1);
    for definition in &model.accounts {
        let account = model.account(definition);
        book.accounts.insert(account.id(), account);
    }
    (book, model)
}

fn assert_equal(book: &Book, model: &Model) {
    assert_eq!(book.changes.entries, model.entries);
    for definition in &model.accounts {
        let mut account = book.accounts[&definition.id].clone();
        for (id, expires_at) in &book.changes.lots {
            if *id == account.id() {
                account.lots.drop_empty(*expires_at);
            }
        }
        assert_eq!(account, model.account(definition));
    }
    for (id, (hold, _)) in &book.holds {
        assert_eq!(Some(hold), model.books().hold(*id).as_ref());
        assert_eq!(hold.left() == 0, hold.state != HoldState::Open);
    }
    assert_written(book, model);
    let pages = |account: &AccountDefinition| {
        let count = model.books().statement(account.id).count();
        i64::try_from(count).unwrap() / STATEMENT_PAGE
    };
    let pages: i64 = model.accounts.iter().map(pages).sum();
    assert_eq!(i64::try_from(book.changes.pages.len()).unwrap(), pages);
}

/// Checks that everything that differs from an empty book is among what must be written.
fn assert_written(book: &Book, model: &Model) {
    let changes = &book.changes;
    for account in book.accounts.values() {
        let id = account.id();
        assert!(account.entries == 0 || changes.accounts().contains(&id));
        for (expires_at, _) in account.lots.iter() {
            assert!(changes.lots().contains(&(id, expires_at)));
        }
    }
    assert!(
        book.holds
            .keys()
            .eq(book.holds.keys().filter(|id| changes.holds.contains(id)))
    );
    let refused = model.answers.iter().filter_map(|(request, outcome)| {
        let (id, fingerprint) = request.identity?;
        Some((id, fingerprint, outcome.clone().err()?))
    });
    assert!(refused.eq(changes.refusals.iter().cloned()));
}

/// A hold as each of its entries left it; the remainder of a final capture belongs to the capture.
fn assert_told_as_it_was(book: &Book, model: &Model) {
    for (hold, _) in book.holds.values() {
        let about = |entry: &&Entry| entry.related == Some(hold.sequence);
        let recorded = RecordedHold {
            hold: hold.clone(),
            entries: model.entries.iter().filter(about).cloned().collect(),
        };
        let asked = recorded
            .entries
            .iter()
            .filter(|it| it.request.is_some() || it.kind == EntryKind::HoldExpiry);
        for sequence in asked.map(|entry| entry.sequence).chain([hold.sequence]) {
            let end = usize::try_from(sequence).unwrap();
            let next = model
                .entries
                .get(end)
                .filter(|next| next.kind == EntryKind::Release && next.request.is_none());
            let own = next.is_some_and(|next| next.related == Some(hold.sequence));
            let then = model.books_after(end + usize::from(own));
            assert_eq!(Some(recorded.as_answered(sequence)), then.hold(hold.id));
        }
    }
}

/// Cases are long, so there are fewer than usual.
fn config() -> ProptestConfig {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    match given {
        true => ProptestConfig::default(),
        false => ProptestConfig::with_cases(64),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_book_says_what_the_model_says(steps in steps()) {
        let (mut book, mut model) = open();
        for step in steps {
            match step {
                Step::Wait(minutes) => book.now += chrono::TimeDelta::minutes(minutes),
                Step::Limit(number, limits) => {
                    let id = asked::account(number);
                    let set = book.accounts.get_mut(&id).unwrap().set_limits(limits);
                    prop_assert_eq!(set, model.set_limits(id, limits));
                }
                Step::Ask(requests) => {
                    let answers = book.apply(&requests);
                    let expected = model.ask(book.now, &requests);
                    let outcomes: Vec<Result<Entry, Refusal>> = answers.into_iter().map(|answer| match answer {
                        Answer::Posted(sequence) => Ok(book.changes.entries[usize::try_from(sequence).unwrap() - 1].clone()),
                        Answer::Refused(refusal) => Err(refusal),
                    }).collect();
                    prop_assert_eq!(outcomes, expected);
                }
            }
            assert_equal(&book, &model);
        }
        assert_told_as_it_was(&book, &model);
    }

    #[test]
    fn calls_in_one_batch_get_the_answers_they_get_one_by_one(calls in proptest::collection::vec(asked::call(IDS), 1..30)) {
        let ((mut together, _), (mut apart, _)) = (open(), open());
        let requests: Vec<Request> = calls.concat();
        let answers = together.apply(&requests);
        let singly: Vec<Answer> = calls.iter().flat_map(|call| apart.apply(call)).collect();
        prop_assert_eq!(answers, singly);
        prop_assert_eq!(together.accounts, apart.accounts);
        prop_assert_eq!(together.changes.entries, apart.changes.entries);
    }
}

#[test]
fn an_account_can_be_filled_to_its_limit_and_emptied_to_the_last_point() {
    let (mut book, _) = open();
    let mut ask = |number, debit, credit, amount| {
        let command = asked::transfer(debit, credit, amount, None);
        let request = Request::new(asked::id(number), false, command);
        book.apply(&[request]).remove(0)
    };
    use asked::{ANNA, DONOR, ISSUING, KIOSK};
    assert_eq!(ask(1, DONOR, KIOSK, 80), Answer::Posted(1));
    let full = Refusal::LimitExceeded { room: 0, asked: 1 };
    assert_eq!(ask(2, DONOR, KIOSK, 1), Answer::Refused(full));
    assert_eq!(ask(3, ISSUING, ANNA, 600), Answer::Posted(2));
    let over = Refusal::InsufficientPoints {
        available: 0,
        asked: 1,
    };
    assert_eq!(ask(4, ISSUING, ANNA, 1), Answer::Refused(over));
}

#[test]
fn a_hold_that_was_captured_to_the_last_point_is_told_as_captured_also_later() {
    let (mut book, mut model) = open();
    let hold = Command::CreateHold(CreateHold {
        posting: Posting {
            debit: asked::account(asked::DONOR),
            credit: asked::account(asked::SHOP),
            amount: 10,
        },
        expires_at: asked::minute(60),
        description: String::new(),
    });
    let capture = |amount| {
        Command::CaptureHold(CaptureHold {
            hold: asked::id(1),
            amount,
            is_final: amount == 6,
            credit: None,
            description: String::new(),
        })
    };
    let commands = [hold, capture(4), capture(6), capture(1)];
    let numbered = commands.into_iter().zip(1..);
    let requests: Vec<Request> = numbered
        .map(|(command, number)| Request::new(asked::id(number), false, command))
        .collect();
    let answers = book.apply(&requests);
    let closed = Refusal::HoldClosed {
        captured: 10,
        released: 0,
    };
    assert_eq!(answers[3], Answer::Refused(closed));
    model.ask(book.now, &requests);
    assert_equal(&book, &model);
    assert_told_as_it_was(&book, &model);
    assert_eq!(book.changes.entries.len(), 3, "nothing was left to release");
}

#[test]
fn nothing_is_no_part_of_a_reversal() {
    let (mut book, _) = open();
    let reverse = Command::ReverseEntry(ReverseEntry {
        sequence: 1,
        amount: 10,
        allow_partial: true,
        description: String::new(),
    });
    let commands = [
        asked::transfer(asked::DONOR, asked::ANNA, 10, None),
        asked::transfer(asked::ANNA, asked::SHOP, 10, None),
        reverse,
    ];
    let numbered = commands.into_iter().zip(1..);
    let requests: Vec<Request> = numbered
        .map(|(command, number)| Request::new(asked::id(number), false, command))
        .collect();
    let answers = book.apply(&requests);
    let too_few = Refusal::InsufficientPoints {
        available: 0,
        asked: 10,
    };
    assert_eq!(answers[2], Answer::Refused(too_few));
}

#[test]
fn numbers_are_those_of_the_contract() {
    for number in 1..=7_i16 {
        assert_eq!(
            EntryKind::try_from(number).map(|kind| kind as i16),
            Ok(number)
        );
    }
    assert_eq!(EntryKind::try_from(8), Err(8));
    for number in 1..=4_i16 {
        assert_eq!(
            HoldState::try_from(number).map(|state| state as i16),
            Ok(number)
        );
    }
    assert_eq!(HoldState::try_from(0), Err(0));
}

#[test]
fn a_statement_has_a_page_for_every_128_entries() {
    let (mut book, _) = open();
    let grant = |number| {
        Request::new(
            RequestId(Uuid::from_u128(number)),
            false,
            asked::transfer(asked::DONOR, asked::ANNA, 1, None),
        )
    };
    book.apply(&(1..=300).map(grant).collect::<Vec<_>>());
    let donor = asked::account(asked::DONOR);
    let anna = asked::account(asked::ANNA);
    assert_eq!(
        book.changes.pages,
        [(donor, 128), (anna, 128), (donor, 256), (anna, 256)]
    );
}

#[test]
fn an_entry_of_the_same_batch_can_be_reversed_and_no_more_than_once() {
    let (mut book, _) = open();
    let reverse = || {
        Command::ReverseEntry(ReverseEntry {
            sequence: 1,
            amount: 6,
            allow_partial: false,
            description: String::new(),
        })
    };
    let answers = book.apply(&[
        Request::new(
            asked::id(1),
            false,
            asked::transfer(asked::DONOR, asked::SHOP, 10, None),
        ),
        Request::new(asked::id(2), false, reverse()),
        Request::new(asked::id(3), false, reverse()),
    ]);
    let beyond = Refusal::AmountExceedsOriginal {
        reversible: 4,
        asked: 6,
    };
    assert_eq!(
        answers,
        [
            Answer::Posted(1),
            Answer::Posted(2),
            Answer::Refused(beyond)
        ]
    );
}
