//! What is added to a community in order, as a stream: what is there, then what comes.
//!
//! The database is the only source: items are read by sequence, which is dense and in commit order, so there is no gap and none comes twice,
//! whoever added them. News of this process' commits only wakes the reader early.

use std::{
    collections::HashMap,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::{
    Notify, Semaphore,
    mpsc::{self, Sender},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::Status;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Clock, Stop, Window,
    status::{stopping, stream_over},
};

/// How often to look for what other processes have added.
const EVERY: Duration = Duration::from_secs(1);
/// How many items one look reads.
const AT_ONCE: i64 = 500;
/// How many watchers of one process look at a time.
const LOOKS: usize = 2;
/// How many items are on their way to a watcher; who is slower is read for more slowly.
const AHEAD: usize = 64;

/// Messages on their way to a caller, and how they end.
pub type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Wakes those who watch a community when this process has added something to it, and lets only a few of them look at a time, so that they leave the
/// database to those who write.
#[derive(Clone, Debug)]
pub struct Heads(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    heads: Mutex<HashMap<Uuid, Arc<Notify>>>,
    looks: Semaphore,
}

impl Default for Heads {
    fn default() -> Self {
        Self(Arc::new(Shared {
            heads: Mutex::default(),
            looks: Semaphore::new(LOOKS),
        }))
    }
}

/// Who watches what, from where on.
#[derive(Debug)]
pub struct Watch {
    /// What wakes it.
    pub heads: Heads,
    /// By which it looks.
    pub clock: Clock,
    /// Ends it.
    pub stop: Stop,
    /// When the caller's token ends, and it with that.
    pub until: Option<DateTime<Utc>>,
    /// `ErrorInfo.domain` of the end.
    pub domain: &'static str,
    /// The community.
    pub community: Uuid,
    /// The last sequence that the watcher has.
    pub after: i64,
}

impl Heads {
    /// Tells that something was added to a community.
    pub fn moved(&self, community: Uuid) {
        let mut heads = self.0.heads.lock().expect("no holder of this lock panics");
        let Some(head) = heads.get(&community) else {
            return;
        };
        head.notify_waiters();
        // Only the map is left to hold it: nobody watches any more.
        if Arc::strong_count(head) == 1 {
            heads.remove(&community);
        }
    }

    fn watch(&self, community: Uuid) -> Arc<Notify> {
        let mut heads = self.0.heads.lock().expect("no holder of this lock panics");
        heads.entry(community).or_default().clone()
    }
}

impl Watch {
    /// Every item behind `after`, each as `read` gives it with its sequence, for as long as the caller reads or until the stop.
    pub fn stream<T, R, F>(self, read: R) -> Messages<T>
    where
        T: Send + 'static,
        R: Fn(Window<i64>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<(i64, T)>, Status>> + Send,
    {
        let (items, watcher) = mpsc::channel(AHEAD);
        let work = async move {
            if let Err(end) = self.run(read, &items).await {
                // The caller may have gone in the meantime.
                let _ = items.send(Err(end)).await;
            }
        };
        tokio::spawn(work.in_current_span());
        Box::pin(ReceiverStream::new(watcher))
    }

    async fn run<T, R, F>(
        mut self,
        read: R,
        watcher: &Sender<Result<T, Status>>,
    ) -> Result<(), Status>
    where
        R: Fn(Window<i64>) -> F,
        F: Future<Output = Result<Vec<(i64, T)>, Status>>,
    {
        let head = self.heads.watch(self.community);
        let Stop(stop) = &self.stop;
        while !stop.is_cancelled() {
            // Listens before it looks: what is committed after the look is heard of.
            let mut moved = pin!(head.notified());
            moved.as_mut().enable();
            if self.until.is_some_and(|until| self.clock.now() >= until) {
                return Err(stream_over(self.domain));
            }
            let look = self.heads.0.looks.acquire().await;
            let items = read(Window {
                after: self.after,
                limit: AT_ONCE,
            })
            .await?;
            drop(look);
            let is_all = i64::try_from(items.len()).is_ok_and(|count| count < AT_ONCE);
            for (sequence, item) in items {
                self.after = sequence;
                if watcher.send(Ok(item)).await.is_err() {
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
        Err(stopping(self.domain))
    }
}
