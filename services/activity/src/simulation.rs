//! Policies tried out on the past, and compared. Nothing here writes.

use std::collections::HashMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    domain::{
        Community,
        calendar::{first_instant, month_start},
        comparison::{self, Difference},
        policy::{OutOfRange, Policy},
        programme::Programme,
        refusal::{Refusal, Resource},
        revision::RevisionKey,
        simulation::{CapSum, MemberOrder, RuleSum, Simulation, Sums, rank},
    },
    store::{self, simulation::Span},
};

/// How many deeds one simulation takes.
const MOST_DEEDS: i64 = 200_000;
/// How many of them are in memory at once.
const BATCH: i64 = 10_000;

/// What to try out.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    Revision(Uuid),
    Policy(Policy),
}

/// A simulation to make.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) community: Community,
    pub(crate) programme: Uuid,
    pub(crate) subject: Subject,
    /// First local day.
    pub(crate) start: NaiveDate,
    /// Last local day.
    pub(crate) end: NaiveDate,
    pub(crate) apply_budget: bool,
    pub(crate) order: MemberOrder,
}

/// Where a member stands in the list: by rank, then by number.
pub(crate) type Place = (i64, String);

/// What came of it.
#[derive(Debug)]
pub(crate) struct Simulated {
    pub(crate) members: Page<SimulatedMember, Place>,
    pub(crate) sums: Sums,
    pub(crate) member_count: usize,
    pub(crate) rules: Vec<RuleSum>,
    pub(crate) unmatched: i64,
    pub(crate) caps: Vec<CapSum>,
    /// Now; `None`: no limit.
    pub(crate) budget_left: Option<i64>,
}

/// A member's part in it.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedMember {
    pub(crate) member: Uuid,
    pub(crate) number: String,
    pub(crate) sums: Sums,
}

impl Activity {
    /// Works out what the deeds of some days would have earned under another policy.
    pub(crate) async fn simulate_policy(
        &self,
        trial: &Trial,
        after: Option<Place>,
        size: i64,
    ) -> Result<Simulated, Error> {
        // One snapshot, so that the sums agree with the members.
        let mut tx = self
            .pool
            .begin_with("begin isolation level repeatable read read only")
            .await?;
        let (community, id) = (trial.community, trial.programme);
        let not_found = Refusal::NotFound {
            resource: Resource::Programme,
            id,
        };
        let programme = store::programme::find(&mut *tx, community, id)
            .await?
            .ok_or_else(|| not_found.clone())?;
        let summary = store::programme::summary(&mut *tx, community, id)
            .await?
            .ok_or(not_found)?;
        let policy = policy(&mut tx, trial).await?;
        let budget_left = programme.budget.map(|budget| budget - summary.granted);
        let simulation = simulate(&mut tx, trial, &policy, programme, budget_left).await?;
        let members = members(&mut tx, trial, &simulation.members).await?;
        let member_count = members.len();
        let behind = |member: &SimulatedMember| {
            let place = (rank(trial.order, &member.sums), member.number.clone());
            after.as_ref().is_none_or(|after| place > *after)
        };
        let rest: Vec<SimulatedMember> = members.into_iter().filter(behind).collect();
        Ok(Simulated {
            members: Page::cut(rest, size, |member| {
                (rank(trial.order, &member.sums), member.number.clone())
            }),
            sums: simulation.sums,
            member_count,
            rules: simulation.rules,
            unmatched: simulation.unmatched,
            caps: simulation.caps,
            budget_left,
        })
    }

    /// Returns what differs between two revisions of a programme.
    pub(crate) async fn compare_policy_revisions(
        &self,
        key: RevisionKey,
        base: Uuid,
    ) -> Result<Vec<Difference>, Error> {
        let after = self.get_policy_revision(key).await?;
        let before = RevisionKey {
            revision: base,
            ..key
        };
        let before = self.get_policy_revision(before).await?;
        Ok(comparison::compare(&before.policy, &after.policy))
    }
}

async fn policy(tx: &mut PgConnection, trial: &Trial) -> Result<Policy, Error> {
    match &trial.subject {
        Subject::Policy(policy) => Ok(policy.clone()),
        Subject::Revision(revision) => {
            let key = RevisionKey {
                community: trial.community,
                programme: trial.programme,
                revision: *revision,
            };
            let found = store::policy::find(&mut *tx, &key).await?;
            let not_found = Refusal::NotFound {
                resource: Resource::PolicyRevision,
                id: *revision,
            };
            Ok(found.ok_or(not_found)?.policy)
        }
    }
}

/// Decides every deed of the days, a batch at a time.
async fn simulate<'a>(
    tx: &mut PgConnection,
    trial: &Trial,
    policy: &'a Policy,
    programme: Programme,
    budget_left: Option<i64>,
) -> Result<Simulation<'a>, Error> {
    let Some(span) = span(trial, &programme) else {
        return Ok(Simulation::new(policy, programme, None));
    };
    let extent = store::simulation::extent(&mut *tx, span).await?;
    if extent.deeds > MOST_DEEDS {
        return Err(Refusal::TooManyDeeds {
            deeds: extent.deeds,
            most: MOST_DEEDS,
        }
        .into());
    }
    // What these deeds had of the budget, and what is left of it.
    let budget = budget_left
        .filter(|_| trial.apply_budget)
        .map(|left| left.saturating_add(extent.granted));
    let key = (programme.community, programme.id);
    let mut simulation = Simulation::new(policy, programme, budget);
    let month = month_start(trial.start);
    let earlier = store::simulation::list_counted(&mut *tx, key, month, trial.start).await?;
    for (member, counted) in earlier {
        simulation.count(member, counted);
    }
    let mut after = (DateTime::<Utc>::UNIX_EPOCH, Uuid::nil());
    loop {
        let deeds = store::simulation::list(&mut *tx, span, after, BATCH).await?;
        let Some(last) = deeds.last() else {
            return Ok(simulation);
        };
        after = (last.decided_at, last.id);
        for deed in &deeds {
            let out_of_range = |OutOfRange| Refusal::AmountOutOfRange { record: deed.id };
            simulation.add(deed).map_err(out_of_range)?;
        }
        // Thousands of decisions in a row keep a thread from everybody else.
        tokio::task::yield_now().await;
    }
}

/// From the first instant of the first day to the first one after the last; `None` beyond the calendar.
fn span(trial: &Trial, programme: &Programme) -> Option<Span> {
    let next = trial.end.checked_add_days(Days::new(1))?;
    Some(Span {
        community: trial.community,
        programme: trial.programme,
        start: first_instant(trial.start, programme.time_zone)?,
        end: first_instant(next, programme.time_zone)?,
    })
}

/// Everyone's sums in the order that was asked for.
async fn members(
    tx: &mut PgConnection,
    trial: &Trial,
    sums: &HashMap<Uuid, Sums>,
) -> Result<Vec<SimulatedMember>, Error> {
    let ids: Vec<Uuid> = sums.keys().copied().collect();
    let numbers = store::simulation::numbers(&mut *tx, trial.community, &ids).await?;
    let mut members: Vec<SimulatedMember> = numbers
        .into_iter()
        .filter_map(|(member, number)| {
            let sums = *sums.get(&member)?;
            Some(SimulatedMember {
                member,
                number,
                sums,
            })
        })
        .collect();
    members.sort_by(|one, other| {
        let place = |member: &SimulatedMember| rank(trial.order, &member.sums);
        (place(one), &one.number).cmp(&(place(other), &other.number))
    });
    Ok(members)
}
