//! What the clock has ended is written down, and its points are given back: by whoever changes a wish next, or by a loop.

use std::time::Duration;

use runtime::Progress;
use sqlx::PgConnection;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Error, Wishes,
    domain::{
        Community,
        operation::{Kind, StepKey},
        pledge::Pledge,
        refusal::{Refusal, Resource},
        wish::Wish,
    },
    store::{self, operation::NewStep},
};

/// How often there is a look for wishes that have run out, besides nudges.
const EVERY: Duration = Duration::from_secs(1);

/// Starts the loop that ends wishes.
pub(crate) fn spawn(wishes: &Wishes, tasks: &TaskTracker, stop: &CancellationToken) {
    let (clock, nudge, wishes) = (wishes.clock.clone(), wishes.lapser.clone(), wishes.clone());
    let work = move || {
        let wishes = wishes.clone();
        async move { Ok(wishes.lapse_due().await?) }
    };
    runtime::spawn_worker(tasks, stop.clone(), clock, EVERY, nudge, "wish.lapse", work);
}

impl Wishes {
    /// Ends the wishes of one community that have run out.
    pub(crate) async fn lapse_due(&self) -> Result<Progress, Error> {
        let now = self.clock.now();
        let Some(community) = store::wish::due_community(&self.pool, now).await? else {
            return Ok(Progress::Idle);
        };
        let mut progress = Progress::Idle;
        for id in store::wish::due(&self.pool, community, now).await? {
            let mut tx = self.pool.begin().await?;
            let wish = self.open(&mut tx, community, id).await?;
            tx.commit().await?;
            // One that began to wait for the ledger meanwhile stays due, and is no reason to look again at once.
            if wish.due_at().is_none_or(|due_at| due_at >= now) {
                progress = Progress::More;
            }
        }
        self.recovery.nudge();
        Ok(progress)
    }

    /// Locks a wish, and brings it and its pledges up to the clock.
    pub(crate) async fn open(
        &self,
        conn: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<Wish, Error> {
        store::wish::lock(&mut *conn, community, id).await?;
        let found = store::wish::find_one(&mut *conn, community, id).await?;
        let mut wish = found.ok_or(Refusal::NotFound {
            resource: Resource::Wish,
            id,
        })?;
        let now = self.clock.now();
        if wish.due_at().is_none_or(|due_at| due_at >= now) {
            return Ok(wish);
        }
        let pledges = store::pledge::open(&mut *conn, community, id).await?;
        for pledge in wish.lapse(pledges, now) {
            store::pledge::update(&mut *conn, &pledge).await?;
            self.give_back(conn, &pledge).await?;
        }
        store::wish::update(conn, &wish).await?;
        Ok(wish)
    }

    /// Writes down that a pledge's points are to be given back, if it has any.
    pub(crate) async fn give_back(
        &self,
        conn: &mut PgConnection,
        pledge: &Pledge,
    ) -> Result<(), Error> {
        if !pledge.in_points {
            return Ok(());
        }
        let now = self.clock.now();
        let step = NewStep {
            key: StepKey {
                community: pledge.community,
                pledge: pledge.id,
                kind: Kind::Release,
            },
            request_id: None,
            now,
            due_at: now,
        };
        Ok(store::operation::insert(conn, &step).await?)
    }
}
