//! The way of a step from its decision to its end: the ledger is asked, and its answer is written with all that follows from it.
//!
//! Any number may take the same step to its end at once, a repeated call and the recovery loop too: the ledger does it once, and
//! only the first to write its answer does so.

use std::{slice, time::Duration};

use chrono::TimeDelta;
use runtime::{Deadline, Progress};
use sqlx::PgConnection;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Error, Wishes,
    domain::{
        Community,
        operation::{Kind, LedgerRefusal, Step, Verdict},
        pledge::{Pledge, PledgeState},
        refusal::Refusal,
        telling::NewTelling,
        wish::{Wish, WishState},
    },
    store,
};

/// How often there is a look for steps that were left half done, besides nudges.
const EVERY: Duration = Duration::from_secs(1);
/// Longer than a step takes with all its limits in time.
const LEASE: TimeDelta = TimeDelta::seconds(15);

/// Starts the loop that takes steps to their end.
pub(crate) fn spawn(wishes: &Wishes, tasks: &TaskTracker, stop: &CancellationToken) {
    let clock = wishes.clock.clone();
    let (nudge, wishes) = (wishes.recovery.clone(), wishes.clone());
    let work = move || {
        let wishes = wishes.clone();
        async move { Ok(wishes.recover().await?) }
    };
    runtime::spawn_worker(
        tasks,
        stop.clone(),
        clock,
        EVERY,
        nudge,
        "wish.recovery",
        work,
    );
}

impl Wishes {
    /// Takes the due steps of one community to their end.
    pub(crate) async fn recover(&self) -> Result<Progress, Error> {
        let now = self.clock.now();
        let Some(community) = store::operation::due_community(&self.pool, now).await? else {
            return Ok(Progress::Idle);
        };
        let due = store::operation::claim_due(&self.pool, community, now, now + LEASE).await?;
        if due.is_empty() {
            return Ok(Progress::Idle);
        }
        let mut outcome = Ok(Progress::More);
        for step in due {
            let span = runtime::span_with_parent("wish.recovery", step.traceparent.as_deref());
            let settled = self.settle(community, step.pledge, Deadline::default());
            // What can't be settled keeps nothing else from being settled.
            if let Err(error) = settled.instrument(span).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Takes the pending step of a pledge to its end, if there is one.
    pub(crate) async fn settle(
        &self,
        community: Community,
        pledge: Uuid,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let Some(step) = store::operation::find_pending(&self.pool, community, pledge).await?
        else {
            return Ok(());
        };
        let verdict = match self.ledger.carry_out(&step, deadline).await {
            Ok(verdict) => verdict,
            Err(error) => {
                // The recovery loop need not wait for what is left of the head start.
                store::operation::postpone(&self.pool, step.key, self.clock.now()).await?;
                self.recovery.nudge();
                return Err(error);
            }
        };
        let mut tx = self.pool.begin().await?;
        store::wish::lock(&mut *tx, community, step.wish).await?;
        let entry = match &verdict {
            Verdict::Done(entry) => Some(*entry),
            Verdict::Refused(_) => None,
        };
        if !store::operation::end(&mut *tx, &step, entry).await? {
            // Someone else was first to write the ledger's answer.
            return Ok(tx.rollback().await?);
        }
        match step.key.kind {
            Kind::Hold => self.settle_hold(&mut tx, &step, verdict).await?,
            Kind::Capture => self.settle_capture(&mut tx, &step, verdict).await?,
            Kind::Release => self.settle_release(&mut tx, &step, verdict).await?,
            Kind::Reverse => self.settle_reversal(&mut tx, &step, verdict).await?,
        }
        self.commit(tx, community).await?;
        tracing::debug!(pledge.id = %pledge, "Settled the {:?} of pledge {pledge}", step.key.kind);
        Ok(())
    }

    async fn settle_hold(
        &self,
        conn: &mut PgConnection,
        step: &Step,
        verdict: Verdict,
    ) -> Result<(), Error> {
        let (mut wish, now) = self.open(conn, step.key.community, step.wish).await?;
        let is_open = wish.state == WishState::Published && wish.closes_at >= now;
        let mut pledge = found(conn, step).await?;
        match verdict {
            Verdict::Refused(refusal) => {
                if is_open {
                    wish.pledged -= pledge.quantity;
                    store::wish::update(&mut *conn, &wish).await?;
                }
                store::pledge::delete(&mut *conn, pledge.community, pledge.id).await?;
                let refusal = refusal.into_refusal(pledge.quantity);
                self.answer(conn, step, Err(&refusal)).await
            }
            Verdict::Done(_) => {
                if is_open {
                    pledge.state = PledgeState::Active;
                } else {
                    pledge.end(PledgeState::Lapsed, wish.ended_at.unwrap_or(wish.closes_at));
                    self.give_back(conn, slice::from_ref(&pledge)).await?;
                    self.recovery.nudge();
                }
                store::pledge::update(&mut *conn, &pledge).await?;
                self.answer(conn, step, Ok(&pledge)).await
            }
        }
    }

    pub(crate) async fn settle_capture(
        &self,
        conn: &mut PgConnection,
        step: &Step,
        verdict: Verdict,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let mut wish = read(conn, step).await?;
        let mut pledge = found(conn, step).await?;
        match verdict {
            Verdict::Done(_) => {
                pledge.end(PledgeState::Confirmed, now);
                wish.confirm(pledge.quantity, now);
                let told = NewTelling::of_pledge(&pledge, &step.title);
                self.tell(conn, step.key.community, told).await?;
            }
            Verdict::Refused(ref refusal) => {
                tracing::error!(pledge.id = %pledge.id, "The ledger refused to capture: {refusal:?}");
                let before = pledge.state;
                pledge.end(PledgeState::Lapsed, now);
                wish.lose(&pledge, before);
                if refusal.is_over() {
                    let told = NewTelling::of_return(&pledge, &step.title);
                    self.tell(conn, step.key.community, told).await?;
                } else {
                    // A hold that stands would keep the points for nothing.
                    self.give_back(conn, slice::from_ref(&pledge)).await?;
                    self.recovery.nudge();
                }
            }
        }
        store::pledge::update(&mut *conn, &pledge).await?;
        store::wish::update(&mut *conn, &wish).await?;
        match verdict {
            Verdict::Done(_) => self.answer(conn, step, Ok(&pledge)).await,
            Verdict::Refused(LedgerRefusal { reason, .. }) => {
                let refusal = Refusal::LedgerRefused { reason };
                self.answer(conn, step, Err(&refusal)).await
            }
        }
    }

    /// A hold that has ended by itself is as good as released.
    async fn settle_release(
        &self,
        conn: &mut PgConnection,
        step: &Step,
        verdict: Verdict,
    ) -> Result<(), Error> {
        if let Verdict::Refused(refusal) = verdict
            && !refusal.is_over()
        {
            let pledge = step.key.pledge;
            tracing::error!(pledge.id = %pledge, "The ledger refused to release: {refusal:?}");
            return Ok(());
        }
        let pledge = found(conn, step).await?;
        let told = NewTelling::of_return(&pledge, &step.title);
        self.tell(conn, step.key.community, told).await
    }

    /// Keeps what came of the call that waits for a step.
    pub(crate) async fn answer(
        &self,
        conn: &mut PgConnection,
        step: &Step,
        outcome: Result<&Pledge, &Refusal>,
    ) -> Result<(), Error> {
        let Some(request_id) = step.request_id else {
            return Ok(());
        };
        let answer =
            outcome.map(|pledge| serde_json::to_value(pledge).expect("answers are plain data"));
        let outcome = answer.as_ref().map_err(|refusal| *refusal);
        Ok(store::answer::settle(conn, step.key.community, request_id, outcome).await?)
    }
}

/// The pledge of a step, as it is once the step has ended.
pub(crate) async fn found(conn: &mut PgConnection, step: &Step) -> Result<Pledge, Error> {
    let found = store::pledge::find_one(conn, step.key.community, step.key.pledge).await?;
    found.ok_or_else(|| Error::Broken(format!("no pledge {}", step.key.pledge)))
}

async fn read(conn: &mut PgConnection, step: &Step) -> Result<Wish, Error> {
    let found = store::wish::find_one(conn, step.key.community, step.wish).await?;
    found.ok_or_else(|| Error::Broken(format!("no wish {}", step.wish)))
}
