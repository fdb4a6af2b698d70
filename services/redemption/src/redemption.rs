//! What happens to a redemption after it was made: capture, release, reversal, cancellation; and how it is read.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use runtime::{Actor, Deadline};
use uuid::Uuid;

use crate::{
    Error, Redemption,
    call::{CANCELLABLE, CANCELLED},
    domain::{self, Cause, Name, Refusal, Resource, Reversal, Step, Undoing},
    engine::Wish,
    settle::ROUNDS,
    store::{self, Call, ListFilter, Needs, Outcome, Page},
};

impl Redemption {
    /// Spends what is held, or a part of it.
    pub async fn capture_redemption(
        &self,
        call: Call,
        name: Name,
        quantity: Option<i64>,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        let wish = Wish::Step(name.id, Step::Capture(quantity));
        self.ask(call, wish, deadline).await
    }

    /// Gives a hold back.
    pub async fn release_redemption(
        &self,
        call: Call,
        name: Name,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        let wish = Wish::Step(name.id, Step::Release);
        self.ask(call, wish, deadline).await
    }

    /// Gives back what was captured, or a part of it.
    pub async fn reverse_redemption(
        &self,
        call: Call,
        name: Name,
        reversal: Reversal,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        let wish = Wish::Step(name.id, Step::Reverse(reversal));
        self.ask(call, wish, deadline).await
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
            match self.undo(name, &by).await? {
                Undoing::Gone => return Ok(None),
                Undoing::Undone(redemption) => return Ok(Some(redemption)),
                Undoing::Busy(id) => {
                    self.settle(Name { id, ..name }, deadline).await?;
                }
                Undoing::Begun(step) => {
                    let settled = self.carry_out(step, deadline).await?;
                    if let Some(refusal) = settled.and_then(|settled| settled.refusal) {
                        return Err(refusal.into());
                    }
                }
            }
        }
        Err(Error::Conflict)
    }

    /// Begins the step that undoes a redemption.
    async fn undo(&self, name: Name, by: &Actor) -> Result<Undoing, Error> {
        let needs = Needs {
            redemptions: BTreeSet::from([name.id]),
            ..Needs::default()
        };
        let mut tx = runtime::begin_by_key(&self.pool).await?;
        let mut book = self.open(&mut tx, name.community, &needs).await?;
        // The ledger gives one answer for ever under one id, so another try needs another; and no caller can have chosen it.
        let cause = Cause {
            id: self.ids.next(),
            traceparent: runtime::current_traceparent(),
        };
        let undoing = book.undo(&cause, name.id)?;
        if let Undoing::Begun(_) = undoing {
            store::write(&mut tx, &book).await?;
            // The step has an answer of its own, so it is known who asked for it.
            let asked = Call {
                request_id: cause.id,
                ..cancelling(name, by.clone())
            };
            store::answer_claim(&mut tx, &asked, book.now).await?;
            tx.commit().await?;
        }
        Ok(undoing)
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

fn not_found(name: Name) -> Error {
    Error::Refused(Refusal::NotFound {
        resource: Resource::Redemption,
        id: name.id,
    })
}
