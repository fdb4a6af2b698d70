//! What makes a call harmless to repeat: it claims its `request_id` first, in the transaction that decides it, and its answer is kept.
//!
//! A refusal undoes all else and is kept alone. A call whose step waits for the ledger is taken to its end by whoever asks next.
//! Malformed calls and failures that may pass are not kept. Calls about redemptions are decided many at a time, by the
//! [`engine`](crate::engine); the others here, each in a transaction of its own.

use runtime::Deadline;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Postgres, Transaction};

use crate::{
    Error, Redemption,
    domain::{Name, News, Refusal},
    store::{self, Answer, Call, Outcome},
};

/// The method kept for an id that was cancelled before its call came.
pub(crate) const CANCELLED: &str = "Cancelled";
/// The methods whose calls can be cancelled by their id.
pub(crate) const CANCELLABLE: [&str; 2] = ["HoldRedemption", "Redeem"];

/// Why a use case ends before its own answer.
pub(crate) enum Stop {
    /// The call's outcome is kept, or its step is on its way.
    Known(Outcome),
    /// It failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Failed(Error::Refused(refusal))
    }
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(Error::Store(error))
    }
}

impl Redemption {
    /// Runs a use case and answers its call, from what is kept when it was made before.
    pub(crate) async fn answered<T>(
        &self,
        call: &Call,
        deadline: Deadline,
        work: impl Future<Output = Result<T, Stop>> + Send,
    ) -> Result<T, Error>
    where
        T: DeserializeOwned + Send,
    {
        let outcome = match work.await {
            Ok(answer) => return Ok(answer),
            Err(Stop::Known(outcome)) => outcome,
            Err(Stop::Failed(Error::Refused(refusal))) => {
                // When a twin was decided in between, its outcome is the call's.
                store::answer_insert_refusal(&self.pool, call, &refusal, self.clock.now()).await?;
                self.outcome(call).await?.ok_or(Error::Conflict)?
            }
            Err(Stop::Failed(error)) => return Err(error),
        };
        self.answer_of(call, outcome, deadline).await
    }

    /// The answer of a call whose outcome is kept; a step that is under way is taken to its end.
    pub(crate) async fn answer_of<T: DeserializeOwned>(
        &self,
        call: &Call,
        outcome: Outcome,
        deadline: Deadline,
    ) -> Result<T, Error> {
        let outcome = match outcome {
            Outcome::Pending => {
                let operation = Name {
                    community: call.community,
                    id: call.request_id,
                };
                self.settle(operation, deadline).await?;
                self.outcome(call).await?.ok_or(Error::Conflict)?
            }
            known => known,
        };
        match outcome {
            Outcome::Done(answer) => serde_json::from_slice(&answer)
                .map_err(|error| Error::Broken(format!("a kept answer: {error}"))),
            Outcome::Refused(refusal) => Err(Error::Refused(refusal)),
            Outcome::Pending => Err(Error::Conflict),
        }
    }

    /// Begins a transaction that has claimed the call's id.
    pub(crate) async fn begin(&self, call: &Call) -> Result<Transaction<'static, Postgres>, Stop> {
        let tx = self.pool.begin().await?;
        self.claimed(tx, call).await
    }

    /// The same of a transaction that has begun.
    pub(crate) async fn claimed(
        &self,
        mut tx: Transaction<'static, Postgres>,
        call: &Call,
    ) -> Result<Transaction<'static, Postgres>, Stop> {
        if store::answer_claim(&mut tx, call, self.clock.now()).await? {
            return Ok(tx);
        }
        let answer = store::answer_find(&mut *tx, call.community, call.request_id).await?;
        let outcome = same_call(call, answer.ok_or(Error::Conflict)?)?;
        Err(Stop::Known(outcome))
    }

    /// Keeps the answer and commits, with what the call made happen.
    pub(crate) async fn finish<T: Serialize>(
        &self,
        mut tx: Transaction<'static, Postgres>,
        call: &Call,
        answer: T,
        news: News,
    ) -> Result<T, Stop> {
        let json = serde_json::to_vec(&answer)
            .map_err(|error| Error::Broken(format!("an answer to keep: {error}")))?;
        store::answer_set(&mut tx, call.community, call.request_id, &json).await?;
        self.commit(tx, call.community, &news).await?;
        Ok(answer)
    }

    /// Stops when the call's outcome is kept: before it asks other services for what it then would not need.
    pub(crate) async fn stop_if_known(&self, call: &Call) -> Result<(), Stop> {
        match self.outcome(call).await? {
            Some(outcome) => Err(Stop::Known(outcome)),
            None => Ok(()),
        }
    }

    /// What is kept of a call.
    pub(crate) async fn outcome(&self, call: &Call) -> Result<Option<Outcome>, Error> {
        let answer = store::answer_find(&self.pool, call.community, call.request_id).await?;
        let outcome = answer.map(|answer| same_call(call, answer)).transpose();
        Ok(outcome?)
    }
}

/// The outcome of a call, when what is kept under its id is of the same call.
pub(crate) fn same_call(call: &Call, answer: Answer) -> Result<Outcome, Refusal> {
    let request_id = call.request_id;
    if answer.method == CANCELLED && CANCELLABLE.contains(&call.method) {
        return Err(Refusal::Cancelled { request_id });
    }
    if answer.method != call.method || answer.fingerprint != call.fingerprint {
        return Err(Refusal::RequestIdReused { request_id });
    }
    Ok(answer.outcome)
}
