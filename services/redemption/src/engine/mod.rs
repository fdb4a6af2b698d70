//! The engine of what tills do at work: one queue a community, and one worker that turns what waits in it into batches.
//!
//! A batch is one transaction for many calls, and for many answers of the ledger: it locks what they touch, reads it into a
//! [`Book`](crate::domain::Book), applies them one after another, writes what has changed with a fixed number of statements and commits.
//! The next one forms meanwhile, so a lone call never waits for company. A call passes here twice, to be decided and to be settled;
//! in between it asks the ledger by itself, so batches never wait for the ledger. Any number of processes may do so at once: correctness
//! rests on the locks of the rows.

mod batch;
mod worker;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use runtime::{Clock, Deadline, Ids, Nudge};
use sqlx::PgPool;
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{self, UnboundedSender},
    oneshot,
};
use uuid::Uuid;

use self::worker::Worker;
use crate::{
    Error,
    domain::{Begun, Settled, Step, Taking, Verdict},
    event::Publisher,
    store::{Call, Outcome},
};

/// How many calls of one community may wait to be decided; more are turned away until some have been.
const MAX_WAITING: usize = 4_096;

/// What a call asks for.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// To take an offer.
    Take(Taking),
    /// The next step of a redemption.
    Step(Uuid, Step),
}

/// A call that is to be decided.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// The call.
    pub call: Call,
    /// What it asks for.
    pub wish: Wish,
    /// Its trace.
    pub traceparent: Option<String>,
}

/// What was decided.
#[derive(Debug)]
pub(crate) enum Decision {
    /// It is on its way to the ledger.
    Begun(Begun),
    /// This came of it, now or when it was made before.
    Known(Outcome),
    /// Nothing: this step of the same redemption is under way.
    Busy(Uuid),
}

/// Decides calls and settles what the ledger has answered. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    clock: Clock,
    ids: Ids,
    recovery: Nudge,
    publisher: Publisher,
    queues: Mutex<HashMap<Uuid, Queue>>,
}

#[derive(Debug)]
struct Queue {
    jobs: UnboundedSender<Job>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
enum Job {
    Ask(Waiting<Ask, Decision>),
    Verdict(Waiting<(Begun, Verdict), Option<Settled>>),
}

/// Work, and who waits for what comes of it.
#[derive(Debug)]
struct Waiting<W, R> {
    work: W,
    deadline: Deadline,
    answer: oneshot::Sender<Result<R, Error>>,
    /// Given back when the job is done with, whichever way.
    _place: Option<OwnedSemaphorePermit>,
}

impl Engine {
    /// An engine on a pool whose connections work under the service's role.
    pub fn new(
        pool: PgPool,
        clock: Clock,
        ids: Ids,
        recovery: Nudge,
        publisher: Publisher,
    ) -> Self {
        Self(Arc::new(Shared {
            pool,
            clock,
            ids,
            recovery,
            publisher,
            queues: Mutex::default(),
        }))
    }

    /// Decides a call. When its time is over before its batch begins, it is dropped.
    pub async fn decide(&self, ask: Ask, deadline: Deadline) -> Result<Decision, Error> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(ask.call.community, |queue| {
            let place = queue.places.clone().try_acquire_owned();
            Ok(Job::Ask(Waiting {
                work: ask,
                deadline,
                answer,
                _place: Some(place.map_err(|_| Error::Busy)?),
            }))
        })?;
        // Without an answer it was dropped, for its time was over, or the worker has died; the same call may be made again.
        answered
            .await
            .unwrap_or_else(|_| match deadline.has_passed() {
                true => Err(Error::Unavailable("redemption")),
                false => Err(Error::Conflict),
            })
    }

    /// Writes what the ledger's answer to a step leads to; nothing when the step has ended before. It never waits for a place: what has begun
    /// is to end.
    pub async fn settle(&self, step: Begun, verdict: Verdict) -> Result<Option<Settled>, Error> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(step.operation.community, |_| {
            Ok(Job::Verdict(Waiting {
                work: (step, verdict),
                deadline: Deadline::default(),
                answer,
                _place: None,
            }))
        })?;
        answered.await.unwrap_or(Err(Error::Conflict))
    }

    fn enqueue(
        &self,
        community: Uuid,
        job: impl FnOnce(&Queue) -> Result<Job, Error>,
    ) -> Result<(), Error> {
        let mut queues = self.0.queues.lock().expect("no holder of this lock panics");
        let alive = queues
            .get(&community)
            .filter(|queue| !queue.jobs.is_closed());
        if alive.is_none() {
            queues.insert(community, self.start_worker(community));
        }
        let queue = queues.get(&community).expect("it was put in just now");
        let job = job(queue)?;
        queue.jobs.send(job).map_err(|_| Error::Conflict)
    }

    fn start_worker(&self, community: Uuid) -> Queue {
        let (jobs, waiting) = mpsc::unbounded_channel();
        tokio::spawn(Worker::new(self.0.clone(), community, waiting).run());
        Queue {
            jobs,
            places: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }
}
