//! The posting engine: one queue a community, and one worker that turns what waits in it into batches.
//!
//! A batch forms while the one before commits, so a lone request never waits for company and many share one commit. The
//! worker locks the journal's row, reads what the batch touches, applies it in a [`Book`](crate::domain::Book), writes it with a fixed number of
//! statements and commits. Any number of processes may do so for one community: the row is the lock, and it is a fence as
//! well. While it stands where this process left it, nobody else has written: the accounts kept from earlier batches need no
//! read, and what was looked for before the lock was held need not be looked for again.

mod answers;
mod worker;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use runtime::{Clock, Deadline, Heads, Writers};
use sqlx::PgPool;
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{self, UnboundedSender},
    oneshot,
};

use self::worker::Worker;
use crate::{
    Error,
    domain::{CommunityId, Entry, Hold, Refusal, Request},
    proof::FreshLeaves,
};

/// What came of one request: its entry, or why there is none.
pub type Outcome = Result<Entry, Refusal>;
/// The same, with the hold as a capture or a release left it, unless it was answered before.
type Done = Result<(Entry, Option<Hold>), Refusal>;

/// How many requests may wait for one community; more are turned away until some have been answered.
const MAX_WAITING: usize = 65_536;

/// Posts requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    writers: Writers,
    clock: Clock,
    heads: Heads,
    fresh: FreshLeaves,
    queues: Mutex<HashMap<CommunityId, Queue>>,
}

#[derive(Debug)]
struct Queue {
    jobs: UnboundedSender<Job>,
    places: Arc<Semaphore>,
}

/// The requests of one call.
#[derive(Debug)]
struct Job {
    requests: Vec<Request>,
    count: usize,
    deadline: Deadline,
    answer: oneshot::Sender<Result<Vec<Done>, Error>>,
    /// Given back when the job is done with, whichever way.
    _places: OwnedSemaphorePermit,
}

impl Engine {
    /// An engine on a pool whose connections work under the ledger's role.
    pub fn new(pool: PgPool, clock: Clock, heads: Heads, fresh: FreshLeaves) -> Self {
        Self(Arc::new(Shared {
            writers: Writers::new(pool),
            clock,
            heads,
            fresh,
            queues: Mutex::default(),
        }))
    }

    /// Posts the requests of one call, in order and next to each other; one outcome each. Given up by the caller, they are
    /// dropped unless their batch has begun.
    pub async fn post(
        &self,
        community: CommunityId,
        requests: Vec<Request>,
    ) -> Result<Vec<Outcome>, Error> {
        let done = self.settle(community, requests).await?;
        let outcomes = done.into_iter().map(|one| one.map(|(entry, _)| entry));
        Ok(outcomes.collect())
    }

    /// Posts one request; about a hold, with the hold as it left it, unless it was answered before.
    pub async fn post_one(
        &self,
        community: CommunityId,
        request: Request,
    ) -> Result<(Entry, Option<Hold>), Error> {
        let mut done = self.settle(community, vec![request]).await?;
        let done = done.pop().expect("one request in, one outcome out");
        Ok(done?)
    }

    async fn settle(
        &self,
        community: CommunityId,
        requests: Vec<Request>,
    ) -> Result<Vec<Done>, Error> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(community, requests, answer)?;
        // Without an answer the worker has died; what it was doing is settled by asking again.
        answered.await.unwrap_or(Err(Error::Interrupted))
    }

    fn enqueue(
        &self,
        community: CommunityId,
        requests: Vec<Request>,
        answer: oneshot::Sender<Result<Vec<Done>, Error>>,
    ) -> Result<(), Error> {
        let mut queues = self.0.queues.lock().expect("no holder of this lock panics");
        let alive = queues
            .get(&community)
            .filter(|queue| !queue.jobs.is_closed());
        if alive.is_none() {
            queues.insert(community, self.start_worker(community));
        }
        let queue = queues.get(&community).expect("it was put in just now");
        let count = requests.len();
        let wanted = u32::try_from(count).unwrap_or(u32::MAX);
        let places = queue.places.clone().try_acquire_many_owned(wanted);
        let job = Job {
            requests,
            count,
            deadline: Deadline::current(),
            answer,
            _places: places.map_err(|_| Error::Busy)?,
        };
        queue.jobs.send(job).map_err(|_| Error::Interrupted)
    }

    fn start_worker(&self, community: CommunityId) -> Queue {
        let (jobs, waiting) = mpsc::unbounded_channel();
        tokio::spawn(Worker::new(self.0.clone(), community, waiting).run());
        Queue {
            jobs,
            places: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }
}
