//! The posting engine: one queue a community, and one worker that turns what waits in it into batches.
//!
//! A batch forms while the one before commits, so a lone request never waits for company and many share one commit. The
//! worker locks the journal's row, reads what the batch touches, applies it in [`Book`], writes it with a fixed number of
//! statements and commits. Any number of processes may do so for one community: the row is the lock, and it is a fence as
//! well. While it stands where this process left it, nobody else has written, and the accounts kept from earlier batches
//! need no read.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use runtime::{Clock, Deadline, is_retryable, is_unavailable};
use sqlx::PgPool;
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{self, UnboundedReceiver, UnboundedSender},
    oneshot,
};

use crate::{
    Error,
    domain::{Account, AccountId, Answer, Book, CommunityId, Entry, Refusal, Request},
    store::{self, Needs},
    watch::Heads,
};

/// What came of one request: its entry, or why there is none.
pub type Outcome = Result<Entry, Refusal>;

/// How many requests may wait for one community; more are turned away until some have been answered.
const MAX_WAITING: usize = 65_536;
/// How many requests one commit takes in, unless one call brings more.
const MAX_BATCH: usize = 8_190;
/// How long a worker without work stays, and with it what it knows of its accounts.
const IDLE: Duration = Duration::from_secs(60);
/// How many accounts of one community are kept between batches.
const MAX_KEPT: usize = 100_000;

/// Posts requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    clock: Clock,
    heads: Heads,
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
    deadline: Deadline,
    answer: oneshot::Sender<Result<Vec<Outcome>, Error>>,
    /// Given back when the job is done with, whichever way.
    _places: OwnedSemaphorePermit,
}

impl Engine {
    /// An engine on a pool whose connections work under the ledger's role.
    pub fn new(pool: PgPool, clock: Clock, heads: Heads) -> Self {
        Self(Arc::new(Shared {
            pool,
            clock,
            heads,
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
        let (answer, answered) = oneshot::channel();
        self.enqueue(community, requests, answer)?;
        // Without an answer the worker has died; what it was doing is settled by asking again.
        answered.await.unwrap_or(Err(Error::Interrupted))
    }

    fn enqueue(
        &self,
        community: CommunityId,
        requests: Vec<Request>,
        answer: oneshot::Sender<Result<Vec<Outcome>, Error>>,
    ) -> Result<(), Error> {
        let mut queues = self.0.queues.lock().expect("no holder of this lock panics");
        let alive = queues
            .get(&community)
            .filter(|queue| !queue.jobs.is_closed());
        if alive.is_none() {
            queues.insert(community, self.start_worker(community));
        }
        let queue = queues.get(&community).expect("it was put in just now");
        let count = u32::try_from(requests.len()).unwrap_or(u32::MAX);
        let places = queue.places.clone().try_acquire_many_owned(count);
        let job = Job {
            requests,
            deadline: Deadline::current(),
            answer,
            _places: places.map_err(|_| Error::Busy)?,
        };
        queue.jobs.send(job).map_err(|_| Error::Interrupted)
    }

    fn start_worker(&self, community: CommunityId) -> Queue {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let worker = Worker {
            shared: self.0.clone(),
            community,
            waiting,
            kept: Kept::default(),
        };
        tokio::spawn(worker.run());
        Queue {
            jobs,
            places: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }
}

/// What a worker knows of a journal from its last batch.
#[derive(Debug, Default)]
struct Kept {
    fence: Option<store::Fence>,
    accounts: HashMap<AccountId, Account>,
}

struct Worker {
    shared: Arc<Shared>,
    community: CommunityId,
    waiting: UnboundedReceiver<Job>,
    kept: Kept,
}

impl Worker {
    async fn run(mut self) {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(job) => job,
                None => match tokio::time::timeout(IDLE, self.waiting.recv()).await {
                    Ok(Some(job)) => job,
                    Ok(None) => return,
                    Err(_) if self.retire() => return,
                    Err(_) => continue,
                },
            };
            let mut count = first.requests.len();
            let mut batch = vec![first];
            while count < MAX_BATCH
                && let Ok(job) = self.waiting.try_recv()
            {
                count += job.requests.len();
                if count > MAX_BATCH {
                    next = Some(job);
                    break;
                }
                batch.push(job);
            }
            self.answer(batch).await;
        }
    }

    /// Leaves, unless a job has come in the meantime.
    fn retire(&mut self) -> bool {
        let mut queues = self
            .shared
            .queues
            .lock()
            .expect("no holder of this lock panics");
        let is_idle = self.waiting.is_empty();
        if is_idle {
            queues.remove(&self.community);
        }
        is_idle
    }

    /// Posts a batch of jobs and answers each.
    async fn answer(&mut self, mut batch: Vec<Job>) {
        // Nobody waits for these any more.
        batch.retain(|job| !job.answer.is_closed() && !job.deadline.has_passed());
        if batch.is_empty() {
            return;
        }
        let mut requests = Vec::with_capacity(batch.iter().map(|job| job.requests.len()).sum());
        let mut shares = Vec::with_capacity(batch.len());
        for job in &mut batch {
            let start = requests.len();
            requests.append(&mut job.requests);
            shares.push(start..requests.len());
        }
        let mut outcomes = self.settle(&requests).await;
        for (job, share) in batch.into_iter().zip(shares) {
            let outcomes = outcomes[share]
                .iter_mut()
                .map(|outcome| std::mem::replace(outcome, Err(Failure::Broken)));
            let answer = outcomes.collect::<Result<Vec<Outcome>, Failure>>();
            // The caller may have gone; then it asks again with the same ids.
            let _ = job.answer.send(answer.map_err(Error::from));
        }
    }

    /// Posts requests. What the database rejects as a whole is halved until the rest goes through; where the connection broke
    /// and the outcome is unknown, it is asked for once more: the journal knows the ids that were committed.
    async fn settle(&mut self, requests: &[Request]) -> Vec<Result<Outcome, Failure>> {
        let mut outcomes: Vec<Result<Outcome, Failure>> = Vec::with_capacity(requests.len());
        let whole = Range {
            start: 0,
            end: requests.len(),
        };
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            let asked = &requests[part.clone()];
            let posted = match self.post(asked).await {
                Err(error) if is_unavailable(&error) || is_retryable(&error) => {
                    self.post(asked).await
                }
                posted => posted,
            };
            match (posted, middle(asked)) {
                (Ok(posted), _) => outcomes.extend(posted.into_iter().map(Ok)),
                (Err(error), _) if is_unavailable(&error) || is_retryable(&error) => {
                    tracing::warn!(community.id = %self.community.0, error = %error, "Could not post {} requests: {error}", part.len());
                    outcomes.extend(part.map(|_| Err(Failure::Unavailable)));
                }
                (Err(error), Some(middle)) => {
                    tracing::error!(community.id = %self.community.0, error = %error, "Halving a batch of {}: {error}", part.len());
                    parts.push(part.start + middle..part.end);
                    parts.push(part.start..part.start + middle);
                }
                (Err(error), None) => {
                    tracing::error!(community.id = %self.community.0, error = %error, "The database rejects a request: {error}");
                    outcomes.extend(part.map(|_| Err(Failure::Broken)));
                }
            }
        }
        outcomes
    }

    /// One transaction: lock, read what the requests touch, decide, write, commit.
    async fn post(&mut self, requests: &[Request]) -> sqlx::Result<Vec<Outcome>> {
        let kept = std::mem::take(&mut self.kept);
        let mut tx = self.shared.pool.begin().await?;
        // The lock is its own statement: what is read after it is what the last writer committed.
        let head = store::journal_lock(&mut tx, self.community).await?;
        let now = self.shared.clock.now();
        let Some(head) = head else {
            // No journal, no account: every request is refused, and there is no place to keep a refusal.
            let answers = Book::new(now, 1).apply(requests);
            return Ok(outcomes(answers, Vec::new()));
        };
        let mut book = Book::new(now.max(head.last_recorded_at), head.fence.next_sequence);
        if kept.fence == Some(head.fence) {
            book.accounts = kept.accounts;
        }
        let read = store::load(&mut tx, self.community, Needs::of(requests), &mut book).await?;
        let answers = book.apply(requests);
        store::write(&mut tx, self.community, &book).await?;
        tx.commit().await?;
        self.shared.heads.moved(self.community);
        let changes = std::mem::take(&mut book.changes);
        self.keep(book, head.fence, &changes.accounts);
        Ok(outcomes(answers, read.into_iter().chain(changes.entries)))
    }

    /// Keeps the accounts for the next batch.
    fn keep<'a>(
        &mut self,
        book: Book,
        fence: store::Fence,
        changed: impl IntoIterator<Item = &'a AccountId>,
    ) {
        let mut accounts = book.accounts;
        if accounts.len() > MAX_KEPT {
            accounts.clear();
        }
        for id in changed {
            if let Some(account) = accounts.get_mut(id) {
                account.lots.drop_empty();
            }
        }
        let fence = store::Fence {
            next_sequence: book.next_sequence,
            ..fence
        };
        self.kept = Kept {
            fence: Some(fence),
            accounts,
        };
    }
}

/// Why a request has no outcome.
enum Failure {
    /// The database is away or busy; asking again may help.
    Unavailable,
    /// The database rejects it.
    Broken,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable => Self::Interrupted,
            Failure::Broken => Self::Broken,
        }
    }
}

/// Where to halve requests without parting linked ones; `None` when they can't be.
fn middle(requests: &[Request]) -> Option<usize> {
    let ends = |index: &usize| !requests[index - 1].linked;
    let half = requests.len() / 2;
    (half.max(1)..requests.len())
        .find(ends)
        .or_else(|| (1..half).rev().find(ends))
}

fn outcomes(answers: Vec<Answer>, entries: impl IntoIterator<Item = Entry>) -> Vec<Outcome> {
    let by_sequence: HashMap<i64, Entry> = entries
        .into_iter()
        .map(|entry| (entry.sequence, entry))
        .collect();
    let outcome = |answer| match answer {
        Answer::Posted(sequence) => Ok(by_sequence
            .get(&sequence)
            .cloned()
            .expect("a posted entry was read or written")),
        Answer::Refused(refusal) => Err(refusal),
    };
    answers.into_iter().map(outcome).collect()
}
