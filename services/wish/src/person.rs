//! The people behind the roster: show them masked, reveal one to somebody who says why, erase one.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::{Sealed, Unreadable};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Wishes,
    answer::Turn,
    beneficiary::{Kept, locked, masked, not_found, refused, tell},
    domain::{
        Community,
        beneficiary::{Beneficiary, MaskedBeneficiary},
        call::Call,
        person::Person,
        pledge::PledgeState,
        refusal::{Refusal, RosterRefusal},
    },
    seal, store,
};

/// How long a reveal whose answer was lost may be asked for again. Later it is another look, to be logged as one.
const ONE_LOOK: TimeDelta = TimeDelta::minutes(5);
/// How many visits' notes a reveal shows.
const NOTES: i64 = 20;

/// That somebody was revealed.
#[derive(Debug, Serialize, Deserialize)]
struct Revealed {
    at: DateTime<Utc>,
    beneficiary: Uuid,
}

/// What somebody has to go there for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    Pledge(Uuid),
    /// One that was accepted.
    Dispatch(Uuid),
}

impl Task {
    fn id(self) -> Uuid {
        match self {
            Self::Pledge(id) | Self::Dispatch(id) => id,
        }
    }

    fn over(self) -> Error {
        refused(RosterRefusal::NoActiveTask { task: self.id() })
    }

    /// Who has to go there is never told whose wish it is, by a refusal neither.
    fn nameless(self, error: Error) -> Error {
        match error {
            Error::Refused(
                Refusal::NotFound { .. } | Refusal::Roster(RosterRefusal::BeneficiaryErased { .. }),
            ) => self.over(),
            Error::Unreadable(cause @ Unreadable::Damaged { .. }) => {
                tracing::error!(error = %cause, "A person can't be read: {cause}");
                Error::AddressUnreadable { task: self.id() }
            }
            other => other,
        }
    }
}

/// Who somebody is and what the last visits found.
pub(crate) struct Whole {
    pub(crate) person: Person,
    /// By visit, newest first; nothing where it is damaged.
    pub(crate) notes: Vec<(Uuid, Option<String>)>,
}

impl Wishes {
    /// Shows who somebody is. That it was asked for, by whom and why, is committed to the audit log before the person is read.
    pub(crate) async fn reveal_beneficiary(&self, call: &Call, id: Uuid) -> Result<Whole, Error> {
        let revealed = match self.turn(call).await? {
            Turn::First(mut tx) => {
                let outcome = self.admit_look(&mut tx, call.community, id).await;
                self.conclude(tx, call, outcome).await?
            }
            Turn::Again(revealed) => revealed,
        };
        let person = self.look(call, &revealed).await?;
        let (pool, community) = (&self.pool, call.community);
        let sealed = store::sealed::last_visits(pool, community, id, NOTES).await?;
        let open = |(visit, sealed)| match seal::open_note(&self.keys, community, visit, &sealed) {
            Err(cause @ Unreadable::Damaged { .. }) => {
                tracing::error!(visit.id = %visit, error = %cause, "A note can't be read: {cause}");
                Ok((visit, None))
            }
            note => Ok((visit, Some(note?))),
        };
        let notes: Result<Vec<_>, Error> = sealed.into_iter().map(open).collect();
        Ok(Whole {
            person,
            notes: notes?,
        })
    }

    async fn admit_look(
        &self,
        tx: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<Revealed, Error> {
        let found = store::beneficiary::find_one(&mut *tx, community, id).await?;
        found.ok_or(not_found(id))?.require_person()?;
        Ok(Revealed {
            at: self.clock.now(),
            beneficiary: id,
        })
    }

    /// Shows where somebody lives to who has to go there, logged in the same way.
    pub(crate) async fn reveal_address(&self, call: &Call, task: Task) -> Result<Person, Error> {
        let revealed = match self.turn(call).await? {
            Turn::First(mut tx) => {
                let outcome = self.admit_visitor(&mut tx, call.community, task).await;
                self.conclude(tx, call, outcome).await?
            }
            Turn::Again(revealed) => revealed,
        };
        let person = self.look(call, &revealed).await;
        person.map_err(|error| task.nameless(error))
    }

    /// A pledge that stands, of things or hours, of an open wish.
    async fn admit_visitor(
        &self,
        tx: &mut PgConnection,
        community: Community,
        task: Task,
    ) -> Result<Revealed, Error> {
        let pledge = match task {
            Task::Pledge(id) => Some(id),
            Task::Dispatch(id) => {
                let dispatch = store::dispatch::find_one(&mut *tx, community, id).await?;
                dispatch.and_then(|dispatch| dispatch.pledge)
            }
        };
        let over = || task.over();
        let pledge = store::pledge::find_one(&mut *tx, community, pledge.ok_or_else(over)?).await?;
        let pledge = pledge.ok_or_else(over)?.at(self.clock.now());
        if pledge.state != PledgeState::Active || pledge.in_points {
            return Err(over());
        }
        let wish = store::wish::find_one(&mut *tx, community, pledge.wish).await?;
        let wish = wish.ok_or_else(over)?;
        let admitted = self.admit_look(tx, community, wish.beneficiary).await;
        admitted.map_err(|error| task.nameless(error))
    }

    /// Reads the person of a look that was admitted and is not over.
    async fn look(&self, call: &Call, revealed: &Revealed) -> Result<Person, Error> {
        if self.clock.now() - revealed.at > ONE_LOOK {
            let request_id = call.request_id;
            return Err(refused(RosterRefusal::RevealOver { request_id }));
        }
        let beneficiary = revealed.beneficiary;
        let (_, person) = self.read_beneficiary(call.community, beneficiary).await?;
        person.ok_or_else(|| refused(RosterRefusal::BeneficiaryErased { beneficiary }))
    }

    /// Takes away who somebody is, with what visits found; the books stay. A second time changes nothing.
    pub(crate) async fn erase_beneficiary(
        &self,
        call: &Call,
        id: Uuid,
    ) -> Result<MaskedBeneficiary, Error> {
        let Kept { id } = match self.turn(call).await? {
            Turn::First(mut tx) => {
                let outcome = self.erase(&mut tx, call.community, id).await;
                self.conclude(tx, call, outcome).await?
            }
            Turn::Again(kept) => kept,
        };
        self.get_beneficiary(call.community, id).await
    }

    async fn erase(
        &self,
        tx: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<Kept, Error> {
        let beneficiary = locked(tx, community, id).await?;
        let was_there = beneficiary.erased_at.is_none();
        let beneficiary = beneficiary.erase(self.clock.now());
        store::beneficiary::set(&mut *tx, &beneficiary).await?;
        if was_there {
            tell(tx, &beneficiary, "erased").await?;
        }
        store::sealed::erase(&mut *tx, community, id).await?;
        Ok(Kept { id })
    }

    /// Somebody and the person behind them; without one, once erased.
    pub(crate) async fn read_beneficiary(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<(Beneficiary, Option<Person>), Error> {
        // The person first: one that is erased in between is told by the row.
        let sealed = store::sealed::find_many(&self.pool, community, &[id]).await?;
        let found = store::beneficiary::find_one(&self.pool, community, id).await?;
        let beneficiary = found.ok_or(not_found(id))?;
        let sealed = sealed.first().filter(|_| beneficiary.erased_at.is_none());
        let person = sealed.map(|(_, sealed)| self.open_person(community, id, sealed));
        Ok((beneficiary, person.transpose()?))
    }

    /// People of a community as staff may see them. One whose person is damaged is shown as such, and keeps nobody from seeing the others; a key that is
    /// missing is missing for many, so it fails for all until it is back.
    pub(crate) async fn masked(
        &self,
        community: Community,
        people: Vec<Beneficiary>,
    ) -> Result<Vec<MaskedBeneficiary>, Error> {
        let ids: Vec<Uuid> = people.iter().map(|of| of.id).collect();
        let sealed = store::sealed::find_many(&self.pool, community, &ids).await?;
        let mut sealed: HashMap<Uuid, Sealed> = sealed.into_iter().collect();
        let shown = people.into_iter().map(|of| {
            let sealed = sealed.remove(&of.id);
            let person = sealed.map(|sealed| self.open_person(community, of.id, &sealed));
            match person.transpose() {
                Err(Error::Unreadable(cause @ Unreadable::Damaged { .. })) => {
                    tracing::error!(beneficiary.id = %of.id, error = %cause, "A person can't be read: {cause}");
                    Ok(MaskedBeneficiary {
                        is_damaged: true,
                        ..masked(of, None)
                    })
                }
                person => Ok(masked(of, person?)),
            }
        });
        shown.collect()
    }

    fn open_person(
        &self,
        community: Community,
        id: Uuid,
        sealed: &Sealed,
    ) -> Result<Person, Error> {
        Ok(seal::open_person(&self.keys, community, id, sealed)?)
    }
}
