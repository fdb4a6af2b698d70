//! What happens to a redemption after it was made: capture, release, reversal, cancellation; and how it is read.

use chrono::{DateTime, Utc};
use runtime::{Actor, Deadline};
use uuid::Uuid;

use crate::{
    Error, Redemption,
    call::{CANCELLABLE, CANCELLED, Stop},
    domain::{self, Kind, Name, Operation, Refusal, Resource},
    settle::HEAD_START,
    store::{self, Call, ListFilter, Outcome, Page},
};

/// How often a call looks again after a step that another had under way.
const ROUNDS: usize = 5;

/// A step, and who asks for it why.
struct Step {
    kind: Kind,
    operator: String,
    reason: String,
}

impl Step {
    fn plain(kind: Kind) -> Self {
        Self {
            kind,
            operator: String::new(),
            reason: String::new(),
        }
    }
}

/// Why a redemption is reversed, and who does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    /// How many to give back; missing: all that is left.
    pub quantity: Option<i64>,
    /// Why.
    pub reason: String,
    /// Who does it.
    pub operator: String,
}

impl Redemption {
    /// Spends what is held, or a part of it.
    pub async fn capture_redemption(
        &self,
        call: Call,
        name: Name,
        quantity: Option<i64>,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        let step = Step::plain(Kind::Capture);
        self.take_step(call, name, step, deadline, |held, now| {
            held.capture(quantity, now)
        })
        .await
    }

    /// Gives a hold back.
    pub async fn release_redemption(
        &self,
        call: Call,
        name: Name,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        let step = Step::plain(Kind::Release);
        self.take_step(call, name, step, deadline, |held, now| held.release(now))
            .await
    }

    /// Gives back what was captured, or a part of it.
    pub async fn reverse_redemption(
        &self,
        call: Call,
        name: Name,
        reversal: Reversal,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        let quantity = reversal.quantity;
        let step = Step {
            kind: Kind::Reverse,
            operator: reversal.operator,
            reason: reversal.reason,
        };
        self.take_step(call, name, step, deadline, |captured, now| {
            captured.reverse(quantity, now)
        })
        .await
    }

    async fn take_step(
        &self,
        call: Call,
        name: Name,
        step: Step,
        deadline: Deadline,
        decide: impl Fn(&domain::Redemption, DateTime<Utc>) -> Result<i64, Refusal> + Send + Sync,
    ) -> Result<domain::Redemption, Error> {
        self.answered(&call, deadline, async {
            for _ in 0..ROUNDS {
                let mut tx = self.begin(&call).await?;
                let redemption = store::redemption_lock(&mut tx, name)
                    .await?
                    .ok_or(not_found(name))?;
                if let Some(id) = store::operation_pending_of(&mut *tx, name).await? {
                    tx.rollback().await?;
                    self.settle(Name { id, ..name }, deadline).await?;
                    continue;
                }
                let now = self.clock.now();
                let quantity = decide(&redemption, now)?;
                let operation = operation_of(&redemption, call.request_id, &step, quantity, now);
                store::operation_insert(&mut tx, &operation).await?;
                tx.commit().await?;
                return Err(Stop::Known(Outcome::Pending));
            }
            Err(Error::Conflict.into())
        })
        .await
    }

    /// Undoes what a call of HoldRedemption or Redeem did; when it has done nothing yet, makes sure that it never will.
    pub async fn cancel_redemption_by_request_id(
        &self,
        name: Name,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Option<domain::Redemption>, Error> {
        if self.cancel_call(name, by.clone()).await? {
            return Ok(None);
        }
        for _ in 0..ROUNDS {
            let mut tx = self.pool.begin().await?;
            // It is gone when the ledger refused it.
            let Some(redemption) = store::redemption_lock(&mut tx, name).await? else {
                return Ok(None);
            };
            if let Some(id) = store::operation_pending_of(&mut *tx, name).await? {
                tx.rollback().await?;
                self.settle(Name { id, ..name }, deadline).await?;
                continue;
            }
            let now = self.clock.now();
            let Some((kind, quantity)) = redemption.undo(now)? else {
                return Ok(Some(redemption));
            };
            let step = Step {
                reason: "cancelled by its request_id".into(),
                ..Step::plain(kind)
            };
            // The ledger gives one answer for ever under one id, so another try needs another.
            let tries = store::operation_refused_count(&mut *tx, name).await?;
            let id = Uuid::new_v5(&name.id, format!("cancel/{tries}").as_bytes());
            let operation = operation_of(&redemption, id, &step, quantity, now);
            store::operation_insert(&mut tx, &operation).await?;
            // The step has an answer of its own, so it is known who asked for it.
            let asked = Call {
                request_id: id,
                ..cancelling(name, by.clone())
            };
            store::answer_claim(&mut tx, &asked, now).await?;
            tx.commit().await?;
            if let Some(refusal) = self.settle(Name { id, ..name }, deadline).await? {
                return Err(refusal.into());
            }
        }
        Err(Error::Conflict)
    }

    /// Claims the id of a call that has not come, for ever. True when there is nothing to undo.
    async fn cancel_call(&self, name: Name, by: Actor) -> Result<bool, Error> {
        let call = cancelling(name, by);
        let mut tx = self.pool.begin().await?;
        if store::answer_claim(&mut tx, &call, self.clock.now()).await? {
            tx.commit().await?;
            return Ok(true);
        }
        let answer = store::answer_find(&mut *tx, name.community, name.id)
            .await?
            .ok_or(Error::Conflict)?;
        if answer.method == CANCELLED || matches!(answer.outcome, Outcome::Refused(_)) {
            return Ok(true);
        }
        if !CANCELLABLE.contains(&answer.method.as_str()) {
            let request_id = name.id;
            return Err(Refusal::RequestIdReused { request_id }.into());
        }
        Ok(false)
    }

    /// Returns a redemption.
    pub async fn get_redemption(&self, name: Name) -> Result<domain::Redemption, Error> {
        let found = self.find_redemption(name).await?;
        found.ok_or(not_found(name))
    }

    /// Returns a redemption, if it is there.
    pub async fn find_redemption(&self, name: Name) -> Result<Option<domain::Redemption>, Error> {
        Ok(store::redemption_find(&self.pool, name).await?)
    }

    /// Lists redemptions, newest first.
    pub async fn list_redemptions(
        &self,
        filter: ListFilter,
        page: Page<(DateTime<Utc>, Uuid)>,
    ) -> Result<Vec<domain::Redemption>, Error> {
        Ok(store::redemption_list(&self.pool, filter, page).await?)
    }
}

/// The call that cancels another one.
fn cancelling(name: Name, by: Actor) -> Call {
    Call {
        community: name.community,
        request_id: name.id,
        method: CANCELLED,
        fingerprint: Vec::new(),
        by,
        resource: format!("communities/{}/redemptions/{}", name.community, name.id),
    }
}

fn operation_of(
    redemption: &domain::Redemption,
    id: Uuid,
    step: &Step,
    quantity: i64,
    now: DateTime<Utc>,
) -> Operation {
    Operation {
        community: redemption.community,
        id,
        redemption: redemption.id,
        kind: step.kind,
        quantity,
        operator: step.operator.clone(),
        reason: step.reason.clone(),
        traceparent: runtime::current_traceparent(),
        due_at: now + HEAD_START,
        created_at: now,
    }
}

fn not_found(name: Name) -> Error {
    Error::Refused(Refusal::NotFound {
        resource: Resource::Redemption,
        id: name.id,
    })
}
