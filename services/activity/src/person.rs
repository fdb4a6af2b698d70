//! The people behind the members: show them masked, reveal one to somebody who says why, erase one.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::Unreadable;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        event::NewEvent,
        member::{MaskedMember, Member},
        person::{KeptPerson, Masked, Person, Place},
        refusal::{Refusal, Resource},
    },
    seal, store,
};

/// How long a reveal whose answer was lost may be asked for again. Later it is another look, to be logged as one.
pub(crate) const ONE_LOOK: TimeDelta = TimeDelta::minutes(5);

/// A person among others.
#[derive(Debug)]
pub(crate) enum Opened {
    Whole(Person),
    Erased,
    /// Nobody can read it any more.
    Damaged,
}

/// That a person was revealed.
#[derive(Debug, Serialize, Deserialize)]
struct Revealed {
    at: DateTime<Utc>,
}

impl Activity {
    /// Shows who a member is. That it was asked for, by whom and why, is committed to the audit log before the person is read.
    pub(crate) async fn reveal_member(&self, call: &Call, id: Uuid) -> Result<Person, Error> {
        let Revealed { at } = match self.turn(call).await? {
            Turn::First(mut tx) => {
                let outcome = self.admit_look(&mut tx, call.community, id).await;
                self.conclude(tx, call, outcome).await?
            }
            Turn::Again(revealed) => revealed,
        };
        if self.clock.now() - at > ONE_LOOK {
            let request_id = call.request_id;
            return Err(Refusal::RevealOver { request_id }.into());
        }
        let (_, person) = self.read_person(call.community, id).await?;
        Ok(person.ok_or(Refusal::MemberErased { member: id })?)
    }

    async fn admit_look(
        &self,
        tx: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<Revealed, Error> {
        let member = store::member::find(&mut *tx, community, id).await?;
        member.ok_or(not_found(id))?.require_person()?;
        Ok(Revealed {
            at: self.clock.now(),
        })
    }

    /// Takes away who a member is; the books stay. A second time changes nothing.
    pub(crate) async fn erase_member(&self, call: &Call, id: Uuid) -> Result<MaskedMember, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(member) => return Ok(masked(member, None)),
        };
        let outcome = self.erase(&mut tx, call.community, id).await;
        let member = self.conclude(tx, call, outcome).await?;
        Ok(masked(member, None))
    }

    async fn erase(
        &self,
        tx: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<Member, Error> {
        // Answers and records come before members in the order of locks.
        store::answer::forget_persons(&mut *tx, community, Some(id), i64::MAX).await?;
        store::service_record::clear_evidence(&mut *tx, community, id).await?;
        store::member::lock(&mut *tx, community, id).await?;
        // Whoever records or adds evidence holds the member until they are done. What was added in between is emptied now, and so is every answer, of which
        // nobody takes away the evidence but who holds the member. Should one of the records just be decided on, one of the two calls is to try again.
        store::service_record::clear_evidence(&mut *tx, community, id).await?;
        store::answer::clear_evidence(&mut *tx, community, id).await?;
        let member = store::member::find(&mut *tx, community, id).await?;
        let member = member.ok_or(not_found(id))?;
        let was_there = member.erased_at.is_none();
        let member = member.erase(self.clock.now());
        store::member::set_erased(&mut *tx, &member).await?;
        if was_there {
            let event = NewEvent::of_member(&member);
            store::event::insert(&mut *tx, community, &[event]).await?;
        }
        let place = Place {
            community,
            member: id,
        };
        store::person::erase(&mut *tx, place).await?;
        Ok(member)
    }

    /// A member and the person behind them; without one, once erased.
    pub(crate) async fn read_person(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<(Member, Option<Person>), Error> {
        let found = store::member::find_with_person(&self.pool, community, id).await?;
        let (member, kept) = found.ok_or(not_found(id))?;
        let person = self.open(community, id, kept)?;
        Ok((member, person))
    }

    /// Members of a community as everyone may see them; one whose person is damaged is shown as such.
    pub(crate) async fn masked(
        &self,
        community: Community,
        members: Vec<Member>,
    ) -> Result<Vec<MaskedMember>, Error> {
        let ids: Vec<Uuid> = members.iter().map(|member| member.id).collect();
        let kept = store::person::find_many(&self.pool, community, &ids).await?;
        let mut kept: HashMap<Uuid, KeptPerson> = kept.into_iter().collect();
        let shown = members.into_iter().map(|member| {
            let kept = kept.remove(&member.id).unwrap_or(KeptPerson::Erased);
            Ok(match self.open_among(community, member.id, kept)? {
                Opened::Whole(person) => masked(member, Some(person)),
                Opened::Erased => masked(member, None),
                Opened::Damaged => MaskedMember {
                    is_damaged: true,
                    ..masked(member, None)
                },
            })
        });
        shown.collect()
    }

    /// What everyone may see of some persons, by member; those who were erased or are damaged are not among them.
    pub(crate) async fn masked_persons(
        &self,
        community: Community,
        members: &[Uuid],
    ) -> Result<HashMap<Uuid, Masked>, Error> {
        let kept = store::person::find_many(&self.pool, community, members).await?;
        let mut shown = HashMap::new();
        for (member, kept) in kept {
            if let Opened::Whole(person) = self.open_among(community, member, kept)? {
                shown.insert(member, person.masked());
            }
        }
        Ok(shown)
    }

    /// Reads one person of many. One that is damaged keeps nobody from seeing the others; a key that is missing is missing for many, so it fails for
    /// all until it is back.
    pub(crate) fn open_among(
        &self,
        community: Community,
        member: Uuid,
        kept: KeptPerson,
    ) -> Result<Opened, Error> {
        match self.open(community, member, kept) {
            Ok(Some(person)) => Ok(Opened::Whole(person)),
            Ok(None) => Ok(Opened::Erased),
            Err(Error::Unreadable(cause @ Unreadable::Damaged { .. })) => {
                tracing::error!(member.id = %member, error = %cause, "A person can't be read: {cause}");
                Ok(Opened::Damaged)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a person, unless they were erased.
    fn open(
        &self,
        community: Community,
        member: Uuid,
        kept: KeptPerson,
    ) -> Result<Option<Person>, Error> {
        match kept {
            KeptPerson::Plain(person) => Ok(Some(person)),
            KeptPerson::Sealed(sealed) => {
                let place = Place { community, member };
                Ok(Some(seal::open(&self.keys, place, &sealed)?))
            }
            KeptPerson::Erased => Ok(None),
        }
    }
}

/// A member as everyone may see them.
pub(crate) fn masked(member: Member, person: Option<Person>) -> MaskedMember {
    let masked = person.map_or_else(Masked::default, |person| person.masked());
    MaskedMember {
        member,
        masked,
        is_damaged: false,
    }
}

pub(crate) fn not_found(member: Uuid) -> Refusal {
    Refusal::NotFound {
        resource: Resource::Member,
        id: member,
    }
}
