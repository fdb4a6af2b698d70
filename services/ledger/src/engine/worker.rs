//! The worker of one community's queue.

use std::{ops::Range, sync::Arc, time::Duration};

use runtime::{Writer, is_retryable, is_unavailable};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    Job, Shared,
    answers::{self, Failure, Posted, Settled},
};
use crate::{
    domain::{Account, AccountId, Book, CommunityId, Map, Request},
    store::{self, Needs},
};

/// How many requests one commit takes in, unless one call brings more.
const MAX_BATCH: usize = 8_190;
/// So many are answered on a thread of their own: for some milliseconds they would keep one that carries data to and from the database.
const LARGE: usize = 1_000;
/// How long a worker without work stays, and with it what it knows of its accounts.
const IDLE: Duration = Duration::from_secs(60);
/// How many accounts of one community are kept between batches.
const MAX_KEPT: usize = 100_000;

/// What a worker knows of a journal from its last batch.
#[derive(Debug, Default)]
struct Kept {
    fence: Option<store::Fence>,
    accounts: Map<AccountId, Account>,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    community: CommunityId,
    waiting: UnboundedReceiver<Job>,
    kept: Kept,
    writer: Writer,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        community: CommunityId,
        waiting: UnboundedReceiver<Job>,
    ) -> Self {
        Self {
            writer: shared.writers.writer(),
            shared,
            community,
            waiting,
            kept: Kept::default(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(job) => job,
                None => match self.wait().await {
                    Some(job) => job,
                    None => return,
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

    /// The next job; `None` when the worker is to end.
    async fn wait(&mut self) -> Option<Job> {
        if let Some(job) = self.writer.linger(self.waiting.recv()).await {
            return job;
        }
        loop {
            match tokio::time::timeout(IDLE, self.waiting.recv()).await {
                Ok(job) => return job,
                Err(_) if self.retire() => return None,
                Err(_) => {}
            }
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

    /// Posts a batch of jobs; they are answered while the next one is posted.
    async fn answer(&mut self, mut batch: Vec<Job>) {
        // Nobody waits for these any more.
        batch.retain(|job| !job.answer.is_closed() && !job.deadline.has_passed());
        if batch.is_empty() {
            return;
        }
        let mut requests = Vec::with_capacity(batch.iter().map(|job| job.requests.len()).sum());
        for job in &mut batch {
            requests.append(&mut job.requests);
        }
        let runs = self.settle(&requests).await;
        let (shared, community) = (self.shared.clone(), self.community);
        let answer = move || answers::answer(&shared, community, batch, runs);
        if requests.len() < LARGE {
            tokio::spawn(async { answer() });
        } else {
            tokio::task::spawn_blocking(answer);
        }
    }

    /// Posts requests. What the database rejects as a whole is halved until the rest goes through; where the connection broke
    /// and the outcome is unknown, it is asked for once more: the journal knows the ids that were committed.
    async fn settle(&mut self, requests: &[Request]) -> Vec<Settled> {
        let mut runs = Vec::new();
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
            let posted = match (posted, middle(asked)) {
                (Ok(posted), _) => Ok(posted),
                (Err(error), _) if is_unavailable(&error) || is_retryable(&error) => {
                    tracing::warn!(community.id = %self.community.0, error = %error, "Could not post {} requests: {error}", part.len());
                    Err(Failure::Unavailable)
                }
                (Err(error), Some(middle)) => {
                    tracing::error!(community.id = %self.community.0, error = %error, "Halving a batch of {}: {error}", part.len());
                    parts.push(part.start + middle..part.end);
                    parts.push(part.start..part.start + middle);
                    continue;
                }
                (Err(error), None) => {
                    tracing::error!(community.id = %self.community.0, error = %error, "The database rejects a request: {error}");
                    Err(Failure::Broken)
                }
            };
            runs.push(Settled {
                count: part.len(),
                posted,
            });
        }
        runs
    }

    /// One transaction: lock, read what the requests touch, decide, write, commit.
    async fn post(&mut self, requests: &[Request]) -> sqlx::Result<Posted> {
        let kept = std::mem::take(&mut self.kept);
        let mut tx = self.writer.begin().await?;
        let needs = Needs::of(requests);
        let journal = store::lock(&mut tx, self.community, &needs, kept.fence).await?;
        let now = self.shared.clock.now();
        let Some(journal) = journal else {
            // No journal, no account: every request is refused, and there is no place to keep a refusal.
            return Ok(Posted {
                answers: Book::new(now, 1).apply(requests),
                read: Vec::new(),
                written: Vec::new(),
                holds: Default::default(),
            });
        };
        let fence = journal.fence;
        let mut book = Book::new(now.max(journal.last_recorded_at), fence.next_sequence);
        if kept.fence == Some(fence) {
            book.accounts = kept.accounts;
        }
        let read = store::load(&mut tx, self.community, needs, journal, &mut book).await?;
        let answers = book.apply(requests);
        store::write(&mut tx, self.community, &book).await?;
        self.writer.commit(tx).await?;
        self.shared.heads.moved(self.community.0);
        let written = std::mem::take(&mut book.changes.entries);
        let holds = std::mem::take(&mut book.changes.answered);
        self.keep(book, fence);
        Ok(Posted {
            answers,
            read,
            written,
            holds,
        })
    }

    /// Keeps the accounts for the next batch.
    fn keep(&mut self, book: Book, fence: store::Fence) {
        let mut accounts = book.accounts;
        if accounts.len() > MAX_KEPT {
            accounts.clear();
        }
        for (id, expires_at) in &book.changes.lots {
            if let Some(account) = accounts.get_mut(id) {
                account.lots.drop_empty(*expires_at);
            }
        }
        let refusals = book.changes.refusals.len();
        let fence = store::Fence {
            next_sequence: book.next_sequence,
            last_refusal: fence.last_refusal + i64::try_from(refusals).unwrap_or_default(),
            ..fence
        };
        self.kept = Kept {
            fence: Some(fence),
            accounts,
        };
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
