//! What must hold whatever is asked.

use std::collections::HashMap;

use chrono::TimeDelta;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Ask(Request),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let party = prop_oneof![Just(ISSUING), Just(SHOP), Just(ANNA), Just(BAO)];
    let lot = prop_oneof![Just(EXPIRED), Just(ANNA), Just(BAO)];
    let member = prop_oneof![Just(ANNA), Just(BAO)];
    let expires = proptest::option::of(1_i64..40);
    let command = prop_oneof![
        4 => (party.clone(), party, 1_i64..400, expires)
            .prop_filter("two accounts", |(debit, credit, ..)| debit != credit)
            .prop_map(|(debit, credit, amount, expires)| transfer(debit, credit, amount, expires)),
        2 => (member, 1_i64..200, 1_i64..40).prop_map(|(debit, amount, expires)| hold(debit, amount, expires)),
        2 => (1_u128..40, 1_i64..150, any::<bool>()).prop_map(|(hold, amount, is_final)| capture(hold, amount, is_final)),
        1 => (1_u128..40).prop_map(release),
        2 => (1_i64..40, 1_i64..200, any::<bool>()).prop_map(|(sequence, amount, part)| reverse(sequence, amount, part)),
        1 => (1_u128..40).prop_map(|hold| Command::ExpireHold(RequestId(Uuid::from_u128(hold)))),
        1 => (lot, 1_i64..40).prop_map(|(account, expires)| Command::ExpireLot(id(account), day(expires))),
    ];
    let step = prop_oneof![
        8 => (1_u128..40, command).prop_map(|(number, command)| Step::Ask(request(number, command))),
        1 => (1_i64..8).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..60)
}

fn assert_sound(book: &Book) {
    let mut replayed: HashMap<AccountId, i64> = HashMap::new();
    for (entry, sequence) in book.changes.entries.iter().zip(1..) {
        assert_eq!(entry.sequence, sequence, "sequences are dense");
        if !matches!(
            entry.kind,
            EntryKind::Hold | EntryKind::Release | EntryKind::HoldExpiry
        ) {
            *replayed.entry(entry.debit).or_default() -= entry.amount;
            *replayed.entry(entry.credit).or_default() += entry.amount;
        }
        assert_eq!(
            entry.debit_balance,
            replayed.get(&entry.debit).copied().unwrap_or(0)
        );
        assert_eq!(
            entry.credit_balance,
            replayed.get(&entry.credit).copied().unwrap_or(0)
        );
    }
    assert_eq!(
        book.accounts
            .values()
            .map(|account| account.balance)
            .sum::<i64>(),
        0,
        "zero-sum"
    );
    for account in book.accounts.values() {
        assert_eq!(
            account.balance,
            replayed.get(&account.id()).copied().unwrap_or(0),
            "balance = sum of entries"
        );
        let limits = account.definition.limits;
        assert!(
            limits
                .min_balance
                .is_none_or(|min| account.balance - account.held >= min)
        );
        assert!(limits.max_balance.is_none_or(|max| account.balance <= max));
        let open = book
            .holds
            .values()
            .filter(|(hold, _)| hold.debit == account.id());
        let held: i64 = open
            .filter(|(hold, _)| hold.state == HoldState::Open)
            .map(|(hold, _)| hold.left())
            .sum();
        assert_eq!(account.held, held, "held = what open holds hold");
        if account.keeps_lots() {
            assert!(
                account
                    .lots
                    .iter()
                    .all(|(_, lot)| lot.remaining >= 0 && lot.held >= 0)
            );
            assert_eq!(
                account
                    .lots
                    .iter()
                    .map(|(_, lot)| lot.remaining + lot.held)
                    .sum::<i64>(),
                account.balance
            );
            assert_eq!(
                account.lots.iter().map(|(_, lot)| lot.held).sum::<i64>(),
                account.held
            );
        }
    }
    for original in book.originals.values() {
        assert!(
            (0..=original.entry.amount).contains(&original.reversed),
            "reversals within the original"
        );
    }
}

proptest! {
    #[test]
    fn whatever_is_asked_the_books_stay_sound(steps in steps()) {
        let mut book = book();
        for step in steps {
            match step {
                Step::Wait(days) => book.now += TimeDelta::days(days),
                Step::Ask(request) => {
                    let before = book.clone();
                    let answer = book.apply(std::slice::from_ref(&request)).remove(0);
                    if matches!(answer, Answer::Refused(_)) {
                        prop_assert_eq!(&book.accounts, &before.accounts, "a refusal changes nothing");
                        prop_assert_eq!(&book.changes.entries, &before.changes.entries);
                    }
                    let again = book.apply(std::slice::from_ref(&request)).remove(0);
                    prop_assert_eq!(answer, again, "the same request gets the same answer");
                    load_originals(&mut book);
                    assert_sound(&book);
                }
            }
        }
    }

    #[test]
    fn a_batch_does_what_its_requests_would_do_one_by_one(steps in steps()) {
        let asked = steps.into_iter().filter_map(|step| match step {
            Step::Ask(request) => Some(request),
            Step::Wait(_) => None,
        });
        let requests: Vec<Request> = asked.collect();
        let (mut batch, mut singly) = (book(), book());
        let together = batch.apply(&requests);
        let apart: Vec<Answer> = requests.iter().flat_map(|request| singly.apply(std::slice::from_ref(request))).collect();
        prop_assert_eq!(together, apart);
        prop_assert_eq!(batch.accounts, singly.accounts);
        prop_assert_eq!(batch.changes.entries, singly.changes.entries);
    }
}
