//! The worker of one community's queue.

use std::{sync::Arc, time::Duration};

use runtime::{is_retryable, is_unavailable};
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use super::{
    Job, Shared,
    batch::{Batch, Failure, Replies},
};
use crate::{domain::News, store};

/// How many jobs one commit takes in.
const MAX_BATCH: usize = 256;
/// How long a worker without work stays.
const IDLE: Duration = Duration::from_secs(60);
/// How often a batch is tried: another process may have decided the twin of a call, or have locked in another order.
const TRIES: usize = 5;

pub(super) struct Worker {
    shared: Arc<Shared>,
    community: Uuid,
    waiting: UnboundedReceiver<Job>,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        community: Uuid,
        waiting: UnboundedReceiver<Job>,
    ) -> Self {
        Self {
            shared,
            community,
            waiting,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match tokio::time::timeout(IDLE, self.waiting.recv()).await {
                Ok(Some(job)) => {
                    let mut batch = Batch::default();
                    batch.add(job);
                    while batch.len() < MAX_BATCH
                        && let Ok(job) = self.waiting.try_recv()
                    {
                        batch.add(job);
                    }
                    self.answer(batch).await;
                }
                Ok(None) => return,
                Err(_) if self.retire() => return,
                Err(_) => {}
            }
        }
    }

    /// Leaves, unless a job has come in the meantime.
    fn retire(&mut self) -> bool {
        let queues = self.shared.queues.lock();
        let mut queues = queues.expect("no holder of this lock panics");
        let is_idle = self.waiting.is_empty();
        if is_idle {
            queues.remove(&self.community);
        }
        is_idle
    }

    /// Decides a batch and answers it. What the database rejects as a whole is halved until the rest goes through.
    async fn answer(&self, batch: Batch) {
        if batch.len() == 0 {
            return;
        }
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let community = self.community;
            match self.settle(&part).await {
                Ok(Some(replies)) => part.answer(replies),
                Ok(None) => part.fail(Failure::Conflict),
                Err(error) if is_unavailable(&error) || is_retryable(&error) => {
                    tracing::warn!(community.id = %community, error = %error, "Could not decide {} calls: {error}", part.len());
                    part.fail(Failure::of(&error));
                }
                Err(error) => {
                    tracing::error!(community.id = %community, error = %error, "The database rejects {} calls: {error}", part.len());
                    match part.len() {
                        1 => part.fail(Failure::Broken),
                        _ => parts.extend(part.halve()),
                    }
                }
            }
        }
    }

    /// Runs the transaction of a batch until it goes through; nothing when others were first each time. Where the connection broke
    /// and the outcome is unknown, it is asked for once more: what was committed is known by its ids.
    async fn settle(&self, batch: &Batch) -> sqlx::Result<Option<Replies>> {
        for tries in 0..TRIES {
            match self.post(batch).await {
                Ok(None) => {}
                Err(error) if is_retryable(&error) => {}
                Err(error) if is_unavailable(&error) && tries == 0 => {}
                done => return done,
            }
        }
        Ok(None)
    }

    /// One transaction: lock, read what the batch touches, decide, write, commit. Nothing when the twin of a call was decided elsewhere
    /// in between.
    async fn post(&self, batch: &Batch) -> sqlx::Result<Option<Replies>> {
        let community = self.community;
        let needs = batch.needs();
        let mut tx = runtime::begin_by_key(&self.shared.pool).await?;
        let locked = store::lock(&mut tx, community, &needs).await?;
        let now = self.shared.clock.now();
        let mut book = store::load(&mut tx, (community, now), &needs, locked).await?;
        let ids = batch.request_ids();
        let known = match ids.is_empty() {
            true => Default::default(),
            false => store::answers_find(&mut tx, community, &ids).await?,
        };
        let replies = batch.apply(&mut book, known, &self.shared.ids);
        let fresh = batch.fresh(&replies);
        if !fresh.is_empty() && !store::answers_insert(&mut tx, now, &fresh).await? {
            tx.rollback().await?;
            return Ok(None);
        }
        store::write(&mut tx, &book).await?;
        let closed = batch.closed(&replies)?;
        if !closed.is_empty() {
            store::answers_set(&mut tx, community, &closed).await?;
        }
        let news = News::of_book(&book, || self.shared.ids.next());
        let publisher = &self.shared.publisher;
        publisher.commit(tx, community, &news, now).await?;
        if replies.stock_back > 0 {
            self.shared.recovery.nudge();
        }
        Ok(Some(replies))
    }
}
