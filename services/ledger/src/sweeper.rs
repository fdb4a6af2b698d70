//! Posts what has expired. Nothing depends on when it runs: what has expired is unspendable from its instant on.

use std::time::Duration;

use runtime::{Nudge, Progress, spawn_worker};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Error, Ledger,
    domain::{Command, CommunityId, EntryKind, Request},
    store,
};

/// How often the sweeper looks.
const EVERY: Duration = Duration::from_secs(10);
/// How many lots and how many holds one transaction posts.
const BATCH: i64 = 500;

/// What a sweep posted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Lots that were moved to their expired accounts.
    pub lots: i32,
    /// Holds that were ended.
    pub holds: i32,
}

impl Ledger {
    /// Posts everything in a community that has expired by now.
    pub async fn sweep_expired(&self, community: CommunityId) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        loop {
            let now = self.clock.now();
            let mut conn = self.pool.acquire().await?;
            let holds = store::holds_due(&mut conn, community, now, BATCH).await?;
            let lots = store::lots_due(&mut conn, community, now, BATCH).await?;
            drop(conn);
            let has_empty_lots = lots.iter().any(|lot| lot.is_empty);
            // Holds first: what they give back may have expired as well.
            let full = lots.into_iter().filter(|lot| !lot.is_empty);
            let lots = full.map(|lot| Command::ExpireLot(lot.account, lot.expires_at));
            let due = holds.into_iter().map(Command::ExpireHold).chain(lots);
            let due: Vec<Request> = due.map(Request::own).collect();
            if due.is_empty() {
                if !has_empty_lots {
                    return Ok(swept);
                }
                self.remove_empty_lots(community).await?;
                continue;
            }
            let before = swept;
            for outcome in self.engine.post(community, due).await? {
                // A refusal means that someone else was quicker.
                match outcome.map(|entry| entry.kind) {
                    Ok(EntryKind::LotExpiry) => swept.lots += 1,
                    Ok(_) => swept.holds += 1,
                    Err(_) => {}
                }
            }
            if swept == before {
                return Ok(swept);
            }
        }
    }

    async fn remove_empty_lots(&self, community: CommunityId) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        // A writer that has read an empty lot may be about to fill it.
        store::journal_lock(&mut tx, community).await?;
        store::lots_delete_empty(&mut tx, community, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    /// Starts the sweeper, and the sealer when there is a key.
    pub fn spawn_workers(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        self.spawn_sealer(tasks, stop);
        let ledger = self.clone();
        let sweep = move || {
            let ledger = ledger.clone();
            async move { ledger.sweep_all().await }
        };
        spawn_worker(
            tasks,
            stop.clone(),
            self.clock.clone(),
            EVERY,
            Nudge::default(),
            "ledger sweeper",
            sweep,
        );
    }

    async fn sweep_all(&self) -> Result<Progress, anyhow::Error> {
        let communities = store::communities_list(&mut *self.pool.acquire().await?).await?;
        for community in communities {
            let swept = self.sweep_expired(community).await?;
            if swept != Swept::default() {
                let Swept { lots, holds } = swept;
                tracing::info!(community.id = %community.0, lots, holds, "Swept {lots} expired lots and {holds} expired holds");
            }
        }
        Ok(Progress::Idle)
    }
}
