//! Grants that waited for budget. Who has waited longest comes first; one that does not fit waits on, whole, and holds up no smaller one
//! behind it. The amount stands as it was decided; the expiry counts from now.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    calendar,
    programme::{Programme, Totals},
};

/// A grant that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub grant: Uuid,
    pub member: Uuid,
    pub amount: i64,
    /// After how many months it expires, by the revision it was decided under; `None`: never.
    pub expiry_months: Option<u32>,
}

/// One of them that is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    pub grant: Uuid,
    pub member: Uuid,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Grants what fits of the grants that wait, in the order of their decision, and returns the programme's sums after it.
pub fn release(
    waiting: &[Waiting],
    programme: &Programme,
    totals: &Totals,
    now: DateTime<Utc>,
) -> (Vec<Released>, Totals) {
    let mut totals = totals.clone();
    let mut released = Vec::new();
    for one in waiting {
        let Some(granted) = totals.granted.checked_add(one.amount) else {
            continue;
        };
        if programme.budget.is_some_and(|budget| granted > budget) {
            continue;
        }
        let expires_at = match one.expiry_months {
            None => None,
            Some(months) => match calendar::expiry(now, months, programme.time_zone) {
                Some(at) => Some(at),
                // Beyond the calendar.
                None => continue,
            },
        };
        totals.granted = granted;
        totals.awaiting -= one.amount;
        released.push(Released {
            grant: one.grant,
            member: one.member,
            expires_at,
        });
    }
    (released, totals)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Community;

    /// What waits, what is granted, the budget, and who is released.
    type Case = (&'static [i64], i64, Option<i64>, &'static [u128]);

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

    fn waiting(amounts: &[i64]) -> Vec<Waiting> {
        (1..)
            .zip(amounts)
            .map(|(number, amount)| Waiting {
                grant: Uuid::from_u128(number),
                member: Uuid::from_u128(1),
                amount: *amount,
                expiry_months: Some(6),
            })
            .collect()
    }

    fn released(amounts: &[i64], granted: i64, budget: Option<i64>) -> (Vec<u128>, Totals) {
        let totals = Totals {
            granted,
            awaiting: amounts.iter().sum(),
        };
        let now = "2024-05-20T00:00:00Z".parse().unwrap();
        let (released, totals) = release(&waiting(amounts), &programme(budget), &totals, now);
        let numbers = released.iter().map(|one| one.grant.as_u128()).collect();
        (numbers, totals)
    }

    #[test]
    fn the_longest_waiting_comes_first_and_what_does_not_fit_holds_up_nothing_smaller() {
        let cases: [Case; 5] = [
            (&[30, 20, 10], 40, Some(100), &[1, 2, 3]),
            (&[30, 20, 10], 50, Some(100), &[1, 2]),
            (&[30, 20, 10], 80, Some(100), &[2]),
            (&[30, 20, 10], 95, Some(100), &[]),
            (&[30, 20, 10], i64::MAX - 25, None, &[2]),
        ];
        for (amounts, granted, budget, expected) in cases {
            let (numbers, _) = released(amounts, granted, budget);
            assert_eq!(numbers, expected, "{amounts:?} on {granted} of {budget:?}");
        }
    }

    #[test]
    fn the_expiry_counts_from_when_it_is_granted() {
        let totals = Totals {
            granted: 0,
            awaiting: 5,
        };
        let now = "2024-05-20T00:00:00Z".parse().unwrap();
        let (released, _) = release(&waiting(&[5]), &programme(None), &totals, now);
        let expires = "2024-11-30T16:00:00Z".parse().unwrap();
        assert_eq!(released[0].expires_at, Some(expires));
    }

    proptest! {
        #[test]
        fn no_budget_is_passed_and_nothing_that_fits_is_left(
            amounts in prop::collection::vec(1..100_i64, 0..20), granted in 0..200_i64, left in 0..300_i64,
        ) {
            let budget = granted + left;
            let (numbers, totals) = released(&amounts, granted, Some(budget));
            let sum: i64 = (1..).zip(&amounts).filter(|(number, _)| numbers.contains(number)).map(|(_, amount)| amount).sum();
            prop_assert_eq!(totals.granted, granted + sum);
            prop_assert_eq!(totals.awaiting, amounts.iter().sum::<i64>() - sum);
            prop_assert!(totals.granted <= budget);
            let smallest = (1..).zip(&amounts).filter(|(number, _)| !numbers.contains(number)).map(|(_, amount)| amount).min();
            prop_assert!(smallest.is_none_or(|amount| totals.granted + amount > budget));
        }
    }
}
