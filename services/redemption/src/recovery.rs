//! What goes on without a call: holds that have run out are ended, and steps that were left half done are taken to their end.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use chrono::TimeDelta;
use runtime::{Deadline, Progress};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    Error, Redemption,
    domain::{Name, News},
    store::{self, Lease, Needs},
};

/// How often there is a look for work, besides nudges.
const EVERY: Duration = Duration::from_secs(1);
/// Longer than a step takes with all its limits in time.
const LEASE: TimeDelta = TimeDelta::seconds(15);

impl Redemption {
    /// Starts the loops: one ends holds and settles what was left half done, one closes merchants' days, one tells members what happened.
    pub fn spawn_workers(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        self.spawn_closing(tasks, stop);
        self.spawn_telling(tasks, stop);
        let service = self.clone();
        runtime::spawn_worker(
            tasks,
            stop.clone(),
            self.clock.clone(),
            EVERY,
            self.recovery.clone(),
            "redemption.recovery",
            move || {
                let service = service.clone();
                async move { Ok(service.recover().await?) }
            },
        );
    }

    /// Ends the holds of one offer that have run out, and settles the due steps of one community.
    pub async fn recover(&self) -> Result<Progress, Error> {
        // What can't be ended keeps nothing else from being settled.
        let expired = self.expire_due().await;
        let settled = self.settle_due().await?;
        Ok(match (expired?, settled) {
            (Progress::Idle, Progress::Idle) => Progress::Idle,
            (Progress::More, _) | (_, Progress::More) => Progress::More,
        })
    }

    async fn expire_due(&self) -> Result<Progress, Error> {
        let now = self.clock.now();
        let Some(offer) = store::redemption_due_offer(&self.pool, now).await? else {
            return Ok(Progress::Idle);
        };
        let needs = Needs {
            expiring: BTreeSet::from([offer.id]),
            ..Needs::default()
        };
        let mut tx = runtime::begin_by_key(&self.pool).await?;
        let mut book = self.open(&mut tx, offer.community, &needs).await?;
        let stock_back = book.expire(&HashSet::from([offer.id]), || self.ids.next());
        store::write(&mut tx, &book).await?;
        let news = News::of_book(&book, || self.ids.next());
        self.commit(tx, offer.community, &news).await?;
        // None: someone else is at it.
        Ok(if stock_back > 0 {
            Progress::More
        } else {
            Progress::Idle
        })
    }

    async fn settle_due(&self) -> Result<Progress, Error> {
        let now = self.clock.now();
        let Some(community) = store::operation_due_community(&self.pool, now).await? else {
            return Ok(Progress::Idle);
        };
        let lease = Lease {
            now,
            until: now + LEASE,
        };
        let mut steps = JoinSet::new();
        for due in store::operation_claim_due(&self.pool, community, lease).await? {
            let service = self.clone();
            let name = Name {
                community,
                id: due.operation,
            };
            let span = runtime::span_with_parent("redemption.recovery", due.traceparent.as_deref());
            let step = async move { service.settle(name, Deadline::default()).await.map(|_| ()) };
            steps.spawn(step.instrument(span));
        }
        if steps.is_empty() {
            return Ok(Progress::Idle);
        }
        let mut failure = None;
        while let Some(ended) = steps.join_next().await {
            let settled = ended
                .map_err(|error| Error::Broken(format!("a step to recover: {error}")))
                .flatten();
            failure = settled.err().or(failure);
        }
        match failure {
            None => Ok(Progress::More),
            Some(error) => Err(error),
        }
    }
}
