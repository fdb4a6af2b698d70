//! What the clock has ended is written down, and its points are given back: by whoever changes a wish next, or by a loop.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::Progress;
use sqlx::PgConnection;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Error, Wishes,
    domain::{
        Community,
        pledge::Pledge,
        refusal::{Refusal, Resource},
        telling::NewTelling,
        wish::Wish,
    },
    store,
};

/// How often there is a look for wishes that have run out, besides nudges.
const EVERY: Duration = Duration::from_secs(1);
/// For how long one that can't be ended is stepped over.
const STEP_OVER: TimeDelta = TimeDelta::minutes(1);

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
    /// Ends the wishes of one community that have run out. One that can't be ended keeps no other from it.
    pub(crate) async fn lapse_due(&self) -> Result<Progress, Error> {
        let now = self.clock.now();
        let Some(community) = store::wish::due_community(&self.pool, now).await? else {
            return Ok(Progress::Idle);
        };
        let mut progress = Progress::Idle;
        for id in store::wish::due(&self.pool, community, now).await? {
            match self.bring_up(community, id).await {
                // One that began to wait for the ledger meanwhile stays due, and is no reason to look again at once.
                Ok(wish) if wish.due_at().is_some_and(|due_at| due_at < now) => {}
                Ok(_) => progress = Progress::More,
                Err(error) => {
                    tracing::error!(wish.id = %id, error = %error, "Wish {id} can't be ended: {error}");
                    let until = now + STEP_OVER;
                    store::wish::postpone(&self.pool, community, id, until).await?;
                    progress = Progress::More;
                }
            }
        }
        self.recovery.nudge();
        Ok(progress)
    }

    async fn bring_up(&self, community: Community, id: Uuid) -> Result<Wish, Error> {
        let mut tx = self.pool.begin().await?;
        let (wish, _) = self.open(&mut tx, community, id).await?;
        self.commit(tx, community).await?;
        Ok(wish)
    }

    /// Locks a wish, and says the moment that all under the lock is decided by.
    pub(crate) async fn locked(
        &self,
        conn: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<(Wish, DateTime<Utc>), Error> {
        store::wish::lock(&mut *conn, community, id).await?;
        let found = store::wish::find_one(conn, community, id).await?;
        Ok((found.ok_or(no_wish(id))?, self.clock.now()))
    }

    /// The same, with the wish and its pledges brought up to that moment.
    pub(crate) async fn open(
        &self,
        conn: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<(Wish, DateTime<Utc>), Error> {
        let (mut wish, now) = self.locked(conn, community, id).await?;
        if wish.due_at().is_none_or(|due_at| due_at >= now) {
            return Ok((wish, now));
        }
        let pledges = store::pledge::open(&mut *conn, community, id).await?;
        let lapsed = wish.lapse(pledges, now);
        store::pledge::end_all(&mut *conn, community, &lapsed).await?;
        self.give_back(conn, &lapsed).await?;
        let told = |pledge| NewTelling::of_pledge(pledge, &wish.title);
        let tellings: Vec<NewTelling> = lapsed.iter().filter_map(told).collect();
        self.tell(conn, community, tellings).await?;
        store::wish::update(conn, &wish).await?;
        Ok((wish, now))
    }

    /// Writes down that the points of pledges of one community are to be given back, of those that have any.
    pub(crate) async fn give_back(
        &self,
        conn: &mut PgConnection,
        pledges: &[Pledge],
    ) -> Result<(), Error> {
        let in_points = pledges.iter().filter(|pledge| pledge.in_points);
        let ids: Vec<Uuid> = in_points.map(|pledge| pledge.id).collect();
        let (Some(first), false) = (pledges.first(), ids.is_empty()) else {
            return Ok(());
        };
        let now = self.clock.now();
        Ok(store::operation::insert_releases(conn, first.community, &ids, now).await?)
    }
}

pub(crate) fn no_wish(id: Uuid) -> Refusal {
    Refusal::NotFound {
        resource: Resource::Wish,
        id,
    }
}
