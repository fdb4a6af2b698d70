//! Mutating calls that are harmless to repeat. The first call with a request id claims it, works and leaves its answer in
//! one transaction; a twin waits for that and gets the same answer. A refusal takes back everything and is kept alone.
//! What is malformed or fails in passing is not kept: the same call may try again.

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Postgres, Transaction};

use crate::{
    Error, Wishes,
    domain::{call::Call, refusal::Refusal},
    store::{self, answer::Kept},
};

/// Whose turn it is.
pub(crate) enum Turn<T> {
    /// This call's: it works in this transaction and hands it to [`Wishes::conclude`].
    First(Transaction<'static, Postgres>),
    /// The call was answered before.
    Again(T),
}

/// What is known of a call.
pub(crate) enum Known<T> {
    /// Its answer.
    Answer(T),
    /// It was decided and waits for the ledger.
    Unsettled,
    /// Nothing: it is new.
    Nothing,
}

impl Wishes {
    /// The answer that a call has already, where nothing waits for the ledger.
    pub(crate) async fn kept<T: DeserializeOwned>(&self, call: &Call) -> Result<Option<T>, Error> {
        match self.known(call).await? {
            Known::Answer(answer) => Ok(Some(answer)),
            Known::Unsettled => Err(Error::Unsettled),
            Known::Nothing => Ok(None),
        }
    }

    /// Begins a mutating call.
    pub(crate) async fn turn<T: DeserializeOwned>(&self, call: &Call) -> Result<Turn<T>, Error> {
        let mut tx = self.pool.begin().await?;
        if store::answer::claim(&mut *tx, call, self.clock.now()).await? {
            return Ok(Turn::First(tx));
        }
        let kept = store::answer::find(&mut *tx, call)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        let answer = replay(call, kept)?.ok_or(Error::Unsettled)?;
        Ok(Turn::Again(answer))
    }

    /// Ends a mutating call: commits its effect with its answer, or keeps its refusal alone.
    pub(crate) async fn conclude<T: Serialize + DeserializeOwned>(
        &self,
        mut tx: Transaction<'static, Postgres>,
        call: &Call,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        match outcome {
            Ok(answer) => {
                let stored = serde_json::to_value(&answer).expect("answers are plain data");
                store::answer::set(&mut *tx, call, &stored).await?;
                self.commit(tx, call.community).await?;
                Ok(answer)
            }
            Err(Error::Refused(refusal)) => {
                tx.rollback().await?;
                self.refuse(call, refusal).await
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a refusal as the call's answer. A twin may have been answered in between: then that answer stands.
    pub(crate) async fn refuse<T: DeserializeOwned>(
        &self,
        call: &Call,
        refusal: Refusal,
    ) -> Result<T, Error> {
        let now = self.clock.now();
        if store::answer::insert_refusal(&self.pool, call, &refusal, now).await? {
            return Err(refusal.into());
        }
        let kept = store::answer::find(&self.pool, call)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        replay(call, kept)?.ok_or(Error::Unsettled)
    }

    /// What is known of a call.
    pub(crate) async fn known<T: DeserializeOwned>(&self, call: &Call) -> Result<Known<T>, Error> {
        let Some(kept) = store::answer::find(&self.pool, call).await? else {
            return Ok(Known::Nothing);
        };
        Ok(match replay(call, kept)? {
            Some(answer) => Known::Answer(answer),
            None => Known::Unsettled,
        })
    }
}

/// Its answer; nothing while it waits for the ledger.
fn replay<T: DeserializeOwned>(call: &Call, kept: Kept) -> Result<Option<T>, Error> {
    if kept.method != call.method || kept.fingerprint[..] != call.fingerprint {
        return Err(Error::RequestIdReused(call.request_id));
    }
    if let Some(refusal) = kept.refusal {
        return Err(refusal.into());
    }
    let answer = kept.answer.map(serde_json::from_value).transpose();
    answer.map_err(|cause| sqlx::Error::Decode(Box::new(cause)).into())
}
