//! Changes by hand: one member of the staff proposes, another decides.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    programme::{Programme, Totals},
    refusal::{Refusal, Resource},
};

/// Where an adjustment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AdjustmentState {
    /// Waits for someone else's decision.
    Proposed,
    /// Is on its way to the ledger.
    Approved,
    /// Has its effect.
    Applied,
    /// Never has one.
    Declined,
    /// The ledger refused it.
    Refused,
}

impl AdjustmentState {
    /// Its word in the contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::Proposed => "PROPOSED",
            Self::Approved => "APPROVED",
            Self::Applied => "APPLIED",
            Self::Declined => "DECLINED",
            Self::Refused => "REFUSED",
        }
    }
}

/// What an adjustment changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A member's points.
    Points {
        member: Uuid,
        /// Given > 0, taken < 0.
        amount: i64,
        /// Of given points; `None`: never.
        expires_at: Option<DateTime<Utc>>,
    },
    /// The most that the programme may ever grant; `None`: no limit.
    Budget(Option<i64>),
}

/// A change by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    pub community: Community,
    pub id: Uuid,
    pub programme: Uuid,
    pub change: Change,
    pub reason: String,
    pub state: AdjustmentState,
    pub proposed_by: String,
    pub proposed_at: DateTime<Utc>,
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    /// The ledger's entry of points.
    pub entry: Option<i64>,
    /// Why the ledger refused it.
    pub refusal: Option<String>,
}

/// Who decides on an adjustment, and when.
#[derive(Debug, Clone, Copy)]
pub struct Decider<'a> {
    pub by: &'a str,
    /// Whether their token says that they are the member whose points change.
    pub is_member: bool,
    pub at: DateTime<Utc>,
}

/// What an adjustment does to its programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub granted: i64,
    pub budget: Option<i64>,
}

impl Adjustment {
    /// Lets a proposed one go to the ledger. What would widen what may be granted has its effect here only when the ledger has it; what
    /// narrows it has it now, so that at no moment more can be granted than both allow.
    pub fn approve(
        self,
        programme: &Programme,
        totals: &Totals,
        decider: Decider<'_>,
    ) -> Result<(Self, Effect), Refusal> {
        self.check_proposed()?;
        let adjustment = self.id;
        if decider.by == self.proposed_by {
            return Err(Refusal::SecondPersonRequired {
                resource: Resource::Adjustment,
                id: adjustment,
            });
        }
        if decider.is_member {
            return Err(Refusal::SelfAdjustment { adjustment });
        }
        let mut effect = Effect {
            granted: totals.granted,
            budget: programme.budget,
        };
        match self.change {
            Change::Points { amount, .. } if amount > 0 => {
                let left = programme.budget.map(|budget| budget - totals.granted);
                let granted = totals.granted.checked_add(amount);
                match (granted, left) {
                    (Some(granted), left) if left.is_none_or(|left| amount <= left) => {
                        effect.granted = granted;
                    }
                    (_, left) => {
                        return Err(Refusal::BudgetExceeded {
                            adjustment,
                            left: left.unwrap_or(i64::MAX - totals.granted),
                            amount,
                        });
                    }
                }
            }
            // Counted when the ledger has taken them.
            Change::Points { .. } => {}
            Change::Budget(Some(budget)) if budget < totals.granted => {
                return Err(Refusal::BudgetBelowGranted {
                    adjustment,
                    budget,
                    granted: totals.granted,
                });
            }
            Change::Budget(budget) => {
                if narrows(budget, programme.budget) {
                    effect.budget = budget;
                }
            }
        }
        let approved = Self {
            state: AdjustmentState::Approved,
            decided_by: Some(decider.by.to_owned()),
            decided_at: Some(decider.at),
            ..self
        };
        Ok((approved, effect))
    }

    /// Declines or withdraws a proposed one.
    pub fn decline(self, decider: Decider<'_>) -> Result<Self, Refusal> {
        self.check_proposed()?;
        Ok(Self {
            state: AdjustmentState::Declined,
            decided_by: Some(decider.by.to_owned()),
            decided_at: Some(decider.at),
            ..self
        })
    }

    fn check_proposed(&self) -> Result<(), Refusal> {
        if self.state == AdjustmentState::Proposed {
            return Ok(());
        }
        Err(Refusal::WrongState {
            resource: Resource::Adjustment,
            id: self.id,
            state: self.state.word().to_owned(),
            needed: AdjustmentState::Proposed.word().to_owned(),
        })
    }

    /// The ledger has done it.
    pub fn apply(
        self,
        programme: &Programme,
        totals: &Totals,
        entry: Option<i64>,
    ) -> (Self, Effect) {
        let mut effect = Effect {
            granted: totals.granted,
            budget: programme.budget,
        };
        match self.change {
            // What was taken may have been given by other means than grants.
            Change::Points { amount, .. } if amount < 0 => {
                effect.granted = totals.granted.saturating_add(amount).max(0);
            }
            Change::Points { .. } => {}
            Change::Budget(budget) => effect.budget = budget,
        }
        let applied = Self {
            state: AdjustmentState::Applied,
            entry,
            ..self
        };
        (applied, effect)
    }

    /// The ledger has refused it: what it had used up is free again.
    pub fn refuse(self, programme: &Programme, totals: &Totals, why: String) -> (Self, Effect) {
        let given = match self.change {
            Change::Points { amount, .. } => amount.max(0),
            Change::Budget(_) => 0,
        };
        let effect = Effect {
            granted: totals.granted - given,
            budget: programme.budget,
        };
        let refused = Self {
            state: AdjustmentState::Refused,
            refusal: Some(why),
            ..self
        };
        (refused, effect)
    }
}

/// Whether a budget allows less than another.
fn narrows(new: Option<i64>, old: Option<i64>) -> bool {
    match (new, old) {
        (Some(new), Some(old)) => new < old,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programme(budget: Option<i64>) -> Programme {
        Programme {
            community: Community(Uuid::from_u128(1)),
            id: Uuid::from_u128(2),
            display_name: String::new(),
            asset: "points".to_owned(),
            exponent: 0,
            time_zone: chrono_tz::Tz::UTC,
            budget,
            second_person_days: 7,
            expiry_notice_days: vec![30, 7, 1],
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    fn proposed(change: Change) -> Adjustment {
        Adjustment {
            community: Community(Uuid::from_u128(1)),
            id: Uuid::from_u128(3),
            programme: Uuid::from_u128(2),
            change,
            reason: "a miscount".to_owned(),
            state: AdjustmentState::Proposed,
            proposed_by: "STAFF01".to_owned(),
            proposed_at: DateTime::UNIX_EPOCH,
            decided_by: None,
            decided_at: None,
            entry: None,
            refusal: None,
        }
    }

    fn points(amount: i64) -> Change {
        Change::Points {
            member: Uuid::from_u128(4),
            amount,
            expires_at: None,
        }
    }

    fn by(by: &str) -> Decider<'_> {
        Decider {
            by,
            is_member: false,
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn granted(granted: i64) -> Totals {
        Totals {
            granted,
            awaiting: 0,
        }
    }

    #[test]
    fn it_takes_two_and_neither_is_the_member() {
        let budget = programme(None);
        let alone = proposed(points(5)).approve(&budget, &granted(0), by("STAFF01"));
        let id = Uuid::from_u128(3);
        let resource = Resource::Adjustment;
        assert_eq!(
            alone.unwrap_err(),
            Refusal::SecondPersonRequired { resource, id }
        );
        let member = Decider {
            is_member: true,
            ..by("STAFF02")
        };
        let own = proposed(points(5)).approve(&budget, &granted(0), member);
        assert_eq!(own.unwrap_err(), Refusal::SelfAdjustment { adjustment: id });
        assert!(
            proposed(points(5))
                .approve(&budget, &granted(0), by("STAFF02"))
                .is_ok()
        );
        // To withdraw takes one.
        assert!(proposed(points(5)).decline(by("STAFF01")).is_ok());
    }

    #[test]
    fn no_decision_is_made_twice() {
        let (budget, totals) = (programme(None), granted(0));
        let declined = proposed(points(5)).decline(by("STAFF02")).unwrap();
        assert!(
            declined
                .clone()
                .approve(&budget, &totals, by("STAFF03"))
                .is_err()
        );
        assert!(declined.decline(by("STAFF03")).is_err());
    }

    #[test]
    fn given_points_use_up_budget_at_once_and_taken_ones_free_it_when_they_are_there() {
        let budget = programme(Some(100));
        let approve =
            |amount| proposed(points(amount)).approve(&budget, &granted(90), by("STAFF02"));
        let (given, effect) = approve(10).unwrap();
        assert_eq!(effect.granted, 100);
        assert!(matches!(
            approve(11).unwrap_err(),
            Refusal::BudgetExceeded {
                left: 10,
                amount: 11,
                ..
            }
        ));
        let (refused, effect) = given.refuse(&budget, &granted(100), "LIMIT_EXCEEDED".to_owned());
        assert_eq!(
            (refused.state, effect.granted),
            (AdjustmentState::Refused, 90)
        );

        let (taken, effect) = approve(-30).unwrap();
        assert_eq!(effect.granted, 90);
        let (_, effect) = taken.clone().apply(&budget, &granted(90), Some(7));
        assert_eq!(effect.granted, 60);
        let (_, effect) = taken.apply(&budget, &granted(20), Some(7));
        assert_eq!(effect.granted, 0);
        let most = proposed(points(i64::MAX));
        assert!(
            most.approve(&programme(None), &granted(1), by("STAFF02"))
                .is_err()
        );
    }

    #[test]
    fn a_budget_narrows_at_once_and_widens_when_the_ledger_knows() {
        let totals = granted(50);
        for (old, new, at_once) in [
            (Some(100), Some(80), Some(80)),
            (Some(100), Some(120), Some(100)),
            (Some(100), None, Some(100)),
            (None, Some(60), Some(60)),
            (None, None, None),
        ] {
            let programme = programme(old);
            let change = proposed(Change::Budget(new));
            let (approved, effect) = change.approve(&programme, &totals, by("STAFF02")).unwrap();
            assert_eq!(effect.budget, at_once, "{old:?} to {new:?}");
            let (applied, effect) = approved.apply(&programme, &totals, None);
            assert_eq!(
                (applied.state, effect.budget),
                (AdjustmentState::Applied, new)
            );
        }
        let below = proposed(Change::Budget(Some(49)));
        assert!(matches!(
            below
                .approve(&programme(None), &totals, by("STAFF02"))
                .unwrap_err(),
            Refusal::BudgetBelowGranted {
                budget: 49,
                granted: 50,
                ..
            }
        ));
    }
}
