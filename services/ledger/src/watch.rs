//! The journal as a stream: what is there, then what comes.
//!
//! The database is the only source: entries are read by sequence, which is dense and in commit order, so there is no gap and none
//! comes twice, whoever posted them. News of this process' commits only wakes the reader early.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use runtime::Stop;
use tokio::sync::{
    Notify,
    mpsc::{self, Receiver, Sender},
};

use crate::{
    Error, Ledger,
    domain::{CommunityId, Entry},
    store::{self, EntryQuery},
};

/// How often to look for entries that other processes have posted.
const EVERY: Duration = Duration::from_secs(1);
/// How many entries one look reads.
const AT_ONCE: i64 = 500;
/// How many entries are on their way to a watcher; who is slower is read for more slowly.
const AHEAD: usize = 64;

/// Wakes those who watch a journal when this process has posted to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads(Arc<Mutex<HashMap<CommunityId, Arc<Notify>>>>);

impl Heads {
    /// Tells that a journal has got new entries.
    pub(crate) fn moved(&self, community: CommunityId) {
        let mut heads = self.0.lock().expect("no holder of this lock panics");
        let Some(head) = heads.get(&community) else {
            return;
        };
        head.notify_waiters();
        // Only the map is left to hold it: nobody watches any more.
        if Arc::strong_count(head) == 1 {
            heads.remove(&community);
        }
    }

    fn watch(&self, community: CommunityId) -> Arc<Notify> {
        let mut heads = self.0.lock().expect("no holder of this lock panics");
        heads.entry(community).or_default().clone()
    }
}

impl Ledger {
    /// Every entry of a journal behind a sequence, for as long as the receiver is there or until the stop.
    pub fn watch_entries(
        &self,
        community: CommunityId,
        after: i64,
        stop: Stop,
    ) -> Receiver<Result<Entry, Error>> {
        let (entries, watcher) = mpsc::channel(AHEAD);
        let ledger = self.clone();
        tokio::spawn(async move {
            let watched = ledger.watch(community, after, &entries, stop).await;
            if let Err(error) = watched {
                // The watcher may have gone in the meantime.
                let _ = entries.send(Err(error)).await;
            }
        });
        watcher
    }

    async fn watch(
        &self,
        community: CommunityId,
        mut after: i64,
        watcher: &Sender<Result<Entry, Error>>,
        Stop(stop): Stop,
    ) -> Result<(), Error> {
        let head = self.heads.watch(community);
        while !stop.is_cancelled() {
            // Listens before it looks: what is committed after the look is heard of.
            let mut moved = std::pin::pin!(head.notified());
            moved.as_mut().enable();
            let entries = self.entries_after(community, after).await?;
            let is_all = i64::try_from(entries.len()).is_ok_and(|count| count < AT_ONCE);
            for entry in entries {
                after = entry.sequence;
                if watcher.send(Ok(entry)).await.is_err() {
                    return Ok(());
                }
            }
            if is_all {
                tokio::select! {
                    () = moved => {}
                    () = self.clock.sleep(EVERY) => {}
                    () = stop.cancelled() => {}
                    () = watcher.closed() => return Ok(()),
                }
            }
        }
        Err(Error::Stopping)
    }

    /// Without a transaction around it: entries are only added, each together with what belongs to it.
    async fn entries_after(&self, community: CommunityId, after: i64) -> Result<Vec<Entry>, Error> {
        let query = EntryQuery {
            after,
            limit: AT_ONCE,
            ..EntryQuery::default()
        };
        let mut conn = self.pool.acquire().await?;
        Ok(store::entry_list(&mut conn, community, query).await?)
    }
}
