//! Tables and properties of the earning arithmetic.

use num_bigint::BigInt;
use proptest::prelude::*;

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn factor(text: &str) -> Factor {
    text.parse().unwrap()
}

fn deed(category: &'static str, role: Role, minutes: i64, date: &str) -> Deed<'static> {
    Deed {
        category,
        effort: Effort::Service { role, minutes },
        local_date: day(date),
    }
}

/// 15 an hour for helping merchants, 10 for the rest; 1.5 on the 19th, 1.4 for leaders; 60 a day, 150 a month.
fn policy() -> Policy {
    let rule = |category: &str, per_hour| EarnRule::Service {
        category: category.to_owned(),
        per_hour,
    };
    Policy {
        earn_rules: vec![
            EarnRule::Report {
                category: "*".to_owned(),
                urgency: "*".to_owned(),
                fixed: 99,
            },
            rule("merchant-help", 15),
            rule("*", 10),
        ],
        multipliers: vec![
            Multiplier {
                factor: factor("1.5"),
                when: Condition::DayOfMonth(19),
            },
            Multiplier {
                factor: factor("1.4"),
                when: Condition::Role(Role::Leader),
            },
            Multiplier {
                factor: factor("2"),
                when: Condition::Category("flood".to_owned()),
            },
        ],
        caps: vec![
            Cap {
                source: Some(Source::Service),
                period: Period::Day,
                limit: 60,
            },
            Cap {
                source: None,
                period: Period::Month,
                limit: 150,
            },
        ],
        expiry_months: Some(6),
    }
}

fn counted(source: Source, date: &str, amount: i64) -> Counted {
    Counted {
        source,
        local_date: day(date),
        amount,
    }
}

#[test]
fn a_deed_earns_by_its_first_rule_and_all_its_multipliers() {
    let cases = [
        (deed("patrol", Role::Member, 60, "2024-05-20"), 2, 10),
        (deed("patrol", Role::Member, 59, "2024-05-20"), 2, 9),
        (deed("merchant-help", Role::Member, 60, "2024-05-20"), 1, 15),
        (deed("merchant-help", Role::Member, 50, "2024-05-20"), 1, 12),
        (deed("patrol", Role::Leader, 60, "2024-05-20"), 2, 14),
        // 200 × 10 × 1.5 × 1.4 / 60 = 70 exactly, then the daily cap.
        (deed("patrol", Role::Leader, 200, "2024-05-19"), 2, 60),
        // Rounded down once: 7 × 15 × 1.5 × 1.4 / 60 = 3.675, not floor(floor(1.75 × 1.5) × 1.4).
        (deed("merchant-help", Role::Leader, 7, "2024-05-19"), 1, 3),
        (deed("flood", Role::Member, 61, "2024-05-20"), 2, 20),
        (deed("patrol", Role::Member, 0, "2024-05-20"), 2, 0),
    ];
    for (deed, rule, granted) in cases {
        let arithmetic = policy().earn(&deed, &[]).unwrap();
        assert_eq!(arithmetic.rule.as_ref().unwrap().0, rule, "{deed:?}");
        assert_eq!(arithmetic.capped, granted, "{deed:?}");
    }
}

#[test]
fn a_deed_without_a_rule_earns_nothing() {
    let mut policy = policy();
    policy.earn_rules.truncate(2);
    let arithmetic = policy
        .earn(&deed("patrol", Role::Member, 600, "2024-05-20"), &[])
        .unwrap();
    assert_eq!(
        (arithmetic.rule, arithmetic.desired, arithmetic.capped),
        (None, 0, 0)
    );
}

#[test]
fn caps_count_their_own_source_and_period_in_order() {
    let earlier = [
        counted(Source::Service, "2024-05-19", 40),
        counted(Source::Report, "2024-05-19", 30),
        counted(Source::Service, "2024-05-31", 50),
        counted(Source::Service, "2024-06-01", 1000),
        counted(Source::Service, "2024-04-30", 1000),
    ];
    let arithmetic = policy()
        .earn(&deed("patrol", Role::Member, 600, "2024-05-19"), &earlier)
        .unwrap();
    assert_eq!(arithmetic.desired, 150);
    let steps: Vec<_> = arithmetic
        .caps
        .iter()
        .map(|step| (step.period_start, step.used, step.before, step.after))
        .collect();
    assert_eq!(
        steps,
        [
            (day("2024-05-19"), 40, 150, 20),
            (day("2024-05-01"), 120, 20, 20)
        ]
    );
}

#[test]
fn a_cap_on_reports_leaves_a_service_alone() {
    let mut policy = policy();
    policy.caps = vec![Cap {
        source: Some(Source::Report),
        period: Period::Day,
        limit: 5,
    }];
    let arithmetic = policy
        .earn(&deed("patrol", Role::Member, 60, "2024-05-20"), &[])
        .unwrap();
    assert_eq!((arithmetic.capped, arithmetic.caps), (10, vec![]));
}

#[test]
fn a_cap_that_is_passed_already_leaves_nothing() {
    let earlier = [counted(Source::Service, "2024-05-19", 61)];
    let arithmetic = policy()
        .earn(&deed("patrol", Role::Member, 60, "2024-05-19"), &earlier)
        .unwrap();
    assert_eq!(arithmetic.capped, 0);
}

#[test]
fn what_does_not_fit_an_amount_is_refused() {
    let mut policy = policy();
    policy.earn_rules = vec![EarnRule::Service {
        category: "*".to_owned(),
        per_hour: 1_000_000_000,
    }];
    let multiplier = Multiplier {
        factor: factor("1000"),
        when: Condition::Role(Role::Leader),
    };
    policy.multipliers = vec![multiplier; 100];
    let refused = policy.earn(&deed("patrol", Role::Leader, 1440, "2024-05-19"), &[]);
    assert_eq!(refused, Err(OutOfRange));
    let earlier = [
        counted(Source::Service, "2024-05-19", i64::MAX),
        counted(Source::Service, "2024-05-19", 1),
    ];
    let refused = policy.earn(&deed("patrol", Role::Member, 1, "2024-05-19"), &earlier);
    assert_eq!(refused, Err(OutOfRange));
}

#[test]
fn a_factor_is_plain_decimal_text() {
    for (text, shown) in [
        ("1.5", "1.5"),
        ("0", "0"),
        ("1000", "1000"),
        ("0.125", "0.125"),
        ("1.50", "1.5"),
        ("007", "7"),
        ("10", "10"),
    ] {
        assert_eq!(factor(text).to_string(), shown);
    }
    for text in [
        "", ".5", "1.", "1.2345", "-1", "+1", "1e2", "1000.001", "10000", "１", "1,5", " 1", "NaN",
    ] {
        assert!(text.parse::<Factor>().is_err(), "{text:?}");
    }
}

#[test]
fn a_policy_survives_its_storage() {
    let stored = serde_json::to_value(policy()).unwrap();
    assert_eq!(stored["earn_rules"][1]["source"], "service");
    assert_eq!(stored["multipliers"][0]["factor"], "1.5");
    assert_eq!(serde_json::from_value::<Policy>(stored).unwrap(), policy());
}

prop_compose! {
    fn any_multiplier()(thousandths in 0..=1_000_000_u32, role in any::<bool>()) -> Multiplier {
        let role = if role { Role::Leader } else { Role::Member };
        Multiplier { factor: Factor { thousandths }, when: Condition::Role(role) }
    }
}

prop_compose! {
    fn any_cap()(source in 0..3, month in any::<bool>(), limit in 0..2000_i64) -> Cap {
        let source = [None, Some(Source::Service), Some(Source::Report)][usize::try_from(source).unwrap()];
        Cap { source, period: if month { Period::Month } else { Period::Day }, limit }
    }
}

proptest! {
    /// The rounded result r of the rational n/d is the only one with r·d ≤ n < (r+1)·d.
    #[test]
    fn a_grant_is_the_exact_product_rounded_down_once(
        minutes in 0..=1440_i64,
        per_hour in 0..=1_000_000_000_i64,
        multipliers in prop::collection::vec(any_multiplier(), 0..3),
    ) {
        let mut numerator = BigInt::from(minutes) * per_hour;
        let mut denominator = BigInt::from(60);
        for multiplier in &multipliers {
            numerator *= multiplier.factor.thousandths;
            denominator *= 1000;
        }
        match product(Base { units: minutes, rate: per_hour }, &multipliers) {
            Some(amount) => {
                prop_assert!(BigInt::from(amount) * &denominator <= numerator);
                prop_assert!(numerator < (BigInt::from(amount) + 1) * &denominator);
            }
            None => prop_assert!(numerator / denominator > BigInt::from(i64::MAX)),
        }
    }

    /// Whatever the order and size of deeds, no cap is ever passed, and no grant is above what was earned.
    #[test]
    fn no_row_of_deeds_passes_any_cap(
        caps in prop::collection::vec(any_cap(), 0..4),
        deeds in prop::collection::vec((0..90_u64, 0..=1440_i64, any::<bool>()), 1..40),
    ) {
        let policy = Policy { caps: caps.clone(), ..policy() };
        let mut made: Vec<Counted> = Vec::new();
        for (offset, minutes, leads) in deeds {
            let local_date = day("2024-01-15") + chrono::Days::new(offset);
            let role = if leads { Role::Leader } else { Role::Member };
            let effort = Effort::Service { role, minutes };
            let deed = Deed { category: "patrol", effort, local_date };
            let arithmetic = policy.earn(&deed, &made).unwrap();
            prop_assert!((0..=arithmetic.desired).contains(&arithmetic.capped));
            made.push(Counted { source: Source::Service, local_date, amount: arithmetic.capped });
        }
        for cap in caps.iter().filter(|cap| cap.source != Some(Source::Report)) {
            for grant in &made {
                let start = cap.period.start(grant.local_date);
                let sum: i64 = made
                    .iter()
                    .filter(|other| cap.period.start(other.local_date) == start)
                    .map(|other| other.amount)
                    .sum();
                prop_assert!(sum <= cap.limit, "{sum} above {cap:?}");
            }
        }
    }

    #[test]
    fn a_factor_reads_back_as_it_is_shown(thousandths in 0..=1_000_000_u32) {
        let factor = Factor { thousandths };
        prop_assert_eq!(factor.to_string().parse::<Factor>(), Ok(factor));
    }
}
