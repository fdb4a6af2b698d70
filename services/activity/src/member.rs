//! Members: register one, look at one, list them, read a hours book.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        member::{HourEntry, Member, MemberKind, Person, own_number},
        refusal::{Refusal, Resource},
    },
    store,
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

impl Activity {
    /// Registers a member; name and phone go into a table of their own.
    pub(crate) async fn create_member(&self, call: &Call, new: NewMember) -> Result<Member, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.register(&mut tx, call.community, new).await;
        self.conclude(tx, call, outcome).await
    }

    async fn register(
        &self,
        tx: &mut PgConnection,
        community: Community,
        new: NewMember,
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
            masked: new.person.masked(),
            service_minutes: 0,
            created_at: self.clock.now(),
        };
        match new.number {
            Some(number) => {
                member.number = number;
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
        store::member::person_insert(&mut *tx, community, member.id, &new.person).await?;
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

    /// Returns a member.
    pub(crate) async fn get_member(&self, community: Community, id: Uuid) -> Result<Member, Error> {
        let member = self.find_member(community, id).await?;
        member.ok_or(
            Refusal::NotFound {
                resource: Resource::Member,
                id,
            }
            .into(),
        )
    }

    /// Lists a community's members by id, or the one with a number.
    pub(crate) async fn list_members(
        &self,
        community: Community,
        number: Option<&str>,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Member, Uuid>, Error> {
        if let Some(number) = number {
            let found = store::member::find_by_number(&self.pool, community, number).await?;
            return Ok(Page {
                items: found.into_iter().collect(),
                next: None,
            });
        }
        let window = Page::<Member, _>::window(after, size);
        let rows = store::member::list(&self.pool, community, window).await?;
        Ok(Page::cut(rows, size, |member| member.id))
    }

    /// Lists a member's hours book, oldest line first.
    pub(crate) async fn list_hour_entries(
        &self,
        community: Community,
        member: Uuid,
        after: i64,
        size: i64,
    ) -> Result<Page<HourEntry, i64>, Error> {
        self.get_member(community, member).await?;
        let window = Page::<HourEntry, _>::window(after, size);
        let rows = store::member::list_hours(&self.pool, community, member, window).await?;
        Ok(Page::cut(rows, size, |entry| entry.number))
    }
}

async fn insert(tx: &mut PgConnection, member: &Member) -> Result<bool, Error> {
    match store::member::insert(&mut *tx, member).await {
        Ok(inserted) => Ok(inserted),
        Err(error) if runtime::constraint(&error) == Some("member_pk") => Err(Refusal::Exists {
            resource: Resource::Member,
            id: member.id,
        }
        .into()),
        Err(error) => Err(error.into()),
    }
}
