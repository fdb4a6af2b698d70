//! Grants that wait for budget are granted when there is some: it was raised, or a grant or points were taken back. What there is to do is read from the
//! programme's sums, so a crash loses nothing; each batch is one transaction under the programme's lock, so replicas and raises at once grant each once.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use chrono::{DateTime, Utc};
use runtime::Progress;
use sqlx::PgConnection;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Activity, Error,
    domain::{
        Community,
        event::NewEvent,
        grant::GrantState,
        programme::Programme,
        refusal::{Refusal, Resource},
        revision::RevisionKey,
        waiting::{self, Released, Waiting},
    },
    store,
};

/// How often there is a look, besides nudges.
const EVERY: Duration = Duration::from_secs(5);
const PROGRAMMES: i64 = 16;
/// How many grants one transaction looks at: verifications wait for its lock.
const BATCH: i64 = 500;

/// Starts the loop.
pub(crate) fn spawn(activity: Activity, tasks: &TaskTracker, stop: CancellationToken) {
    let (clock, nudge) = (activity.clock.clone(), activity.budget.clone());
    let work = move || {
        let activity = activity.clone();
        async move { activity.grant_what_waited().await }
    };
    runtime::spawn_worker(tasks, stop, clock, EVERY, nudge, "activity-waiting", work);
}

impl Activity {
    /// Grants one batch in each programme that has budget for what waits.
    pub(crate) async fn grant_what_waited(&self) -> anyhow::Result<Progress> {
        let now = self.clock.now();
        let programmes = store::waiting::programmes_fitting(&self.pool, now, PROGRAMMES).await?;
        let mut progress = Progress::Idle;
        for (community, programme) in programmes {
            let released = self.release_batch(community, programme).await?;
            if released > 0 {
                tracing::info!(programme.id = %programme, "Granted {released} grants of programme {programme} that waited for budget");
                self.relay.nudge();
                progress = Progress::More;
            }
        }
        Ok(progress)
    }

    /// Grants what fits of the longest waiting grants of a programme, and returns how many.
    pub(crate) async fn release_batch(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<usize, Error> {
        let now = self.clock.now();
        let not_found = Refusal::NotFound {
            resource: Resource::Programme,
            id,
        };
        let mut tx = self.pool.begin().await?;
        // Under this lock grants begin and cease to wait, so what is read stays true.
        let totals = store::programme::lock(&mut *tx, community, id)
            .await?
            .ok_or_else(|| not_found.clone())?;
        let programme = store::programme::find(&mut *tx, community, id)
            .await?
            .ok_or(not_found)?;
        let waiting = waiting(&mut tx, &programme, totals.granted, now).await?;
        let (released, totals) = waiting::release(&waiting, &programme, &totals, now);
        if released.is_empty() {
            return Ok(0);
        }
        let moved = store::waiting::release(&mut *tx, community, &released, now).await?;
        if moved != released.len() as u64 {
            return Err(sqlx::Error::RowNotFound.into());
        }
        store::programme::set_totals(&mut *tx, community, id, &totals).await?;
        let event = |one: &Released| NewEvent::of_grant(one.grant, one.member, GrantState::Pending);
        let events: Vec<NewEvent> = released.iter().map(event).collect();
        store::event::insert(&mut tx, community, &events).await?;
        let ids: Vec<Uuid> = released.iter().map(|one| one.grant).collect();
        store::outbox::insert_posts(&mut *tx, community, &ids, now).await?;
        self.commit(tx, community).await?;
        Ok(released.len())
    }
}

/// The longest waiting grants that are each for no more than what is left, with the expiry of the revision they were decided under.
async fn waiting(
    tx: &mut PgConnection,
    programme: &Programme,
    granted: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Waiting>, Error> {
    let (community, id) = (programme.community, programme.id);
    let left = programme.budget.map(|budget| budget - granted);
    let fitting = store::waiting::list_fitting(&mut *tx, (community, id), left, now, BATCH).await?;
    let mut expiries: BTreeMap<Uuid, Option<u32>> = BTreeMap::new();
    for revision in fitting.iter().filter_map(|one| one.revision_id) {
        if let Entry::Vacant(unknown) = expiries.entry(revision) {
            let key = RevisionKey {
                community,
                programme: id,
                revision,
            };
            let found = store::policy::find(&mut *tx, &key)
                .await?
                .ok_or(sqlx::Error::RowNotFound)?;
            unknown.insert(found.policy.expiry_months);
        }
    }
    let waiting = fitting.into_iter().map(|one| Waiting {
        grant: one.grant_id,
        member: one.member_id,
        amount: one.amount,
        expiry_months: one
            .revision_id
            .and_then(|revision| expiries.get(&revision).copied().flatten()),
    });
    Ok(waiting.collect())
}
