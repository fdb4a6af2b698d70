//! What deeds of the past would have earned under another policy: each decided by the rules that decide grants, one after another, and seeing what
//! those before it left of caps and budget. Nothing is kept but sums.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::{
    calendar::{local_date, month_start},
    grant::{self, Basis, GrantState},
    policy::{Arithmetic, Cap, Counted, Deed, EarnRule, Effort, OutOfRange, Policy},
    programme::{Programme, Totals},
    service_record::Role,
};

/// A deed of the past, with what it really earned.
#[derive(Debug, Clone)]
pub struct PastDeed {
    /// Of its service record or its report.
    pub id: Uuid,
    pub member: Uuid,
    pub category: String,
    pub effort: PastEffort,
    /// When a service started or a report was submitted.
    pub started_at: DateTime<Utc>,
    pub decided_at: DateTime<Utc>,
    /// Really, less what was taken back.
    pub granted: i64,
    /// Really.
    pub awaiting: i64,
}

/// What a deed of the past took.
#[derive(Debug, Clone)]
pub enum PastEffort {
    Service { role: Role, minutes: i64 },
    Report { urgency: String },
}

impl PastEffort {
    fn seen(&self) -> Effort<'_> {
        match self {
            Self::Service { role, minutes } => Effort::Service {
                role: *role,
                minutes: *minutes,
            },
            Self::Report { urgency } => Effort::Report { urgency },
        }
    }
}

/// Sums over deeds, in units of the asset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub deeds: i64,
    pub granted: i64,
    pub awaiting: i64,
    pub simulated_granted: i64,
    pub simulated_awaiting: i64,
}

impl Sums {
    /// What it costs more, or, below 0, less.
    pub fn difference(&self) -> i64 {
        self.simulated_granted.saturating_sub(self.granted)
    }

    fn add(&mut self, deed: &PastDeed, granted: i64, awaiting: i64) -> Result<(), OutOfRange> {
        let add = |sum: &mut i64, amount: i64| {
            *sum = sum.checked_add(amount).ok_or(OutOfRange)?;
            Ok(())
        };
        self.deeds += 1;
        add(&mut self.granted, deed.granted)?;
        add(&mut self.awaiting, deed.awaiting)?;
        add(&mut self.simulated_granted, granted)?;
        add(&mut self.simulated_awaiting, awaiting)
    }
}

/// What a rule gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSum {
    pub rule: EarnRule,
    pub deeds: i64,
    /// Before caps.
    pub desired: i64,
}

/// What a cap cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapSum {
    pub cap: Cap,
    pub grants: i64,
    pub cut: i64,
}

/// In which order members are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberOrder {
    /// Whose points change most first, then by number.
    Difference,
    Number,
}

/// A simulation as far as it has come.
#[derive(Debug)]
pub struct Simulation<'a> {
    policy: &'a Policy,
    /// With the budget that counts here.
    programme: Programme,
    totals: Totals,
    /// By member and month.
    counted: HashMap<(Uuid, NaiveDate), Vec<Counted>>,
    pub sums: Sums,
    pub members: HashMap<Uuid, Sums>,
    pub rules: Vec<RuleSum>,
    pub unmatched: i64,
    pub caps: Vec<CapSum>,
}

impl<'a> Simulation<'a> {
    /// Begins one. `budget` is what the deeds may be granted together; `None`: no limit.
    pub fn new(policy: &'a Policy, programme: Programme, budget: Option<i64>) -> Self {
        let rules = policy.earn_rules.iter().map(|rule| RuleSum {
            rule: rule.clone(),
            deeds: 0,
            desired: 0,
        });
        let caps = policy.caps.iter().map(|cap| CapSum {
            cap: cap.clone(),
            grants: 0,
            cut: 0,
        });
        Self {
            policy,
            programme: Programme {
                budget,
                ..programme
            },
            totals: Totals::default(),
            counted: HashMap::new(),
            sums: Sums::default(),
            members: HashMap::new(),
            rules: rules.collect(),
            unmatched: 0,
            caps: caps.collect(),
        }
    }

    /// Counts what a member was really granted before for caps.
    pub fn count(&mut self, member: Uuid, counted: Counted) {
        let month = month_start(counted.local_date);
        self.counted
            .entry((member, month))
            .or_default()
            .push(counted);
    }

    /// Decides the next deed.
    pub fn add(&mut self, deed: &PastDeed) -> Result<(), OutOfRange> {
        let date = local_date(deed.started_at, self.programme.time_zone);
        let earlier = self
            .counted
            .entry((deed.member, month_start(date)))
            .or_default();
        let seen = Deed {
            category: &deed.category,
            effort: deed.effort.seen(),
            local_date: date,
        };
        let basis = Basis {
            programme: &self.programme,
            totals: &self.totals,
            policy: Some(self.policy),
            earlier,
            now: deed.decided_at,
        };
        let decision = grant::decide(&seen, &basis)?;
        let (granted, awaiting) = match decision.state {
            GrantState::AwaitingBudget => (0, decision.amount),
            GrantState::Empty
            | GrantState::Pending
            | GrantState::Posted
            | GrantState::Revoking
            | GrantState::Revoked => (decision.amount, 0),
        };
        if granted > 0 {
            earlier.push(Counted {
                source: seen.effort.source(),
                local_date: date,
                amount: granted,
            });
        }
        self.totals = decision.totals;
        self.sums.add(deed, granted, awaiting)?;
        let member = self.members.entry(deed.member).or_default();
        member.add(deed, granted, awaiting)?;
        self.explain(&decision.arithmetic)
    }

    /// Sums up which rule gave and which cap cut.
    fn explain(&mut self, arithmetic: &Arithmetic) -> Result<(), OutOfRange> {
        let rule = arithmetic
            .rule
            .as_ref()
            .and_then(|(index, _)| self.rules.get_mut(usize::try_from(*index).ok()?));
        match rule {
            Some(rule) => {
                rule.deeds += 1;
                rule.desired = rule
                    .desired
                    .checked_add(arithmetic.desired)
                    .ok_or(OutOfRange)?;
            }
            None => self.unmatched += 1,
        }
        let mut caps = self.caps.iter_mut();
        for step in &arithmetic.caps {
            // Steps are in the order of the caps, and leave out those of other sources.
            let sum = caps
                .find(|sum| sum.cap == step.cap)
                .expect("a step is about a cap of its policy");
            let cut = step.before - step.after;
            sum.grants += i64::from(cut > 0);
            sum.cut = sum.cut.checked_add(cut).ok_or(OutOfRange)?;
        }
        Ok(())
    }
}

/// Where a member stands in the list; the list ascends.
pub fn rank(order: MemberOrder, sums: &Sums) -> i64 {
    match order {
        MemberOrder::Difference => -sums.difference().saturating_abs(),
        MemberOrder::Number => 0,
    }
}

#[cfg(test)]
#[path = "simulation_tests.rs"]
mod tests;
