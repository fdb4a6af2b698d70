//! What the book promises, as tables; `properties` holds it against random requests.

mod properties;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use uuid::Uuid;

use super::*;

const ISSUING: u128 = 1;
const EXPIRED: u128 = 2;
const SHOP: u128 = 3;
const ANNA: u128 = 10;
const BAO: u128 = 11;
const BUDGET: i64 = 1_000;

fn day(day: i64) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 1, 1, 0, 0, 0).unwrap() + TimeDelta::days(day)
}

fn account(id: u128, kind: AccountKind, limits: AccountLimits) -> Account {
    let keeps_lots = kind == AccountKind::Member;
    let definition = AccountDefinition {
        id: AccountId(Uuid::from_u128(id)),
        programme: Uuid::from_u128(99),
        asset: "points".to_owned(),
        kind,
        owner: None,
        expiry_account: keeps_lots.then_some(AccountId(Uuid::from_u128(EXPIRED))),
        limits,
    };
    Account::opened(definition, day(0))
}

fn book() -> Book {
    let floor = AccountLimits {
        min_balance: Some(0),
        max_balance: None,
    };
    let budget = AccountLimits {
        min_balance: Some(-BUDGET),
        max_balance: Some(0),
    };
    let mut book = Book::new(day(0), 1);
    for account in [
        account(ISSUING, AccountKind::Issuing, budget),
        account(EXPIRED, AccountKind::Expired, floor),
        account(SHOP, AccountKind::Merchant, floor),
        account(ANNA, AccountKind::Member, floor),
        account(BAO, AccountKind::Member, floor),
    ] {
        book.accounts.insert(account.id(), account);
    }
    book
}

fn id(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(number))
}

fn request(number: u128, command: Command) -> Request {
    Request::new(RequestId(Uuid::from_u128(number)), false, command)
}

fn transfer(debit: u128, credit: u128, amount: i64, expires: Option<i64>) -> Command {
    Command::Transfer(Transfer {
        posting: Posting {
            debit: id(debit),
            credit: id(credit),
            amount,
        },
        expires_at: expires.map(day),
        description: String::new(),
    })
}

fn hold(debit: u128, amount: i64, expires: i64) -> Command {
    Command::CreateHold(CreateHold {
        posting: Posting {
            debit: id(debit),
            credit: id(SHOP),
            amount,
        },
        expires_at: day(expires),
        description: String::new(),
    })
}

fn capture(hold: u128, amount: i64, is_final: bool) -> Command {
    Command::CaptureHold(CaptureHold {
        hold: RequestId(Uuid::from_u128(hold)),
        amount,
        is_final,
        credit: None,
        description: String::new(),
    })
}

fn release(hold: u128) -> Command {
    Command::ReleaseHold(ReleaseHold {
        hold: RequestId(Uuid::from_u128(hold)),
    })
}

fn reverse(sequence: i64, amount: i64, allow_partial: bool) -> Command {
    Command::ReverseEntry(ReverseEntry {
        sequence,
        amount,
        allow_partial,
        description: String::new(),
    })
}

/// Applies one request and makes its entry known to later reversals, as loading it would.
fn one(book: &mut Book, number: u128, command: Command) -> Result<Entry, Refusal> {
    let answer = book.apply(&[request(number, command)]).remove(0);
    load_originals(book);
    match answer {
        Answer::Refused(refusal) => Err(refusal),
        Answer::Posted(sequence) => {
            Ok(book.changes.entries[usize::try_from(sequence).unwrap() - 1].clone())
        }
    }
}

fn load_originals(book: &mut Book) {
    for entry in book.changes.entries.clone() {
        let original = Original { entry, reversed: 0 };
        book.originals
            .entry(original.entry.sequence)
            .or_insert(original);
    }
}

fn balance(book: &Book, number: u128) -> i64 {
    book.accounts[&id(number)].balance
}

fn available(book: &Book, number: u128) -> i64 {
    book.accounts[&id(number)].available(book.now)
}

#[test]
fn a_grant_beyond_the_budget_is_refused_and_a_smaller_one_still_fits() {
    let mut book = book();
    one(&mut book, 1, transfer(ISSUING, ANNA, 900, None)).unwrap();
    assert_eq!(
        one(&mut book, 2, transfer(ISSUING, ANNA, 101, None)),
        Err(Refusal::InsufficientPoints {
            available: 100,
            asked: 101
        })
    );
    one(&mut book, 3, transfer(ISSUING, ANNA, 100, None)).unwrap();
    assert_eq!(balance(&book, ANNA), 1_000);
}

#[test]
fn expired_points_are_unspendable_before_any_sweep_and_swept_once() {
    let mut book = book();
    one(&mut book, 1, transfer(ISSUING, ANNA, 50, Some(10))).unwrap();
    one(&mut book, 2, transfer(ISSUING, ANNA, 30, None)).unwrap();
    book.now = day(10);
    assert_eq!((balance(&book, ANNA), available(&book, ANNA)), (80, 30));
    assert_eq!(
        one(&mut book, 3, transfer(ANNA, SHOP, 31, None)),
        Err(Refusal::InsufficientPoints {
            available: 30,
            asked: 31
        })
    );
    one(&mut book, 4, Command::ExpireLot(id(ANNA), day(10))).unwrap();
    assert!(one(&mut book, 5, Command::ExpireLot(id(ANNA), day(10))).is_err());
    assert_eq!((balance(&book, ANNA), balance(&book, EXPIRED)), (30, 50));
}

#[test]
fn held_points_do_not_expire_and_can_be_captured_after_their_lot_ended() {
    let mut book = book();
    one(&mut book, 1, transfer(ISSUING, ANNA, 50, Some(10))).unwrap();
    one(&mut book, 2, hold(ANNA, 40, 20)).unwrap();
    book.now = day(10);
    let swept = one(&mut book, 3, Command::ExpireLot(id(ANNA), day(10))).unwrap();
    assert_eq!(swept.amount, 10);
    one(&mut book, 4, capture(2, 25, true)).unwrap();
    // The remainder went back to a lot that has ended.
    assert_eq!(
        (
            balance(&book, ANNA),
            available(&book, ANNA),
            balance(&book, SHOP)
        ),
        (15, 0, 25)
    );
    assert_eq!(
        one(&mut book, 5, release(2)),
        Err(Refusal::HoldClosed {
            captured: 25,
            released: 15
        })
    );
}

#[test]
fn several_captures_take_a_hold_and_no_more_than_it() {
    let mut book = book();
    one(&mut book, 1, transfer(ISSUING, ANNA, 50, None)).unwrap();
    one(&mut book, 2, hold(ANNA, 50, 5)).unwrap();
    one(&mut book, 3, capture(2, 20, false)).unwrap();
    assert_eq!(
        one(&mut book, 4, capture(2, 31, false)),
        Err(Refusal::AmountExceedsHeld {
            held: 30,
            asked: 31
        })
    );
    one(&mut book, 5, capture(2, 30, false)).unwrap();
    assert_eq!(
        book.holds[&RequestId(Uuid::from_u128(2))].0.state,
        HoldState::Captured
    );
    assert_eq!(balance(&book, SHOP), 50);
}

#[test]
fn a_capture_may_pay_whom_the_hold_did_not_know() {
    let mut book = book();
    one(&mut book, 1, transfer(ISSUING, ANNA, 50, Some(9))).unwrap();
    let mut held = hold(ANNA, 50, 5);
    if let Command::CreateHold(held) = &mut held {
        held.posting.credit = id(ISSUING);
    }
    one(&mut book, 2, held).unwrap();
    let pay = |credit| {
        let mut command = capture(2, 20, true);
        if let Command::CaptureHold(capture) = &mut command {
            capture.credit = Some(id(credit));
        }
        command
    };
    for own in [ANNA, ISSUING] {
        let account = id(own);
        let refused = one(&mut book, 3 + own, pay(own));
        assert_eq!(refused, Err(Refusal::NotAnotherAccount { account }));
    }
    assert_eq!(one(&mut book, 5, pay(BAO)), Err(Refusal::LotsOnBothSides));
    let nobody = one(&mut book, 6, pay(77));
    assert!(matches!(nobody, Err(Refusal::AccountNotFound { .. })));
    one(&mut book, 7, pay(SHOP)).unwrap();
    assert_eq!((balance(&book, SHOP), available(&book, ANNA)), (20, 30));
}

#[test]
fn a_hold_ends_at_its_instant() {
    let mut book = book();
    one(&mut book, 1, transfer(ISSUING, ANNA, 50, None)).unwrap();
    one(&mut book, 2, hold(ANNA, 50, 5)).unwrap();
    let early = Command::ExpireHold(RequestId(Uuid::from_u128(2)));
    assert!(matches!(
        one(&mut book, 3, early.clone()),
        Err(Refusal::HoldNotExpired { .. })
    ));
    book.now = day(5);
    assert!(matches!(
        one(&mut book, 4, capture(2, 1, true)),
        Err(Refusal::HoldExpired { .. })
    ));
    one(&mut book, 5, early).unwrap();
    assert_eq!(available(&book, ANNA), 50);
}

#[test]
fn a_hold_is_told_again_as_each_request_left_it() {
    let expire = || Command::ExpireHold(RequestId(Uuid::from_u128(2)));
    let lives = [
        vec![hold(ANNA, 10, 5), capture(2, 3, false), release(2)],
        vec![hold(ANNA, 10, 5), capture(2, 3, false), expire()],
        vec![hold(ANNA, 10, 5), capture(2, 3, false), capture(2, 4, true)],
    ];
    for life in lives {
        let mut book = book();
        one(&mut book, 1, transfer(ISSUING, ANNA, 10, Some(9))).unwrap();
        let mut told = vec![];
        for (number, command) in (2..).zip(life) {
            if matches!(command, Command::ExpireHold(_)) {
                book.now = day(5);
            }
            let is_step = matches!(command, Command::CaptureHold(_) | Command::ReleaseHold(_));
            let entry = one(&mut book, number, command).unwrap();
            let (hold, _) = &book.holds[&RequestId(Uuid::from_u128(2))];
            let answered = book.changes.answered.get(&entry.sequence);
            assert_eq!(answered, is_step.then_some(hold));
            told.push((entry.sequence, hold.clone()));
        }
        let (_, hold) = told[2].clone();
        let about = |entry: &&Entry| entry.related == Some(hold.sequence);
        let entries = book.changes.entries.iter().filter(about).cloned();
        let recorded = RecordedHold {
            entries: entries.collect(),
            hold,
        };
        let made = book.changes.entries.iter().find_map(Hold::as_made);
        assert_eq!(made, Some(told[0].1.clone()));
        for (sequence, as_it_was) in told {
            assert_eq!(recorded.as_answered(sequence), as_it_was);
        }
    }
}

#[test]
fn a_reversal_gives_back_to_the_lots_that_paid_last_used_first() {
    let mut book = book();
    one(&mut book, 1, transfer(ISSUING, ANNA, 10, Some(10))).unwrap();
    one(&mut book, 2, transfer(ISSUING, ANNA, 10, Some(20))).unwrap();
    let spent = one(&mut book, 3, transfer(ANNA, SHOP, 15, None)).unwrap();
    let back = one(&mut book, 4, reverse(spent.sequence, 7, false)).unwrap();
    let lots: Vec<(DateTime<Utc>, i64)> = back
        .allocations
        .iter()
        .map(|part| (part.expires_at, part.amount))
        .collect();
    assert_eq!(lots, [(day(20), 5), (day(10), 2)]);
    let rest = one(&mut book, 5, reverse(spent.sequence, 8, false)).unwrap();
    assert_eq!(
        rest.allocations,
        [Allocation {
            expires_at: day(10),
            amount: 8
        }]
    );
    assert_eq!(
        one(&mut book, 6, reverse(spent.sequence, 1, false)),
        Err(Refusal::AmountExceedsOriginal {
            reversible: 0,
            asked: 1
        })
    );
}

#[test]
fn a_reversed_grant_is_taken_from_its_own_lot_as_far_as_it_goes() {
    let mut book = book();
    one(&mut book, 1, transfer(ISSUING, ANNA, 10, Some(10))).unwrap();
    let grant = one(&mut book, 2, transfer(ISSUING, ANNA, 10, Some(20))).unwrap();
    one(&mut book, 3, transfer(ANNA, SHOP, 15, None)).unwrap();
    assert_eq!(
        one(&mut book, 4, reverse(grant.sequence, 10, false)),
        Err(Refusal::InsufficientPoints {
            available: 5,
            asked: 10
        })
    );
    let taken = one(&mut book, 5, reverse(grant.sequence, 10, true)).unwrap();
    assert_eq!(
        taken.allocations,
        [Allocation {
            expires_at: day(20),
            amount: 5
        }]
    );
    assert_eq!((balance(&book, ANNA), balance(&book, ISSUING)), (0, -15));
}

#[test]
fn only_transfers_and_captures_can_be_reversed() {
    let mut book = book();
    one(&mut book, 1, transfer(ISSUING, ANNA, 10, None)).unwrap();
    let held = one(&mut book, 2, hold(ANNA, 5, 3)).unwrap();
    let sequence = held.sequence;
    assert_eq!(
        one(&mut book, 3, reverse(sequence, 1, false)),
        Err(Refusal::NotReversible { sequence })
    );
    assert_eq!(
        one(&mut book, 4, reverse(77, 1, false)),
        Err(Refusal::EntryNotFound { sequence: 77 })
    );
}

#[test]
fn the_same_request_has_one_effect_and_one_answer_and_another_content_is_refused() {
    let mut book = book();
    let grant = request(1, transfer(ISSUING, ANNA, 10, None));
    let other = request(1, transfer(ISSUING, ANNA, 11, None));
    let answers = book.apply(&[grant.clone(), grant, other]);
    assert_eq!(answers[0], Answer::Posted(1));
    assert_eq!(answers[1], Answer::Posted(1));
    let request_id = Uuid::from_u128(1);
    assert_eq!(
        answers[2],
        Answer::Refused(Refusal::RequestIdReused { request_id })
    );
    assert_eq!(balance(&book, ANNA), 10);
}

#[test]
fn a_refusal_is_the_answer_even_after_it_would_fit() {
    let mut book = book();
    let spend = transfer(ANNA, SHOP, 10, None);
    let refused = one(&mut book, 1, spend.clone());
    one(&mut book, 2, transfer(ISSUING, ANNA, 10, None)).unwrap();
    assert_eq!(one(&mut book, 1, spend), refused);
    assert_eq!(balance(&book, SHOP), 0);
}

#[test]
fn linked_transfers_post_together_or_not_at_all() {
    let mut book = book();
    let linked = |number, command| Request::new(RequestId(Uuid::from_u128(number)), true, command);
    let chain = [
        linked(1, transfer(ISSUING, ANNA, 10, None)),
        linked(2, transfer(ANNA, SHOP, 11, None)),
        request(3, transfer(ISSUING, BAO, 10, None)),
    ];
    let answers = book.apply(&chain);
    assert_eq!(answers[0], Answer::Refused(Refusal::LinkedTransferFailed));
    assert_eq!(
        answers[1],
        Answer::Refused(Refusal::InsufficientPoints {
            available: 10,
            asked: 11
        })
    );
    assert_eq!(answers[2], Answer::Refused(Refusal::LinkedTransferFailed));
    assert_eq!(
        (
            balance(&book, ISSUING),
            balance(&book, ANNA),
            balance(&book, SHOP)
        ),
        (0, 0, 0)
    );
    assert_eq!(book.apply(&chain), answers, "the chain repeated");

    let good = [
        linked(4, transfer(ISSUING, ANNA, 10, None)),
        request(5, transfer(ANNA, SHOP, 10, None)),
    ];
    assert_eq!(book.apply(&good), [Answer::Posted(1), Answer::Posted(2)]);
    assert_eq!(balance(&book, SHOP), 10);
}

#[test]
fn a_chain_that_names_one_id_twice_fails_the_same_way_each_time() {
    let mut book = book();
    let linked = |number, amount| {
        let command = transfer(ISSUING, ANNA, amount, None);
        Request::new(RequestId(Uuid::from_u128(number)), true, command)
    };
    let chain = [
        linked(1, 10),
        linked(1, 11),
        request(2, transfer(ISSUING, BAO, 10, None)),
    ];
    let answers = book.apply(&chain);
    let request_id = Uuid::from_u128(1);
    assert_eq!(answers[0], Answer::Refused(Refusal::LinkedTransferFailed));
    assert_eq!(
        answers[1],
        Answer::Refused(Refusal::RequestIdReused { request_id })
    );
    assert_eq!(book.apply(&chain), answers);
    assert_eq!(balance(&book, ISSUING), 0);
}

#[test]
fn points_that_expire_stay_with_accounts_that_keep_lots() {
    let mut book = book();
    let to_shop = one(&mut book, 1, transfer(ISSUING, SHOP, 1, Some(5)));
    assert_eq!(to_shop, Err(Refusal::LotsNotKept { account: id(SHOP) }));
    let passed_on = one(&mut book, 2, transfer(ANNA, BAO, 1, None));
    assert_eq!(passed_on, Err(Refusal::LotsOnBothSides));
    let late = one(&mut book, 3, transfer(ISSUING, ANNA, 1, Some(0)));
    assert!(matches!(late, Err(Refusal::LotExpired { .. })));
}

#[test]
fn amounts_at_the_end_of_the_range_are_refused_and_never_overflow() {
    let mut book = book();
    let unlimited = AccountLimits::default();
    for number in [ISSUING, SHOP] {
        book.accounts
            .get_mut(&id(number))
            .unwrap()
            .definition
            .limits = unlimited;
        book.accounts.get_mut(&id(number)).unwrap().balance = if number == SHOP {
            i64::MAX - 5
        } else {
            i64::MIN + 5
        };
    }
    assert!(matches!(
        one(&mut book, 1, transfer(ISSUING, SHOP, 6, None)),
        Err(Refusal::InsufficientPoints { .. })
    ));
    book.accounts.get_mut(&id(ISSUING)).unwrap().balance = 0;
    assert!(matches!(
        one(&mut book, 2, transfer(ISSUING, SHOP, 6, None)),
        Err(Refusal::LimitExceeded { .. })
    ));
}
