//! The loop that tells members what others did: it takes what is in the outbox to the activity service, which keeps their notices.
//!
//! A telling's id is its notice's, so a lost answer, a dead process or a second loop at work tells nobody twice. What activity refuses, which would be
//! our bug, is logged, tried again ever more rarely, and holds up no other.

use std::{slice, time::Duration};

use chrono::TimeDelta;
use runtime::{Deadline, Progress};
use sqlx::PgConnection;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Error, Wishes,
    domain::{
        Community,
        telling::{NewTelling, Telling},
    },
    store::{self, telling::Due},
};

/// How often there is a look for what is to be told, besides nudges.
const EVERY: Duration = Duration::from_secs(1);
/// Longer than a call takes with all its limits in time.
const LEASE: TimeDelta = TimeDelta::seconds(15);
/// How many one call takes.
const AT_ONCE: i64 = 100;
/// How often they are tried together.
const TOGETHER: i32 = 3;
/// How long one waits at most while activity does not answer.
const LONGEST_AWAY: TimeDelta = TimeDelta::seconds(30);
const MAX_PAUSE_SECONDS: i64 = 600;

/// Starts the loop.
pub(crate) fn spawn(wishes: &Wishes, tasks: &TaskTracker, stop: &CancellationToken) {
    let (clock, nudge, wishes) = (wishes.clock.clone(), wishes.teller.clone(), wishes.clone());
    let work = move || {
        let wishes = wishes.clone();
        async move { Ok(wishes.tell_due().await?) }
    };
    runtime::spawn_worker(
        tasks,
        stop.clone(),
        clock,
        EVERY,
        nudge,
        "wish.telling",
        work,
    );
}

impl Wishes {
    /// Writes down what members are to be told, in the transaction of what it tells.
    pub(crate) async fn tell(
        &self,
        conn: &mut PgConnection,
        community: Community,
        tellings: impl IntoIterator<Item = NewTelling>,
    ) -> Result<(), Error> {
        let tellings = tellings.into_iter().map(|new| (self.ids.next(), new));
        let tellings: Vec<(Uuid, NewTelling)> = tellings.collect();
        if tellings.is_empty() {
            return Ok(());
        }
        Ok(store::telling::insert(conn, community, &tellings, self.clock.now()).await?)
    }

    /// Tells what is due in one community.
    pub(crate) async fn tell_due(&self) -> Result<Progress, Error> {
        let now = self.clock.now();
        let Some(community) = store::telling::due_community(&self.pool, now).await? else {
            return Ok(Progress::Idle);
        };
        let lease = (now, now + LEASE);
        let mut due = store::telling::claim(&self.pool, community, lease, AT_ONCE).await?;
        if due.is_empty() {
            // Another replica has them.
            return Ok(Progress::Idle);
        }
        // A later release's are left to its processes, which find them when the lease is over.
        due.retain(|one| one.telling != Telling::Unknown);
        if due.is_empty() {
            return Ok(Progress::Idle);
        }
        // Together they have failed before: one of them may be why.
        let alone = due.iter().any(|one| one.attempts > TOGETHER);
        let (now_told, later) = due.split_at(if alone { 1 } else { due.len() });
        let told = self.tell_all(community, now_told).await;
        let ids = |of: &[Due]| of.iter().map(|one| one.id).collect::<Vec<Uuid>>();
        store::telling::set_due(&self.pool, community, &ids(later), Some(now)).await?;
        if let Err(error) = told {
            let due_at = match (alone, now_told.first()) {
                (true, Some(one)) => now + pause_after(one.attempts).min(LONGEST_AWAY),
                _ => now,
            };
            store::telling::set_due(&self.pool, community, &ids(now_told), Some(due_at)).await?;
            return Err(error);
        }
        Ok(Progress::More)
    }

    /// Tells some; when activity refuses them together, each alone.
    async fn tell_all(&self, community: Community, due: &[Due]) -> Result<(), Error> {
        match self.record(community, due).await? {
            Ok(()) => Ok(()),
            Err(_) if due.len() > 1 => {
                for one in due {
                    if let Err(why) = self.record(community, slice::from_ref(one)).await? {
                        self.put_off(community, one, &why).await?;
                    }
                }
                Ok(())
            }
            Err(why) => match due.first() {
                Some(one) => self.put_off(community, one, &why).await,
                None => Ok(()),
            },
        }
    }

    /// Asks activity, and writes down that they were told; returns why not, when it refuses.
    async fn record(&self, community: Community, due: &[Due]) -> Result<Result<(), String>, Error> {
        let asked = self
            .activity
            .record_notices(community, due, Deadline::default());
        if let Err(why) = asked.await? {
            return Ok(Err(why));
        }
        let ids: Vec<Uuid> = due.iter().map(|one| one.id).collect();
        store::telling::set_due(&self.pool, community, &ids, None).await?;
        Ok(Ok(()))
    }

    async fn put_off(&self, community: Community, one: &Due, why: &str) -> Result<(), Error> {
        let id = one.id;
        tracing::error!(telling.id = %id, "Activity refused telling {id} as it never should: {why}");
        let due_at = self.clock.now() + pause_after(one.attempts);
        Ok(store::telling::set_due(&self.pool, community, &[id], Some(due_at)).await?)
    }
}

/// How long one waits for its next try: two seconds, four … at most ten minutes.
fn pause_after(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts).unwrap_or(0);
    let seconds = 2_i64.saturating_pow(doublings).min(MAX_PAUSE_SECONDS);
    TimeDelta::seconds(seconds)
}
