//! Adjustments: propose one, decide on it as somebody else, and take what was approved to the ledger.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use runtime::{Access, Progress};
use sqlx::PgConnection;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        adjustment::{Adjustment, AdjustmentState, Change, Decider, Effect},
        call::Call,
        event::NewEvent,
        notice::{self, NewNotice},
        programme::{Programme, Totals},
        refusal::{Refusal, Resource},
    },
    ledger::{Told, pause_after},
    store,
};

/// How often there is a look for approved ones, besides nudges.
const EVERY: Duration = Duration::from_secs(1);
/// How long a claim keeps others away; the ledger answers well within it.
const LEASE: TimeDelta = TimeDelta::seconds(20);

/// What to propose.
#[derive(Debug, Clone)]
pub(crate) struct NewAdjustment {
    pub(crate) id: Option<Uuid>,
    pub(crate) programme: Uuid,
    pub(crate) change: Change,
    pub(crate) reason: String,
}

/// Starts the loop that takes approved adjustments to the ledger.
pub(crate) fn spawn(activity: Activity, tasks: &TaskTracker, stop: CancellationToken) {
    let (clock, nudge) = (activity.clock.clone(), activity.adjuster.clone());
    let work = move || {
        let activity = activity.clone();
        async move { activity.adjust().await }
    };
    runtime::spawn_worker(tasks, stop, clock, EVERY, nudge, "activity-adjuster", work);
}

impl Activity {
    /// Proposes a change.
    pub(crate) async fn create_adjustment(
        &self,
        call: &Call,
        new: NewAdjustment,
    ) -> Result<Adjustment, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.propose(&mut tx, call, new).await;
        self.conclude(tx, call, outcome).await
    }

    async fn propose(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        new: NewAdjustment,
    ) -> Result<Adjustment, Error> {
        let community = call.community;
        find_programme(tx, community, new.programme).await?;
        if let Change::Points { member, amount, .. } = new.change {
            store::member::lock(&mut *tx, community, member).await?;
            let found = store::member::find(&mut *tx, community, member).await?;
            let member = found.ok_or(not_found(Resource::Member, member))?;
            // What an erased member has left may be taken back.
            if amount > 0 {
                member.require_person()?;
            }
        }
        let adjustment = Adjustment {
            community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            programme: new.programme,
            change: new.change,
            reason: new.reason,
            state: AdjustmentState::Proposed,
            proposed_by: call.by.subject.clone(),
            proposed_at: self.clock.now(),
            decided_by: None,
            decided_at: None,
            entry: None,
            refusal: None,
        };
        match store::adjustment::insert(&mut *tx, &adjustment).await {
            Ok(()) => {}
            Err(error) if runtime::constraint(&error) == Some("adjustment_pk") => {
                return Err(Refusal::Exists {
                    resource: Resource::Adjustment,
                    id: adjustment.id,
                }
                .into());
            }
            Err(error) => return Err(error.into()),
        }
        let event = NewEvent::of_adjustment(&adjustment);
        store::event::insert(tx, community, &[event]).await?;
        Ok(adjustment)
    }

    /// Lets a proposed change go to the ledger.
    pub(crate) async fn approve_adjustment(
        &self,
        call: &Call,
        access: &Access,
        id: Uuid,
    ) -> Result<Adjustment, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.approve(&mut tx, call.community, access, id).await;
        let adjustment = self.conclude(tx, call, outcome).await?;
        self.adjuster.nudge();
        Ok(adjustment)
    }

    async fn approve(
        &self,
        tx: &mut PgConnection,
        community: Community,
        access: &Access,
        id: Uuid,
    ) -> Result<Adjustment, Error> {
        let (adjustment, programme, totals) = lock(tx, community, id).await?;
        let at = self.clock.now();
        let decider = decider(access, &adjustment, at);
        let (adjustment, effect) = adjustment.approve(&programme, &totals, decider)?;
        if let Change::Budget(_) = adjustment.change {
            let key = (community, programme.id);
            if let Some(other) = store::adjustment::budget_changing(&mut *tx, key).await? {
                let adjustment = adjustment.id;
                return Err(Refusal::BudgetChanging { adjustment, other }.into());
            }
        }
        write_effect(tx, &programme, &totals, &effect).await?;
        write_state(tx, &adjustment, Some(at)).await?;
        Ok(adjustment)
    }

    /// Declines or withdraws a proposed change.
    pub(crate) async fn decline_adjustment(
        &self,
        call: &Call,
        access: &Access,
        id: Uuid,
    ) -> Result<Adjustment, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.decline(&mut tx, call.community, access, id).await;
        self.conclude(tx, call, outcome).await
    }

    async fn decline(
        &self,
        tx: &mut PgConnection,
        community: Community,
        access: &Access,
        id: Uuid,
    ) -> Result<Adjustment, Error> {
        let (adjustment, ..) = lock(tx, community, id).await?;
        let decider = decider(access, &adjustment, self.clock.now());
        let adjustment = adjustment.decline(decider)?;
        write_state(tx, &adjustment, None).await?;
        Ok(adjustment)
    }

    /// Returns an adjustment.
    pub(crate) async fn get_adjustment(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Adjustment, Error> {
        let found = store::adjustment::find(&self.pool, community, id).await?;
        Ok(found.ok_or(not_found(Resource::Adjustment, id))?)
    }

    /// Lists a programme's adjustments by id.
    pub(crate) async fn list_adjustments(
        &self,
        programme: (Community, Uuid),
        state: Option<AdjustmentState>,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Adjustment, Uuid>, Error> {
        let window = Page::<Adjustment, _>::window(after, size);
        let rows = store::adjustment::list(&self.pool, programme, state, window).await?;
        Ok(Page::cut(rows, size, |adjustment| adjustment.id))
    }

    /// Takes one approved change to the ledger and writes down what it said. Asked again after a lost answer, the ledger says the same: points
    /// go by the adjustment's own id, and to set a limit twice sets it once.
    pub(crate) async fn adjust(&self) -> anyhow::Result<Progress> {
        let now = self.clock.now();
        let Some(community) = store::adjustment::community_due(&self.pool, now).await? else {
            return Ok(Progress::Idle);
        };
        let claimed = store::adjustment::claim_due(&self.pool, community, now, now + LEASE).await?;
        let Some((id, attempts)) = claimed else {
            // Another replica has it.
            return Ok(Progress::Idle);
        };
        let found = store::adjustment::find(&self.pool, community, id).await?;
        let adjustment = found.with_context(|| format!("no adjustment {id}"))?;
        let found = store::programme::find(&self.pool, community, adjustment.programme).await?;
        let programme = found.with_context(|| format!("no programme {}", adjustment.programme))?;
        match self.tell_adjustment(&programme, &adjustment).await {
            Told::Done(entry) => self.settle_adjustment(community, id, Ok(entry)).await?,
            Told::Refused(reason) => self.settle_adjustment(community, id, Err(reason)).await?,
            Told::Unanswered(why) => {
                store::adjustment::postpone(&self.pool, community, id, now).await?;
                anyhow::bail!("the ledger does not answer, adjustments wait: {why}");
            }
            Told::Broken(why) => {
                tracing::error!(adjustment.id = %id, "The ledger refused adjustment {id} as it never should: {why}");
                let due_at = now + pause_after(attempts);
                store::adjustment::postpone(&self.pool, community, id, due_at).await?;
            }
        }
        Ok(Progress::More)
    }

    async fn settle_adjustment(
        &self,
        community: Community,
        id: Uuid,
        said: Result<Option<i64>, String>,
    ) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        let (adjustment, programme, totals) = lock(&mut tx, community, id).await?;
        // Someone else was told the same.
        if adjustment.state != AdjustmentState::Approved {
            return Ok(tx.rollback().await?);
        }
        let (adjustment, effect) = match said {
            Ok(entry) => adjustment.apply(&programme, &totals, entry),
            Err(reason) => adjustment.refuse(&programme, &totals, reason),
        };
        write_effect(&mut tx, &programme, &totals, &effect).await?;
        write_state(&mut tx, &adjustment, None).await?;
        if let Some((member, content)) = notice::of_adjustment(&adjustment, &programme) {
            let id = self.ids.next();
            let told = NewNotice {
                id,
                member,
                content,
            };
            let now = self.clock.now();
            store::notice::insert(&mut tx, community, &[told], now).await?;
        }
        self.commit(tx, community).await?;
        self.budget.nudge();
        tracing::info!(adjustment.id = %id, "Adjustment {id} is {}", adjustment.state.word());
        Ok(())
    }
}

fn decider<'a>(access: &'a Access, adjustment: &Adjustment, at: DateTime<Utc>) -> Decider<'a> {
    let is_member = match adjustment.change {
        Change::Points { member, .. } => access.is(adjustment.community.0, "members", member),
        Change::Budget(_) => false,
    };
    Decider {
        by: access.subject(),
        is_member,
        at,
    }
}

/// Locks an adjustment and then its programme.
async fn lock(
    tx: &mut PgConnection,
    community: Community,
    id: Uuid,
) -> Result<(Adjustment, Programme, Totals), Error> {
    store::adjustment::lock(&mut *tx, community, id).await?;
    let adjustment = store::adjustment::find(&mut *tx, community, id)
        .await?
        .ok_or(not_found(Resource::Adjustment, id))?;
    let totals = store::programme::lock(&mut *tx, community, adjustment.programme)
        .await?
        .ok_or(not_found(Resource::Programme, adjustment.programme))?;
    let programme = find_programme(tx, community, adjustment.programme).await?;
    Ok((adjustment, programme, totals))
}

/// Writes the state that a locked one has come to.
async fn write_state(
    tx: &mut PgConnection,
    adjustment: &Adjustment,
    due_at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    store::adjustment::set_state(&mut *tx, adjustment, due_at).await?;
    let event = NewEvent::of_adjustment(adjustment);
    Ok(store::event::insert(tx, adjustment.community, &[event]).await?)
}

async fn find_programme(
    tx: &mut PgConnection,
    community: Community,
    id: Uuid,
) -> Result<Programme, Error> {
    let found = store::programme::find(&mut *tx, community, id).await?;
    Ok(found.ok_or(not_found(Resource::Programme, id))?)
}

async fn write_effect(
    tx: &mut PgConnection,
    programme: &Programme,
    totals: &Totals,
    effect: &Effect,
) -> Result<(), Error> {
    let (community, id) = (programme.community, programme.id);
    if effect.budget != programme.budget {
        store::programme::set_budget(&mut *tx, community, id, effect.budget).await?;
    }
    if effect.granted != totals.granted {
        let totals = Totals {
            granted: effect.granted,
            awaiting: totals.awaiting,
        };
        store::programme::set_totals(&mut *tx, community, id, &totals).await?;
    }
    Ok(())
}

fn not_found(resource: Resource, id: Uuid) -> Refusal {
    Refusal::NotFound { resource, id }
}
