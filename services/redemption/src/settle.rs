//! The way of a step from its decision to its end: the ledger is asked, and its answer is written with all that follows from it.
//!
//! Any number may take the same step to its end at once, a repeated call and the recovery loop too: the ledger does it once, and
//! only the first to write its answer does so.

use runtime::Deadline;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Redemption,
    domain::{self, Begun, Book, Name, OfflineUse, Settled},
    engine::{Ask, Decision, Wish},
    store::{self, Call, Needs},
};

/// How often a call looks again after a step that another had under way.
pub(crate) const ROUNDS: usize = 5;

impl Redemption {
    /// Takes a call to its answer: it is decided, the ledger is asked, and its answer is written.
    pub(crate) async fn ask(
        &self,
        call: Call,
        wish: Wish,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        let ask = Ask {
            call,
            wish,
            traceparent: runtime::current_traceparent(),
        };
        for _ in 0..ROUNDS {
            match self.engine.decide(ask.clone(), deadline).await? {
                Decision::Known(outcome) => {
                    return self.answer_of(&ask.call, outcome, deadline).await;
                }
                Decision::Busy(id) => {
                    let community = ask.call.community;
                    self.settle(Name { community, id }, deadline).await?;
                }
                Decision::Begun(step) => match self.carry_out(step, deadline).await? {
                    Some(settled) => return Ok(settled.answer().cloned().map_err(Clone::clone)?),
                    // Someone else was first to write the ledger's answer.
                    None => {
                        let outcome = self.outcome(&ask.call).await?.ok_or(Error::Conflict)?;
                        return self.answer_of(&ask.call, outcome, deadline).await;
                    }
                },
            }
        }
        Err(Error::Conflict)
    }

    /// Takes a step to its end, wherever it was left; nothing when it had ended before.
    pub(crate) async fn settle(
        &self,
        name: Name,
        deadline: Deadline,
    ) -> Result<Option<Settled>, Error> {
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
        let step = Begun {
            operation,
            redemption,
        };
        self.carry_out(step, deadline).await
    }

    /// Asks the ledger, and writes what its answer leads to; nothing when the step has ended meanwhile. While a step is under way
    /// nothing else changes its redemption.
    pub(crate) async fn carry_out(
        &self,
        step: Begun,
        deadline: Deadline,
    ) -> Result<Option<Settled>, Error> {
        let Begun {
            operation,
            redemption,
        } = &step;
        let (kind, id) = (operation.kind.as_str(), redemption.id);
        let verdict = self.ledger.carry_out(operation, redemption, deadline).await;
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => {
                // The recovery loop need not wait for what is left of the head start.
                let name = Name {
                    community: operation.community,
                    id: operation.id,
                };
                store::operation_release(&self.pool, name, self.clock.now()).await?;
                self.recovery.nudge();
                return Err(error);
            }
        };
        let offline = redemption.offline;
        let community = redemption.community;
        let settled = self.engine.settle(step, verdict).await?;
        match settled.as_ref().map(Settled::answer) {
            None => {}
            Some(Ok(redemption)) => {
                self.owners.keep_redemption(redemption);
                tracing::debug!(redemption.id = %id, "Settled the {kind} of redemption {id}");
            }
            Some(Err(refusal)) => {
                if let Some(OfflineUse { code, .. }) = offline {
                    let code = Name {
                        community,
                        id: code,
                    };
                    store::offline_code_unuse(&self.pool, code, id).await?;
                }
                tracing::debug!(redemption.id = %id, "Refused the {kind} of redemption {id}: {refusal:?}");
            }
        }
        Ok(settled)
    }

    /// Locks and reads what is needed, for a decision at this moment.
    pub(crate) async fn open(
        &self,
        conn: &mut PgConnection,
        community: Uuid,
        needs: &Needs,
    ) -> sqlx::Result<Book> {
        let locked = store::lock(conn, community, needs).await?;
        store::load(conn, (community, self.clock.now()), needs, locked).await
    }
}
