//! The relay: tells the ledger what was decided, and writes down what became of it.
//!
//! It claims due outbox rows by a lease, asks the ledger outside any transaction, and writes the results. Every question
//! goes by the grant's own id, so a lost answer, a dead process or a second relay at work changes nothing.
//!
//! What the ledger may say to a posting:
//! - an entry: the grant is POSTED;
//! - its own limit refuses (LIMIT_EXCEEDED, INSUFFICIENT_POINTS on the issuing account): the grant waits for budget after
//!   all, and the programme's sums are corrected. It is tried again ever more rarely, each time under a new id;
//! - LOT_EXPIRED: the ledger was away until the grant had expired. The points never came to be and could not be spent any
//!   more; they are not posted without an expiry. The grant is REVOKED with its whole amount, which frees the budget, so
//!   that the programme's sum and the issuing account agree;
//! - anything else is our bug: it is logged as an error, and the row stays and is tried again ever more rarely.
//!
//! When the ledger does not answer, the rows are due again at once, and the loop itself waits longer and longer.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use proto::ledger::v1::transfer_verdict::Verdict;
use runtime::Progress;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Activity,
    domain::{
        Community,
        event::NewEvent,
        grant::{Grant, GrantState, Step},
        notice::{self, NewNotice},
        programme::{Programme, Totals},
    },
    ledger::{is_transient, pause_after},
    store::{
        self,
        grant::Move,
        outbox::{Claimed, Kind, Lease, Postponed},
    },
};

/// How often it looks for rows without being nudged.
const EVERY: Duration = Duration::from_secs(1);
/// How long a claim keeps others away. Should a batch ever take longer, another relay asks the same and is told the same.
const LEASE: TimeDelta = TimeDelta::seconds(20);
const COMMUNITIES: i64 = 16;
const ROWS: i64 = 100;

/// Starts the loop.
pub(crate) fn spawn(activity: Activity, tasks: &TaskTracker, stop: CancellationToken) {
    let (clock, nudge) = (activity.clock.clone(), activity.relay.clone());
    runtime::spawn_worker(
        tasks,
        stop,
        clock,
        EVERY,
        nudge,
        "activity-relay",
        move || {
            let activity = activity.clone();
            async move { activity.relay().await }
        },
    );
}

/// A claimed row with its grant.
pub(crate) struct Delivery {
    pub(crate) row: Claimed,
    pub(crate) grant: Grant,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Posted {
        entry: i64,
    },
    OverLimit,
    TooLate,
    TakenBack {
        amount: i64,
    },
    /// The grant has moved on; there is nothing to tell.
    Nothing,
    /// The ledger refused what it never should.
    Refused(String),
    /// The ledger did not answer.
    Unanswered(String),
}

impl Activity {
    /// Delivers one batch of each community with work.
    pub(crate) async fn relay(&self) -> anyhow::Result<Progress> {
        let now = self.clock.now();
        let mut progress = Progress::Idle;
        for community in store::outbox::communities_due(&self.pool, now, COMMUNITIES).await? {
            let deliveries = self.claim(community).await?;
            if deliveries.is_empty() {
                continue;
            }
            progress = Progress::More;
            let outcomes = self.deliver(community, &deliveries).await;
            self.write_down(community, &deliveries, &outcomes).await?;
            if let Some(why) = outcomes.iter().find_map(unanswered) {
                anyhow::bail!("the ledger does not answer, grants stay in the outbox: {why}");
            }
        }
        Ok(progress)
    }

    pub(crate) async fn claim(&self, community: Community) -> anyhow::Result<Vec<Delivery>> {
        let now = self.clock.now();
        let lease = Lease {
            now,
            until: now + LEASE,
            limit: ROWS,
        };
        let rows = store::outbox::claim(&self.pool, community, lease).await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.grant_id).collect();
        let grants = store::grant::find_many(&self.pool, community, &ids).await?;
        rows.into_iter()
            .map(|row| {
                let grant = grants
                    .iter()
                    .find(|grant| grant.id == row.grant_id)
                    .cloned();
                let grant =
                    grant.with_context(|| format!("no grant for outbox row {}", row.sequence))?;
                Ok(Delivery { row, grant })
            })
            .collect()
    }

    /// Asks the ledger, each question inside the trace of the call that wrote its row. Once it does not answer, the rest
    /// of the batch is not asked.
    async fn deliver(&self, community: Community, deliveries: &[Delivery]) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(deliveries.len());
        let mut away: Option<Outcome> = None;
        for delivery in deliveries {
            let outcome = if away.is_some() {
                away.clone()
            } else {
                let traceparent = delivery.row.traceparent.as_deref();
                let span = runtime::span_with_parent("activity.relay", traceparent);
                self.prepare(delivery).instrument(span).await
            };
            if let Some(Outcome::Unanswered(_)) = outcome {
                away = outcome.clone();
            }
            outcomes.push(outcome);
        }
        let ready = deliveries
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| outcome.is_none());
        let ready: Vec<&Delivery> = ready.map(|(delivery, _)| delivery).collect();
        let posted = match away {
            Some(away) => vec![away; ready.len()],
            None => self.post(community, &ready).await,
        };
        let mut posted = posted.into_iter();
        outcomes
            .into_iter()
            .map(|outcome| {
                outcome
                    .or_else(|| posted.next())
                    .expect("one outcome for each delivery")
            })
            .collect()
    }

    /// Does everything for a row but the posting itself; `None` when that is still to do.
    async fn prepare(&self, delivery: &Delivery) -> Option<Outcome> {
        let grant = &delivery.grant;
        match (delivery.row.kind, grant.state, grant.entry_sequence) {
            (Kind::Post, GrantState::Pending | GrantState::Revoking, None) => {
                self.ensure_account(grant).await.err()
            }
            (Kind::Revoke, GrantState::Revoking, Some(entry)) => {
                Some(match self.reverse_grant(grant, entry).await {
                    Ok(amount) => Outcome::TakenBack { amount },
                    Err(status) => failure(&status),
                })
            }
            (Kind::Post | Kind::Revoke, _, _) => Some(Outcome::Nothing),
        }
    }

    async fn ensure_account(&self, grant: &Grant) -> Result<(), Outcome> {
        if self.has_account(grant) {
            return Ok(());
        }
        let programme = store::programme::find(&self.pool, grant.community, grant.programme)
            .await
            .map_err(|error| Outcome::Unanswered(error.to_string()))?
            .ok_or_else(|| Outcome::Refused(format!("programme {} not found", grant.programme)))?;
        self.open_member(&programme, grant.member)
            .await
            .map_err(|status| failure(&status))
    }

    /// Posts what is ready. A batch is one call, so it is in one trace: that of its first grant.
    async fn post(&self, community: Community, ready: &[&Delivery]) -> Vec<Outcome> {
        let Some(first) = ready.first() else {
            return Vec::new();
        };
        let span = runtime::span_with_parent("activity.relay", first.row.traceparent.as_deref());
        let grants: Vec<&Grant> = ready.iter().map(|delivery| &delivery.grant).collect();
        match self.post_grants(community, &grants).instrument(span).await {
            Ok(verdicts) => verdicts
                .into_iter()
                .map(|verdict| outcome(verdict.verdict))
                .collect(),
            // One malformed transfer fails the whole call: each is asked about alone, so that it holds up no other.
            Err(status) if !is_transient(&status) && ready.len() > 1 => {
                let mut outcomes = Vec::with_capacity(ready.len());
                for delivery in ready {
                    outcomes.extend(Box::pin(self.post(community, &[delivery])).await);
                }
                outcomes
            }
            Err(status) => vec![failure(&status); ready.len()],
        }
    }

    /// Writes a batch's results in one transaction, under locks in the order of all calls.
    pub(crate) async fn write_down(
        &self,
        community: Community,
        deliveries: &[Delivery],
        outcomes: &[Outcome],
    ) -> anyhow::Result<()> {
        let now = self.clock.now();
        let mut tx = self.pool.begin().await?;
        let mut programmes: BTreeMap<Uuid, Totals> = BTreeMap::new();
        for (delivery, outcome) in deliveries.iter().zip(outcomes) {
            let id = delivery.grant.programme;
            if changes_sums(outcome) {
                programmes.entry(id).or_default();
            }
        }
        let mut known: BTreeMap<Uuid, Programme> = BTreeMap::new();
        for (id, totals) in &mut programmes {
            let locked = store::programme::lock(&mut *tx, community, *id).await?;
            *totals = locked.with_context(|| format!("no programme {id}"))?;
            let found = store::programme::find(&mut *tx, community, *id).await?;
            known.extend(found.map(|programme| (*id, programme)));
        }
        let ids: Vec<Uuid> = deliveries
            .iter()
            .map(|delivery| delivery.grant.id)
            .collect();
        store::grant::lock(&mut *tx, community, &ids).await?;
        let grants = store::grant::find_many(&mut *tx, community, &ids).await?;
        let mut moves: Vec<Move> = Vec::new();
        let (mut refused, mut events, mut notices) = (Vec::new(), Vec::new(), Vec::new());
        for grant in &grants {
            // A late word about a posting that was refused says nothing about the one after it.
            let told = deliveries.iter().zip(outcomes).find(|(delivery, _)| {
                delivery.grant.id == grant.id && delivery.grant.posting == grant.posting
            });
            let Some(made) = told.and_then(|(_, outcome)| step(grant, outcome)) else {
                continue;
            };
            if let Some(totals) = programmes.get_mut(&grant.programme) {
                totals.granted -= made.step.granted_less;
                totals.awaiting -= made.step.awaiting_less;
            }
            if made.step.state == GrantState::AwaitingBudget {
                refused.push((grant.id, now + pause_after(grant.posting + 1)));
            }
            if let Some(programme) = known.get(&grant.programme) {
                let content = notice::of_revocation(grant, &made.step, programme);
                notices.extend(content.map(|content| NewNotice {
                    id: self.ids.next(),
                    member: grant.member,
                    content,
                }));
            }
            events.push(NewEvent::of_grant(grant.id, grant.member, made.step.state));
            moves.push(made);
        }
        store::grant::set_steps(&mut *tx, community, &moves).await?;
        store::event::insert(&mut tx, community, &events).await?;
        store::notice::insert(&mut tx, community, &notices, now).await?;
        store::waiting::set_refused(&mut *tx, community, &refused).await?;
        for (id, totals) in &programmes {
            store::programme::set_totals(&mut *tx, community, *id, totals).await?;
        }
        let (mut settled, mut postponed) = (Vec::new(), Vec::new());
        for (delivery, outcome) in deliveries.iter().zip(outcomes) {
            log(&delivery.grant, outcome);
            match postponement(&delivery.row, outcome, now) {
                Some(late) => postponed.push(late),
                None => settled.push(delivery.row.sequence),
            }
        }
        store::outbox::settle(&mut *tx, community, &settled, now).await?;
        store::outbox::postpone(&mut *tx, community, &postponed).await?;
        self.commit(tx, community).await?;
        if !programmes.is_empty() {
            self.budget.nudge();
        }
        Ok(())
    }
}

/// When a row that is not settled is due again.
fn postponement(row: &Claimed, outcome: &Outcome, now: DateTime<Utc>) -> Option<Postponed> {
    let (wait, error) = match outcome {
        Outcome::Refused(error) => (pause_after(row.attempts), error),
        Outcome::Unanswered(error) => (TimeDelta::zero(), error),
        Outcome::Posted { .. }
        | Outcome::OverLimit
        | Outcome::TooLate
        | Outcome::TakenBack { .. }
        | Outcome::Nothing => return None,
    };
    Some(Postponed {
        sequence: row.sequence,
        due_at: now + wait,
        error: error.clone(),
    })
}

/// Tells the operator what is out of the ordinary. A ledger that does not answer is told by the loop, once for all.
fn log(grant: &Grant, outcome: &Outcome) {
    let id = grant.id;
    match outcome {
        Outcome::Posted { entry } => {
            tracing::debug!(grant.id = %id, "Posted grant {id} as entry {entry}")
        }
        Outcome::TakenBack { amount } => {
            tracing::debug!(grant.id = %id, "Took back {amount} of grant {id}");
        }
        Outcome::OverLimit => {
            tracing::warn!(grant.id = %id, "Grant {id} waits for budget: the ledger's limit refused it");
        }
        Outcome::TooLate => {
            tracing::warn!(grant.id = %id, "Revoked grant {id}: it expired before the ledger could be told");
        }
        Outcome::Refused(error) => {
            tracing::error!(grant.id = %id, "The ledger refused grant {id}: {error}");
        }
        Outcome::Nothing | Outcome::Unanswered(_) => {}
    }
}

/// What the ledger's verdict on a posting means.
fn outcome(verdict: Option<Verdict>) -> Outcome {
    match verdict {
        Some(Verdict::Entry(entry)) => Outcome::Posted {
            entry: entry.sequence,
        },
        Some(Verdict::Refusal(refusal)) => match refusal.reason.as_str() {
            "LIMIT_EXCEEDED" | "INSUFFICIENT_POINTS" => Outcome::OverLimit,
            "LOT_EXPIRED" => Outcome::TooLate,
            reason => Outcome::Refused(format!("{reason}: {}", refusal.message)),
        },
        None => Outcome::Refused("the ledger gave no verdict".to_owned()),
    }
}

fn failure(status: &Status) -> Outcome {
    let text = format!("{:?}: {}", status.code(), status.message());
    if is_transient(status) {
        Outcome::Unanswered(text)
    } else {
        Outcome::Refused(text)
    }
}

fn unanswered(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Unanswered(why) => Some(why),
        Outcome::Posted { .. }
        | Outcome::OverLimit
        | Outcome::TooLate
        | Outcome::TakenBack { .. }
        | Outcome::Nothing
        | Outcome::Refused(_) => None,
    }
}

fn changes_sums(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::OverLimit | Outcome::TooLate | Outcome::TakenBack { .. } => true,
        Outcome::Posted { .. }
        | Outcome::Nothing
        | Outcome::Refused(_)
        | Outcome::Unanswered(_) => false,
    }
}

/// What an outcome does to a grant as it stands now, under its lock.
fn step(grant: &Grant, outcome: &Outcome) -> Option<Move> {
    let (step, entry): (Option<Step>, Option<i64>) = match outcome {
        Outcome::Posted { entry } => (grant.posted(), Some(*entry)),
        Outcome::OverLimit => (grant.over_limit(), None),
        Outcome::TooLate => (grant.too_late(), None),
        Outcome::TakenBack { amount } => (grant.taken_back(*amount), None),
        Outcome::Nothing | Outcome::Refused(_) | Outcome::Unanswered(_) => (None, None),
    };
    step.map(|step| Move {
        grant: grant.id,
        step,
        entry,
    })
}
