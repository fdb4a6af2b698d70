//! Confirmed pledges that are taken back after all: what was handed over was faulty, or came to the wrong door. Nothing is deleted: the capture stays,
//! and an opposite entry gives the points back.

use runtime::{Access, Deadline};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Wishes,
    domain::{
        call::Call,
        operation::{Kind, Step, Verdict},
        pledge::Pledge,
        refusal::Refusal,
        telling::NewTelling,
    },
    pledge::{Decision, is_pledger},
    settle::found,
    store,
};

impl Wishes {
    /// Takes a confirmed pledge back. Points are given back before it is answered.
    pub(crate) async fn reverse_pledge(
        &self,
        call: &Call,
        access: &Access,
        (id, reason): (Uuid, &str),
        deadline: Deadline,
    ) -> Result<Pledge, Error> {
        self.decide(call, id, (access, Decision::Reverse(reason)), deadline)
            .await
    }

    pub(crate) async fn reverse(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        access: &Access,
        (id, reason): (Uuid, &str),
    ) -> Result<Pledge, Error> {
        let (mut wish, mut pledge, now) = self.open_both(tx, call.community, id).await?;
        pledge.require_confirmed()?;
        if is_pledger(access, &pledge) {
            return Err(Refusal::PledgerReverses { pledge: id }.into());
        }
        if pledge.in_points {
            if pledge.is_settling {
                return Err(Error::Unsettled);
            }
            self.begin(tx, call, &pledge, Kind::Reverse).await?;
            return Ok(pledge);
        }
        pledge.reverse(reason.to_owned(), now)?;
        wish.reverse(pledge.quantity);
        // One that was all delivered by its close is so no more.
        wish.lapse(Vec::new(), now);
        store::pledge::update(&mut *tx, &pledge).await?;
        let told = NewTelling::of_pledge(&pledge, &wish.title);
        self.tell(tx, call.community, told).await?;
        store::wish::update(tx, &wish).await?;
        Ok(pledge)
    }

    /// Writes what the ledger said to a reversal. Refused, it never happened: another call may try again.
    pub(crate) async fn settle_reversal(
        &self,
        conn: &mut PgConnection,
        step: &Step,
        verdict: Verdict,
    ) -> Result<(), Error> {
        let (mut wish, now) = self.open(conn, step.key.community, step.wish).await?;
        let mut pledge = found(conn, step).await?;
        match verdict {
            Verdict::Done(_) => {
                pledge.reverse(step.reason.clone(), now)?;
                wish.reverse(pledge.quantity);
                wish.lapse(Vec::new(), now);
                store::pledge::update(&mut *conn, &pledge).await?;
                let told = NewTelling::of_pledge(&pledge, &wish.title);
                self.tell(conn, step.key.community, told).await?;
                store::wish::update(&mut *conn, &wish).await?;
                self.answer(conn, step, Ok(&pledge)).await
            }
            Verdict::Refused(refusal) => {
                store::operation::delete(&mut *conn, step.key).await?;
                let reason = refusal.reason;
                self.answer(conn, step, Err(&Refusal::LedgerRefused { reason }))
                    .await
            }
        }
    }
}
