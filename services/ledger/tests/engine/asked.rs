//! A small cast of accounts and random requests about them: few accounts, few ids and small amounts, so that ids meet again, limits
//! are reached, and holds and entries are found.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::domain::{
    AccountDefinition, AccountId, AccountKind, AccountLimits, CaptureHold, Command, CreateHold,
    Posting, ReleaseHold, Request, RequestId, ReverseEntry, Transfer,
};

pub const ISSUING: u128 = 1;
pub const EXPIRED: u128 = 2;
pub const SHOP: u128 = 3;
/// A shop that may take little.
pub const KIOSK: u128 = 4;
/// An account of another asset.
pub const CASH: u128 = 5;
/// An account without any limit.
pub const DONOR: u128 = 6;
pub const ANNA: u128 = 10;
pub const BAO: u128 = 11;
/// A member who may have little.
pub const CARLA: u128 = 12;
/// An account that is not there.
pub const NOBODY: u128 = 404;

pub fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 3, 1, 8, 0, 0).unwrap()
}

pub fn minute(minute: i64) -> DateTime<Utc> {
    start() + TimeDelta::minutes(minute)
}

pub fn account(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(number))
}

pub fn id(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(number))
}

/// In an order in which they can be opened.
pub fn cast() -> Vec<AccountDefinition> {
    use AccountKind::{Expired, Issuing, Member, Merchant};
    let define = |number, kind, min_balance, max_balance| AccountDefinition {
        id: account(number),
        programme: Uuid::from_u128(99),
        asset: if number == CASH { "CNY" } else { "points" }.to_owned(),
        kind,
        owner: None,
        expiry_account: (kind == Member).then_some(account(EXPIRED)),
        limits: AccountLimits {
            min_balance,
            max_balance,
        },
    };
    vec![
        define(ISSUING, Issuing, Some(-600), Some(0)),
        define(EXPIRED, Expired, Some(0), None),
        define(SHOP, Merchant, Some(0), None),
        define(KIOSK, Merchant, Some(0), Some(80)),
        define(CASH, Issuing, None, None),
        define(DONOR, Issuing, None, None),
        define(ANNA, Member, Some(0), None),
        define(BAO, Member, Some(0), None),
        define(CARLA, Member, Some(0), Some(90)),
    ]
}

pub fn transfer(debit: u128, credit: u128, amount: i64, expires_at: Option<i64>) -> Command {
    Command::Transfer(Transfer {
        posting: posting(debit, credit, amount),
        expires_at: expires_at.map(minute),
        description: format!("{amount} asked"),
    })
}

fn posting(debit: u128, credit: u128, amount: i64) -> Posting {
    Posting {
        debit: account(debit),
        credit: account(credit),
        amount,
    }
}

pub fn member() -> BoxedStrategy<u128> {
    prop_oneof![4 => Just(ANNA), 3 => Just(BAO), 2 => Just(CARLA)].boxed()
}

fn shop() -> BoxedStrategy<u128> {
    prop_oneof![3 => Just(SHOP), 1 => Just(KIOSK)].boxed()
}

fn anyone() -> BoxedStrategy<u128> {
    prop_oneof![
        6 => member(),
        4 => shop(),
        3 => Just(ISSUING),
        2 => Just(DONOR),
        1 => prop_oneof![Just(CASH), Just(NOBODY), Just(EXPIRED)],
    ]
    .boxed()
}

pub fn transfers() -> BoxedStrategy<Command> {
    let expires = prop_oneof![1 => Just(None), 3 => (0_i64..120).prop_map(Some)];
    let source = prop_oneof![3 => Just(ISSUING), 1 => Just(DONOR)];
    prop_oneof![
        4 => (source, member(), 1_i64..120, expires.clone())
            .prop_map(|(debit, credit, amount, expires)| transfer(debit, credit, amount, expires)),
        4 => (member(), shop(), 1_i64..70)
            .prop_map(|(debit, credit, amount)| transfer(debit, credit, amount, None)),
        2 => (anyone(), anyone(), 1_i64..100, expires)
            .prop_filter("two accounts", |(debit, credit, ..)| debit != credit)
            .prop_map(|(debit, credit, amount, expires)| transfer(debit, credit, amount, expires)),
    ]
    .boxed()
}

fn hold_number(ids: u128) -> BoxedStrategy<RequestId> {
    (1..=ids / 3).prop_map(id).boxed()
}

/// Anything but a transfer.
pub fn others(ids: u128) -> BoxedStrategy<Command> {
    let hold = (member(), shop(), 1_i64..60, 0_i64..90).prop_map(|(debit, credit, amount, at)| {
        Command::CreateHold(CreateHold {
            posting: posting(debit, credit, amount),
            expires_at: minute(at),
            description: String::new(),
        })
    });
    let odd_hold =
        (anyone(), anyone(), 1_i64..60).prop_filter_map("two", |(debit, credit, amount)| {
            (debit != credit).then(|| {
                Command::CreateHold(CreateHold {
                    posting: posting(debit, credit, amount),
                    expires_at: minute(60),
                    description: "odd".to_owned(),
                })
            })
        });
    let other =
        prop_oneof![5 => Just(None), 1 => shop().prop_map(Some), 1 => anyone().prop_map(Some)];
    let capture = (hold_number(ids), 1_i64..50, any::<bool>(), other).prop_map(
        |(hold, amount, is_final, credit)| {
            Command::CaptureHold(CaptureHold {
                hold,
                amount,
                is_final,
                credit: credit.map(account),
                description: "taken".to_owned(),
            })
        },
    );
    let release = hold_number(ids).prop_map(|hold| Command::ReleaseHold(ReleaseHold { hold }));
    let reverse = (1..i64::try_from(ids).unwrap(), 1_i64..60, any::<bool>()).prop_map(
        |(sequence, amount, partly)| {
            Command::ReverseEntry(ReverseEntry {
                sequence,
                amount,
                allow_partial: partly,
                description: "undone".to_owned(),
            })
        },
    );
    prop_oneof![5 => hold, 1 => odd_hold, 5 => capture, 1 => release, 4 => reverse].boxed()
}

/// Holds are named from a part of the ids, so that captures find them.
fn named(command: Command, number: u128, ids: u128) -> Request {
    let number = match command {
        Command::CreateHold(_) => number % (ids / 3) + 1,
        _ => number,
    };
    Request::new(id(number), false, command)
}

/// One request, named by one of so many ids.
pub fn request(ids: u128) -> BoxedStrategy<Request> {
    let command = prop_oneof![3 => transfers(), 4 => others(ids)];
    (command, 1..=ids)
        .prop_map(move |(command, number)| named(command, number, ids))
        .boxed()
}

/// Transfers linked to each other.
fn chain(ids: u128) -> BoxedStrategy<Vec<Request>> {
    proptest::collection::vec((transfers(), 1..=ids), 2..5)
        .prop_map(|links| {
            let last = links.len() - 1;
            let links = links.into_iter().enumerate();
            links
                .map(|(index, (command, number))| Request::new(id(number), index != last, command))
                .collect()
        })
        .boxed()
}

/// Requests in one call, named by so many ids: alone, or transfers linked to each other.
pub fn call(ids: u128) -> BoxedStrategy<Vec<Request>> {
    let part = prop_oneof![5 => request(ids).prop_map(|request| vec![request]), 2 => chain(ids)];
    proptest::collection::vec(part, 1..7)
        .prop_map(|parts| parts.concat())
        .boxed()
}

/// What one call of the contract can ask and be told by the entry it made: transfers, or something else alone.
pub fn wire_call(ids: u128) -> BoxedStrategy<Vec<Request>> {
    let transfer = (transfers(), 1..=ids)
        .prop_map(|(command, number)| vec![Request::new(id(number), false, command)]);
    let part = prop_oneof![3 => transfer, 1 => chain(ids)];
    let transfers = proptest::collection::vec(part, 1..5).prop_map(|parts| parts.concat());
    let other = (others(ids), 1..=ids)
        .prop_filter("a release's answer names no entry", |(command, _)| {
            !matches!(command, Command::ReleaseHold(_))
        })
        .prop_map(move |(command, number)| vec![named(command, number, ids)]);
    prop_oneof![transfers, other].boxed()
}

/// The same request with its ids in another range.
pub fn renamed(request: &Request, offset: u128) -> Request {
    let rename = |id: RequestId| RequestId(Uuid::from_u128(id.0.as_u128() + offset));
    let mut command = request.command.clone();
    match &mut command {
        Command::CaptureHold(capture) => capture.hold = rename(capture.hold),
        Command::ReleaseHold(release) => release.hold = rename(release.hold),
        Command::ExpireHold(hold) => *hold = rename(*hold),
        Command::Transfer(_)
        | Command::CreateHold(_)
        | Command::ReverseEntry(_)
        | Command::ExpireLot(..) => {}
    }
    let id = request.id().expect("a caller's request");
    Request::new(rename(id), request.linked, command)
}
