//! Tells members what happened to their points and cards: activity keeps their notices, and is told by a loop until it has answered.
//!
//! What is to be told is written in the transaction of what it tells, so nothing is missed. The notice has the telling's id, so a lost answer or a second
//! replica tells nobody twice. What activity refuses is never lost, and holds up no other.

use std::{slice, time::Duration};

use chrono::TimeDelta;
use runtime::{Deadline, Progress};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Error, Redemption,
    closing::pause_after,
    domain::{Content, Telling},
    store::{self, Claimed, Lease},
};

/// How often there is a look for work, besides nudges.
const EVERY: Duration = Duration::from_secs(1);
/// How long a claim keeps others away. Should a call ever take longer, another replica tells the same under the same ids.
const LEASE: TimeDelta = TimeDelta::seconds(20);
/// How often some are tried together.
const TOGETHER: i32 = 3;
/// How long one waits at most while activity does not answer.
const LONGEST_AWAY: TimeDelta = TimeDelta::seconds(30);

impl Redemption {
    /// Starts the loop that tells members.
    pub(crate) fn spawn_telling(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        let service = self.clone();
        runtime::spawn_worker(
            tasks,
            stop.clone(),
            self.clock.clone(),
            EVERY,
            self.publisher.telling.clone(),
            "redemption.telling",
            move || {
                let service = service.clone();
                async move { Ok(service.tell_due().await?) }
            },
        );
    }

    /// Tells what is due in one community.
    pub async fn tell_due(&self) -> Result<Progress, Error> {
        let now = self.clock.now();
        let Some(community) = store::telling_due_community(&self.pool, now).await? else {
            return Ok(Progress::Idle);
        };
        let lease = Lease {
            now,
            until: now + LEASE,
        };
        let mut claimed = store::telling_claim_due(&self.pool, community, lease).await?;
        // A later release's are left to its processes, which find them when the lease is over.
        claimed.retain(|one| one.telling.content != Content::Unknown);
        if claimed.is_empty() {
            return Ok(Progress::Idle);
        }
        // Together they have failed before: one of them may be why.
        let alone = claimed.iter().any(|one| one.attempts > TOGETHER);
        let (first, later) = claimed.split_at(if alone { 1 } else { claimed.len() });
        let told = self.tell(community, first).await;
        let later: Vec<Uuid> = later.iter().map(|one| one.telling.id).collect();
        store::telling_set_due(&self.pool, community, &later, Some(now)).await?;
        told?;
        Ok(Progress::More)
    }

    async fn tell(&self, community: Uuid, claimed: &[Claimed]) -> Result<(), Error> {
        let tellings: Vec<&Telling> = claimed.iter().map(|one| &one.telling).collect();
        let ids: Vec<Uuid> = tellings.iter().map(|one| one.id).collect();
        let limit = Deadline::default();
        let told = self.activity.record_notices(community, &tellings, limit);
        let due_at = match told.await {
            Ok(Ok(())) => None,
            // One that activity can't take fails the whole call: each is told alone, so that it holds up no other.
            Ok(Err(_)) if claimed.len() > 1 => {
                for one in claimed {
                    Box::pin(self.tell(community, slice::from_ref(one))).await?;
                }
                return Ok(());
            }
            Ok(Err(why)) => {
                let (id, attempts) = (claimed[0].telling.id, claimed[0].attempts);
                tracing::error!(telling.id = %id, "Activity refuses telling {id}: {why}");
                Some(self.clock.now() + pause_after(attempts))
            }
            Err(error) => {
                // The loop itself waits longer each time; one that is alone lets the others come first.
                let pause = match claimed {
                    [one] if one.attempts > TOGETHER => pause_after(one.attempts).min(LONGEST_AWAY),
                    _ => TimeDelta::zero(),
                };
                let due_at = Some(self.clock.now() + pause);
                store::telling_set_due(&self.pool, community, &ids, due_at).await?;
                return Err(error);
            }
        };
        Ok(store::telling_set_due(&self.pool, community, &ids, due_at).await?)
    }
}
