//! Members: register one, look at one, list them, read a hours book.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        event::NewEvent,
        member::{HourEntry, MaskedMember, Member, MemberKind, own_number},
        person::{Person, Place},
        refusal::{Refusal, Resource},
    },
    person::{masked, not_found},
    seal, store,
};

/// A member to register.
#[derive(Debug, Clone)]
pub(crate) struct NewMember {
    pub(crate) id: Option<Uuid>,
    /// `None`: the service gives the next one of its own.
    pub(crate) number: Option<String>,
    pub(crate) kind: MemberKind,
    pub(crate) team: Option<Uuid>,
    pub(crate) birth_year: Option<i16>,
    pub(crate) person: Person,
}

/// What is kept as the answer: nothing of the person.
#[derive(Debug, Serialize, Deserialize)]
struct Registered {
    id: Uuid,
}

impl Activity {
    /// Registers a member; the person is sealed.
    pub(crate) async fn create_member(
        &self,
        call: &Call,
        new: NewMember,
    ) -> Result<MaskedMember, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(Registered { id }) => return self.registered(call, id, &new).await,
        };
        let outcome = self.register(&mut tx, call.community, &new).await;
        let outcome = outcome.map(|member| Registered { id: member.id });
        let Registered { id } = self.conclude(tx, call, outcome).await?;
        self.registered(call, id, &new).await
    }

    /// The answer, each time, with as much of the person as is left. What an erasure
    /// takes away is no part of the call's fingerprint and is compared here.
    async fn registered(
        &self,
        call: &Call,
        id: Uuid,
        new: &NewMember,
    ) -> Result<MaskedMember, Error> {
        let (member, found) = self.read_person(call.community, id).await?;
        let is_other = |found: &Person| {
            let about = (found, member.team, member.birth_year);
            about != (&new.person, new.team, new.birth_year)
        };
        if found.as_ref().is_some_and(is_other) {
            return Err(Error::RequestIdReused(call.request_id));
        }
        let member = Member {
            service_minutes: 0,
            ..member
        };
        Ok(masked(member, found))
    }

    async fn register(
        &self,
        tx: &mut PgConnection,
        community: Community,
        new: &NewMember,
    ) -> Result<Member, Error> {
        if let Some(team) = new.team
            && !store::team::exists(&mut *tx, community, team).await?
        {
            return Err(Refusal::NotFound {
                resource: Resource::Team,
                id: team,
            }
            .into());
        }
        let mut member = Member {
            community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            number: String::new(),
            kind: new.kind,
            team: new.team,
            birth_year: new.birth_year,
            service_minutes: 0,
            created_at: self.clock.now(),
            erased_at: None,
        };
        match &new.number {
            Some(number) => {
                member.number.clone_from(number);
                if !insert(tx, &member).await? {
                    let number = member.number;
                    return Err(Refusal::NumberTaken {
                        resource: Resource::Member,
                        number,
                    }
                    .into());
                }
            }
            // Somebody may have chosen a number of this form by hand: then the next one is tried.
            None => loop {
                member.number = own_number(store::member::next_number(&mut *tx, community).await?);
                if insert(tx, &member).await? {
                    break;
                }
            },
        }
        let place = Place {
            community,
            member: member.id,
        };
        let sealed = seal::seal(&self.keys, place, &new.person);
        store::person::insert(&mut *tx, place, &sealed).await?;
        Ok(member)
    }

    /// Returns a member, if it is there.
    pub(crate) async fn find_member(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Option<Member>, Error> {
        Ok(store::member::find(&self.pool, community, id).await?)
    }

    /// Returns a member, masked.
    pub(crate) async fn get_member(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<MaskedMember, Error> {
        let (member, person) = self.read_person(community, id).await?;
        Ok(masked(member, person))
    }

    /// Lists a community's members by id, or the one with a number, masked.
    pub(crate) async fn list_members(
        &self,
        community: Community,
        number: Option<&str>,
        after: Uuid,
        size: i64,
    ) -> Result<Page<MaskedMember, Uuid>, Error> {
        let page = match number {
            Some(number) => {
                let found = store::member::find_by_number(&self.pool, community, number).await?;
                Page {
                    items: found.into_iter().collect(),
                    next: None,
                }
            }
            None => {
                let window = Page::<Member, _>::window(after, size);
                let rows = store::member::list(&self.pool, community, window).await?;
                Page::cut(rows, size, |member| member.id)
            }
        };
        Ok(Page {
            items: self.masked(community, page.items).await?,
            next: page.next,
        })
    }

    /// Lists a member's hours book, oldest line first.
    pub(crate) async fn list_hour_entries(
        &self,
        community: Community,
        member: Uuid,
        after: i64,
        size: i64,
    ) -> Result<Page<HourEntry, i64>, Error> {
        let found = self.find_member(community, member).await?;
        found.ok_or(not_found(member))?;
        let window = Page::<HourEntry, _>::window(after, size);
        let rows = store::member::list_hours(&self.pool, community, member, window).await?;
        Ok(Page::cut(rows, size, |entry| entry.number))
    }
}

async fn insert(tx: &mut PgConnection, member: &Member) -> Result<bool, Error> {
    match store::member::insert(&mut *tx, member).await {
        Ok(true) => {
            let event = NewEvent::of_member(member);
            store::event::insert(tx, member.community, &[event]).await?;
            Ok(true)
        }
        Ok(false) => Ok(false),
        Err(error) if runtime::constraint(&error) == Some("member_pk") => Err(Refusal::Exists {
            resource: Resource::Member,
            id: member.id,
        }
        .into()),
        Err(error) => Err(error.into()),
    }
}
