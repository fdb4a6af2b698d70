//! Ceilings of what wishes may be worth: set them, read them, keep to them.

use runtime::Deadline;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Wishes,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        event::NewEvent,
        refusal::{Refusal, Resource},
        value::ValueCeilings,
        wish::Wish,
    },
    store,
};

impl Wishes {
    /// Sets the ceilings of a programme.
    pub(crate) async fn set_value_ceilings(
        &self,
        call: &Call,
        ceilings: ValueCeilings,
        deadline: Deadline,
    ) -> Result<ValueCeilings, Error> {
        if let Some(answer) = self.kept(call).await? {
            return Ok(answer);
        }
        let id = ceilings.programme;
        let programme = self.activity.asset(call.community, id, deadline).await?;
        if programme.is_none() {
            let resource = Resource::Programme;
            return self.refuse(call, Refusal::NotFound { resource, id }).await;
        }
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let ceilings = ValueCeilings {
            updated_at: Some(self.clock.now()),
            ..ceilings
        };
        store::value::put(&mut *tx, &ceilings).await?;
        let event = NewEvent {
            kind: "value_ceilings_set".to_owned(),
            subject: format!("programmes/{id}"),
            member: None,
        };
        store::event::insert(&mut tx, call.community, &[event]).await?;
        self.conclude(tx, call, Ok(ceilings)).await
    }

    /// Returns the ceilings of a programme; none when none were set.
    pub(crate) async fn get_value_ceilings(
        &self,
        community: Community,
        programme: Uuid,
    ) -> Result<ValueCeilings, Error> {
        let mut found = store::value::find_all(&self.pool, community, &[programme]).await?;
        let found = found.pop();
        Ok(found.unwrap_or_else(|| ValueCeilings::none(community, programme)))
    }
}

/// Sees that wishes of one community are within the ceilings of their programmes.
pub(crate) async fn require_within(conn: &mut PgConnection, wishes: &[Wish]) -> Result<(), Error> {
    let Some(first) = wishes.first() else {
        return Ok(());
    };
    let programmes: Vec<Uuid> = wishes.iter().map(|wish| wish.programme).collect();
    let known = store::value::find_all(conn, first.community, &programmes).await?;
    for wish in wishes {
        let ceilings = known.iter().find(|known| known.programme == wish.programme);
        if let Some(ceilings) = ceilings {
            ceilings.require_within(wish)?;
        }
    }
    Ok(())
}
