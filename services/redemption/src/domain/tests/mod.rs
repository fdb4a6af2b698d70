//! The rules as tables, and what holds for whatever is asked.

mod offer;
mod redemption;
mod statement;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn offer() -> Offer {
    Offer {
        community: Uuid::from_u128(1),
        id: Uuid::from_u128(2),
        merchant: Uuid::from_u128(3),
        programme: Uuid::from_u128(4),
        title: "理发".into(),
        points: 30,
        revision: 1,
        stock: 10,
        stock_left: 10,
        per_member_limit: Some(3),
        audience: Audience::All,
        start: day("2026-03-01"),
        end: day("2026-03-31"),
        reversal_days: 7,
        state: OfferState::Active,
        asset: "points".into(),
        time_zone: Zone(chrono_tz::Asia::Shanghai),
        created_at: at("2026-02-01T00:00:00Z"),
    }
}

const RIDER: Member = Member {
    kind: MemberKind::Rider,
    birth_year: Some(1990),
    is_erased: false,
};

fn counter() -> Counter<'static> {
    Counter {
        merchant: MerchantState::Active,
        agreed: true,
        member: &RIDER,
        taken: 0,
        quantity: 1,
        now: at("2026-03-10T04:00:00Z"),
    }
}

fn redemption(state: RedemptionState) -> Redemption {
    let captured = matches!(state, RedemptionState::Captured | RedemptionState::Reversed);
    Redemption {
        community: Uuid::from_u128(1),
        id: Uuid::from_u128(9),
        member: Uuid::from_u128(5),
        offer: Uuid::from_u128(2),
        merchant: Uuid::from_u128(3),
        programme: Uuid::from_u128(4),
        offer_revision: 1,
        title: "理发".into(),
        unit_points: 30,
        asset: "points".into(),
        reversal_days: 7,
        quantity: 4,
        captured_quantity: if captured { 4 } else { 0 },
        reversed_quantity: if state == RedemptionState::Reversed {
            4
        } else {
            0
        },
        reversals: 0,
        state,
        expires_at: Some(at("2026-03-10T04:05:00Z")),
        created_at: at("2026-03-10T04:00:00Z"),
        captured_at: captured.then(|| at("2026-03-10T04:01:00Z")),
        ledger_entry: captured.then_some(17),
        terminal: None,
        store: None,
        assisted_by: None,
        offline: None,
    }
}

fn operation(kind: Kind, quantity: i64) -> Operation {
    Operation {
        community: Uuid::from_u128(1),
        id: Uuid::from_u128(10),
        redemption: Uuid::from_u128(9),
        kind,
        quantity,
        operator: String::new(),
        reason: String::new(),
        traceparent: None,
        due_at: at("2026-03-10T04:00:05Z"),
        created_at: at("2026-03-10T04:00:00Z"),
    }
}

fn done() -> Verdict {
    Verdict::Done(LedgerReceipt {
        entry: 17,
        at: at("2026-03-10T04:01:00Z"),
    })
}

fn refused(reason: &str) -> Verdict {
    Verdict::Refused(LedgerRefusal {
        reason: reason.into(),
        available: None,
    })
}

const BEFORE_THE_END: &str = "2026-03-10T04:04:59.999999Z";
const AT_THE_END: &str = "2026-03-10T04:05:00Z";
