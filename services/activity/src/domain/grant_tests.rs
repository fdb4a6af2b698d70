//! Tables and properties of deciding grants and taking them back.

use proptest::prelude::*;

use super::*;
use crate::domain::{
    policy::{Cap, EarnRule, Effort, Period},
    service_record::Role,
};

fn programme(budget: Option<i64>) -> Programme {
    Programme {
        community: Community(Uuid::from_u128(1)),
        id: Uuid::from_u128(2),
        display_name: "积分".to_owned(),
        asset: "points".to_owned(),
        exponent: 0,
        time_zone: chrono_tz::Tz::Asia__Shanghai,
        budget,
        second_person_days: 7,
        expiry_notice_days: vec![30, 7, 1],
        created_at: DateTime::UNIX_EPOCH,
    }
}

fn policy(per_hour: i64) -> Policy {
    Policy {
        earn_rules: vec![EarnRule::Service {
            category: "*".to_owned(),
            per_hour,
        }],
        multipliers: vec![],
        caps: vec![],
        expiry_months: Some(6),
    }
}

fn hours(hours: i64) -> Deed<'static> {
    let local_date = "2024-05-19".parse().unwrap();
    Deed {
        category: "patrol",
        effort: Effort::Service {
            role: Role::Member,
            minutes: hours * 60,
        },
        local_date,
    }
}

fn decide_with(
    deed: &Deed<'_>,
    budget: Option<i64>,
    totals: &Totals,
    policy: Option<&Policy>,
) -> Result<Decision, OutOfRange> {
    let now = "2024-05-20T00:00:00Z".parse().unwrap();
    decide(
        deed,
        &Basis {
            programme: &programme(budget),
            totals,
            policy,
            earlier: &[],
            now,
        },
    )
}

fn totals(granted: i64, awaiting: i64) -> Totals {
    Totals { granted, awaiting }
}

#[test]
fn a_grant_that_would_pass_the_budget_waits_whole_and_a_smaller_one_still_fits() {
    let policy = policy(10);
    let waits = decide_with(&hours(2), Some(100), &totals(90, 5), Some(&policy)).unwrap();
    assert_eq!(
        (waits.state, waits.amount),
        (GrantState::AwaitingBudget, 20)
    );
    assert_eq!(waits.totals, totals(90, 25));
    assert_eq!(waits.arithmetic.budget_left, Some(10));
    let fits = decide_with(&hours(1), Some(100), &waits.totals, Some(&policy)).unwrap();
    assert_eq!(
        (fits.state, fits.totals),
        (GrantState::Pending, totals(100, 25))
    );
    assert_eq!(
        fits.expires_at,
        Some("2024-11-30T16:00:00Z".parse().unwrap())
    );
}

#[test]
fn nothing_earned_is_an_empty_grant_without_an_expiry() {
    for policy in [None, Some(&policy(0))] {
        let empty = decide_with(&hours(2), Some(100), &totals(100, 0), policy).unwrap();
        assert_eq!(
            (empty.state, empty.amount, empty.expires_at),
            (GrantState::Empty, 0, None)
        );
        assert_eq!(empty.totals, totals(100, 0));
    }
}

#[test]
fn sums_and_amounts_out_of_range_are_refused() {
    let policy = policy(1_000_000_000);
    let refused = decide_with(&hours(1), None, &totals(i64::MAX, 0), Some(&policy));
    assert_eq!(refused, Err(OutOfRange));
    let refused = decide_with(&hours(1), Some(5), &totals(5, i64::MAX), Some(&policy));
    assert_eq!(refused, Err(OutOfRange));
    let refused = decide_with(&hours(2_000_000), None, &totals(0, 0), Some(&policy));
    assert_eq!(refused, Err(OutOfRange));
}

fn grant(state: GrantState) -> Grant {
    let amount = if state == GrantState::Empty { 0 } else { 30 };
    let counted = if state == GrantState::AwaitingBudget {
        0
    } else {
        amount
    };
    Grant {
        community: Community(Uuid::from_u128(1)),
        id: Uuid::from_u128(9),
        programme: Uuid::from_u128(2),
        member: Uuid::from_u128(3),
        record: Uuid::from_u128(4),
        revision: None,
        source: Source::Service,
        local_date: "2024-05-19".parse().unwrap(),
        amount,
        expires_at: None,
        state,
        counted,
        entry_sequence: None,
        revoked_amount: 0,
        created_at: DateTime::UNIX_EPOCH,
        granted_at: None,
        posting: 0,
    }
}

#[test]
fn a_revocation_takes_each_grant_where_it_stands() {
    use GrantState::{AwaitingBudget, Empty, Pending, Posted, Revoked, Revoking};
    // state, heard by the ledger → state, counted, revoked, less granted, less awaiting
    let cases = [
        (Empty, false, Some((Revoked, 0, 0, 0, 0))),
        (AwaitingBudget, false, Some((Revoked, 0, 0, 0, 30))),
        (AwaitingBudget, true, Some((Revoked, 0, 0, 0, 30))),
        (Pending, false, Some((Revoked, 0, 30, 30, 0))),
        (Pending, true, Some((Revoking, 30, 0, 0, 0))),
        (Posted, true, Some((Revoking, 30, 0, 0, 0))),
        (Revoking, true, None),
        (Revoked, true, None),
    ];
    for (state, heard, expected) in cases {
        let step = grant(state).revoke(heard).map(|step| {
            (
                step.state,
                step.counted,
                step.revoked_amount,
                step.granted_less,
                step.awaiting_less,
            )
        });
        assert_eq!(step, expected, "{state:?} heard: {heard}");
    }
}

#[test]
fn what_the_ledger_answers_moves_only_grants_that_wait_for_it() {
    use GrantState::{AwaitingBudget, Empty, Pending, Posted, Revoked, Revoking};
    for state in [Empty, AwaitingBudget, Posted, Revoked] {
        assert_eq!(grant(state).posted(), None);
        assert_eq!(grant(state).over_limit(), None);
        assert_eq!(grant(state).too_late(), None);
        assert_eq!(grant(state).taken_back(5), None);
    }
    assert_eq!(grant(Pending).posted().unwrap().state, Posted);
    assert_eq!(grant(Revoking).posted().unwrap().state, Revoking);
    let waits = grant(Pending).over_limit().unwrap();
    assert_eq!(
        (waits.state, waits.granted_less, waits.awaiting_less),
        (AwaitingBudget, 30, -30)
    );
    let undone = grant(Revoking).over_limit().unwrap();
    assert_eq!(
        (undone.state, undone.revoked_amount, undone.granted_less),
        (Revoked, 30, 30)
    );
    let partly = grant(Revoking).taken_back(12).unwrap();
    assert_eq!(
        (
            partly.state,
            partly.counted,
            partly.revoked_amount,
            partly.granted_less
        ),
        (Revoked, 18, 12, 12)
    );
}

proptest! {
    /// Whatever is earned in whatever order, what is granted stays within the budget and nothing is lost on the way.
    #[test]
    fn no_row_of_grants_passes_the_budget(budget in 1..5000_i64, rows in prop::collection::vec(0..24_i64, 1..60)) {
        let policy = Policy {
            caps: vec![Cap { source: None, period: Period::Day, limit: 150 }],
            ..policy(10)
        };
        let mut sums = totals(0, 0);
        let mut earned = 0;
        for row in rows {
            let decision = decide_with(&hours(row), Some(budget), &sums, Some(&policy)).unwrap();
            earned += decision.amount;
            sums = decision.totals;
            prop_assert!(sums.granted <= budget);
            prop_assert_eq!(sums.granted + sums.awaiting, earned);
        }
    }
}
