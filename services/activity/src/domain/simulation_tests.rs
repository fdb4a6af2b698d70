//! What a simulation adds up, beside what grants really come to.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::domain::{
    Community,
    policy::{Period, Source},
};

fn programme() -> Programme {
    Programme {
        community: Community(Uuid::from_u128(1)),
        id: Uuid::from_u128(2),
        display_name: "积分".to_owned(),
        asset: "points".to_owned(),
        exponent: 0,
        time_zone: chrono_tz::Tz::Asia__Shanghai,
        budget: Some(1),
        second_person_days: 7,
        expiry_notice_days: vec![30, 7, 1],
        created_at: DateTime::UNIX_EPOCH,
    }
}

fn policy(per_hour: i64, caps: &[(Period, i64)]) -> Policy {
    let caps = caps.iter().map(|(period, limit)| Cap {
        source: None,
        period: *period,
        limit: *limit,
    });
    Policy {
        earn_rules: vec![EarnRule::Service {
            category: "patrol".to_owned(),
            per_hour,
        }],
        multipliers: vec![],
        caps: caps.collect(),
        expiry_months: Some(6),
    }
}

fn deed(member: u128, day: i64, hours: i64) -> PastDeed {
    let start: DateTime<Utc> = "2024-05-01T00:00:00Z".parse().unwrap();
    let started_at = start + TimeDelta::days(day);
    PastDeed {
        id: Uuid::from_u128(99),
        member: Uuid::from_u128(member),
        category: "patrol".to_owned(),
        effort: PastEffort::Service {
            role: Role::Member,
            minutes: hours * 60,
        },
        started_at,
        decided_at: started_at + TimeDelta::days(1),
        granted: hours * 10,
        awaiting: 0,
    }
}

#[test]
fn members_rules_and_caps_add_up() {
    let policy = policy(20, &[(Period::Day, 50), (Period::Month, 60)]);
    let mut simulation = Simulation::new(&policy, programme(), None);
    let mut other = deed(2, 0, 1);
    other.category = "care".to_owned();
    for deed in [deed(1, 0, 3), deed(1, 1, 1), deed(1, 31, 1), other] {
        simulation.add(&deed).unwrap();
    }

    // 60 cut to 50; 20 cut to 10; 20 in a month of its own.
    let one = simulation.members[&Uuid::from_u128(1)];
    assert_eq!((one.deeds, one.granted, one.simulated_granted), (3, 50, 80));
    let two = simulation.members[&Uuid::from_u128(2)];
    assert_eq!((two.simulated_granted, two.difference()), (0, -10));
    assert_eq!(simulation.sums.difference(), 20);
    assert_eq!(
        (simulation.rules[0].deeds, simulation.rules[0].desired),
        (3, 100)
    );
    assert_eq!(simulation.unmatched, 1);
    let caps: Vec<(i64, i64)> = simulation
        .caps
        .iter()
        .map(|sum| (sum.grants, sum.cut))
        .collect();
    assert_eq!(caps, [(1, 10), (1, 10)]);
}

#[test]
fn reports_earn_by_their_own_rules_and_share_the_caps() {
    let mut policy = policy(20, &[(Period::Day, 30)]);
    policy.earn_rules.push(EarnRule::Report {
        category: "*".to_owned(),
        urgency: "red".to_owned(),
        fixed: 15,
    });
    let report = |urgency: &str| PastDeed {
        effort: PastEffort::Report {
            urgency: urgency.to_owned(),
        },
        ..deed(1, 0, 0)
    };
    let mut simulation = Simulation::new(&policy, programme(), None);
    for deed in [deed(1, 0, 1), report("red"), report("blue")] {
        simulation.add(&deed).unwrap();
    }
    // 20, and 15 cut to 10; no rule is for blue ones.
    assert_eq!(simulation.sums.simulated_granted, 30);
    assert_eq!(
        (simulation.rules[1].deeds, simulation.rules[1].desired),
        (1, 15)
    );
    assert_eq!((simulation.unmatched, simulation.caps[0].cut), (1, 5));
}

#[test]
fn what_was_granted_before_the_days_uses_caps_up() {
    let policy = policy(20, &[(Period::Month, 50)]);
    let mut simulation = Simulation::new(&policy, programme(), None);
    let counted = Counted {
        source: Source::Service,
        local_date: "2024-05-01".parse().unwrap(),
        amount: 45,
    };
    simulation.count(Uuid::from_u128(1), counted);
    simulation.add(&deed(1, 10, 1)).unwrap();
    assert_eq!(simulation.sums.simulated_granted, 5);
}

#[test]
fn what_passes_the_budget_waits_whole_and_uses_no_cap() {
    let policy = policy(10, &[(Period::Month, 60)]);
    let mut simulation = Simulation::new(&policy, programme(), Some(45));
    for deed in [deed(1, 0, 3), deed(1, 1, 2), deed(1, 2, 1)] {
        simulation.add(&deed).unwrap();
    }
    let sums = simulation.sums;
    assert_eq!((sums.simulated_granted, sums.simulated_awaiting), (40, 20));
    assert_eq!(simulation.caps[0].cut, 0);
}

#[test]
fn whose_points_change_most_comes_first() {
    let sums = |granted, simulated_granted| Sums {
        granted,
        simulated_granted,
        ..Sums::default()
    };
    let order = |sums: &Sums| rank(MemberOrder::Difference, sums);
    assert!(order(&sums(10, 0)) < order(&sums(0, 9)));
    assert!(order(&sums(0, 9)) < order(&sums(5, 5)));
    assert_eq!(rank(MemberOrder::Number, &sums(10, 0)), 0);
}

proptest! {
    #[test]
    fn the_sums_are_those_of_the_members_and_no_budget_is_passed(
        hours in prop::collection::vec((0..4_u128, 0..40_i64, 0..8_i64), 0..40), budget in 0..500_i64, limit in 0..100_i64,
    ) {
        let policy = policy(10, &[(Period::Day, limit)]);
        let mut simulation = Simulation::new(&policy, programme(), Some(budget));
        for (member, day, hours) in hours {
            simulation.add(&deed(member, day, hours)).unwrap();
        }
        let of_members: i64 = simulation.members.values().map(|sums| sums.simulated_granted).sum();
        prop_assert_eq!(of_members, simulation.sums.simulated_granted);
        prop_assert!(of_members <= budget);
        let desired = simulation.rules[0].desired;
        let cut = simulation.caps[0].cut;
        prop_assert_eq!(desired - cut, of_members + simulation.sums.simulated_awaiting);
    }
}
