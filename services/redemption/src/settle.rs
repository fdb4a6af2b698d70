//! The way of a step from its decision to its end: the ledger is asked, and its answer is written with all that follows from it.
//!
//! Any number may take the same step to its end at once, a repeated call and the recovery loop too: the ledger does it once, and
//! only the first to write its answer does so.

use chrono::TimeDelta;
use runtime::Deadline;
use sqlx::PgConnection;

use crate::{
    Error, Redemption,
    call::answer_keep,
    domain::{self, Kind, Name, Operation, Refusal, Settled, Verdict},
    store::{self, Transition},
};

/// For how long the call that decided a step has it to itself.
pub(crate) const HEAD_START: TimeDelta = TimeDelta::seconds(5);

impl Redemption {
    /// Takes a step to its end and returns why it was refused, if it was; nothing when it had ended before.
    pub(crate) async fn settle(
        &self,
        name: Name,
        deadline: Deadline,
    ) -> Result<Option<Refusal>, Error> {
        let Some(operation) = store::operation_find_pending(&self.pool, name).await? else {
            return Ok(None);
        };
        let redemption = Name {
            community: name.community,
            id: operation.redemption,
        };
        let Some(redemption) = store::redemption_find(&self.pool, redemption).await? else {
            return Ok(None);
        };
        let verdict = self
            .ledger
            .carry_out(&operation, &redemption, deadline)
            .await;
        match verdict {
            Ok(verdict) => self.write_verdict(&operation, redemption, &verdict).await,
            Err(error) => {
                // The recovery loop need not wait for what is left of the head start.
                store::operation_release(&self.pool, name, self.clock.now()).await?;
                self.recovery.nudge();
                Err(error)
            }
        }
    }

    /// Writes what the ledger's answer leads to. While a step is pending nothing else changes its redemption, so the one read before
    /// is as it was, unless the step has ended.
    pub(crate) async fn write_verdict(
        &self,
        operation: &Operation,
        redemption: domain::Redemption,
        verdict: &Verdict,
    ) -> Result<Option<Refusal>, Error> {
        let settled = redemption.clone().settle(operation, verdict);
        let mut tx = self.pool.begin().await?;
        // Locked in the order of all transactions; the first to end the step writes, the others have nothing to write.
        let offer = Name {
            community: redemption.community,
            id: redemption.offer,
        };
        if settled.stock_back > 0 {
            store::offer_lock(&mut tx, offer).await?;
        }
        let name = Name {
            community: redemption.community,
            id: redemption.id,
        };
        store::redemption_lock(&mut tx, name).await?;
        let entry = match verdict {
            Verdict::Done(receipt) => Some(receipt.entry),
            Verdict::Refused(_) => None,
        };
        let name = Name {
            community: operation.community,
            id: operation.id,
        };
        if !store::operation_settle(&mut tx, name, entry).await? {
            tx.rollback().await?;
            return Ok(None);
        }
        if settled.stock_back > 0 {
            store::offer_add_stock(&mut tx, offer, settled.stock_back).await?;
        }
        self.write_settled(&mut tx, operation, &redemption, &settled)
            .await?;
        tx.commit().await?;
        let kind = operation.kind.as_str();
        let id = redemption.id;
        match &settled.refusal {
            None => tracing::debug!(redemption.id = %id, "Settled the {kind} of redemption {id}"),
            Some(refusal) => {
                tracing::debug!(redemption.id = %id, "Refused the {kind} of redemption {id}: {refusal:?}");
            }
        }
        Ok(settled.refusal)
    }

    async fn write_settled(
        &self,
        conn: &mut PgConnection,
        operation: &Operation,
        before: &domain::Redemption,
        settled: &Settled,
    ) -> Result<(), Error> {
        let (community, request_id) = (operation.community, operation.id);
        match &settled.redemption {
            Some(after) => {
                if after != before {
                    let transition = Transition {
                        operation,
                        from: before.state,
                        to: after.state,
                        at: self.clock.now(),
                    };
                    store::redemption_update(conn, after).await?;
                    store::transition_insert(conn, transition).await?;
                }
            }
            None => {
                let redemption = Name {
                    community,
                    id: before.id,
                };
                store::operation_delete(
                    conn,
                    Name {
                        community,
                        id: request_id,
                    },
                )
                .await?;
                if let Some(offline) = before.offline {
                    let code = Name {
                        community,
                        id: offline.code,
                    };
                    store::offline_code_unuse(conn, code).await?;
                }
                store::redemption_delete(conn, redemption).await?;
            }
        }
        match (&settled.refusal, &settled.redemption) {
            (Some(refusal), _) => {
                Ok(store::answer_set_refusal(conn, community, request_id, refusal).await?)
            }
            (None, Some(after)) => answer_keep(conn, community, request_id, after).await,
            (None, None) => Err(Error::Broken(
                "a redemption undone without a refusal".into(),
            )),
        }
    }

    /// Ends the holds of an offer that have run out and gives their stock back; returns how many came back. The caller has locked the
    /// offer and commits; the ledger lets go of the points soon after.
    pub(crate) async fn expire_holds(
        &self,
        conn: &mut PgConnection,
        offer: Name,
    ) -> Result<i64, Error> {
        let now = self.clock.now();
        let mut stock_back = 0;
        for held in store::redemption_expired_lock(conn, offer, now).await? {
            let operation = Operation {
                community: held.community,
                id: uuid::Uuid::new_v5(&held.id, b"expire"),
                redemption: held.id,
                kind: Kind::Expire,
                quantity: held.quantity,
                operator: String::new(),
                reason: "the hold's time is over".into(),
                traceparent: runtime::current_traceparent(),
                due_at: now,
                created_at: now,
            };
            // A capture or release of it is under way: that decides.
            if !store::operation_insert(conn, &operation).await? {
                continue;
            }
            let from = held.state;
            let expired = held.expire();
            let transition = Transition {
                operation: &operation,
                from,
                to: expired.state,
                at: now,
            };
            store::redemption_update(conn, &expired).await?;
            store::transition_insert(conn, transition).await?;
            stock_back += expired.quantity;
        }
        if stock_back > 0 {
            store::offer_add_stock(conn, offer, stock_back).await?;
        }
        Ok(stock_back)
    }
}
