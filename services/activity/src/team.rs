//! Teams: found one, list them.

use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        event::NewEvent,
        member::Team,
        refusal::{Refusal, Resource},
    },
    store,
};

/// A team to found.
#[derive(Debug, Clone)]
pub(crate) struct NewTeam {
    pub(crate) id: Option<Uuid>,
    pub(crate) number: String,
    pub(crate) display_name: String,
    pub(crate) colour: String,
}

impl Activity {
    /// Founds a team.
    pub(crate) async fn create_team(&self, call: &Call, new: NewTeam) -> Result<Team, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let team = Team {
            community: call.community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            number: new.number,
            display_name: new.display_name,
            colour: new.colour,
            created_at: self.clock.now(),
        };
        let outcome = match store::team::insert(&mut *tx, &team).await {
            Ok(()) => {
                let event = NewEvent::of_team(&team);
                let told = store::event::insert(&mut tx, team.community, &[event]).await;
                told.map(|()| team).map_err(Error::from)
            }
            Err(error) => Err(match runtime::constraint(&error) {
                Some("team_pk") => Refusal::Exists {
                    resource: Resource::Team,
                    id: team.id,
                }
                .into(),
                Some("team_number_unique") => Refusal::NumberTaken {
                    resource: Resource::Team,
                    number: team.number,
                }
                .into(),
                Some(_) | None => error.into(),
            }),
        };
        self.conclude(tx, call, outcome).await
    }

    /// Lists a community's teams by id.
    pub(crate) async fn list_teams(
        &self,
        community: Community,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Team, Uuid>, Error> {
        let rows =
            store::team::list(&self.pool, community, Page::<Team, _>::window(after, size)).await?;
        Ok(Page::cut(rows, size, |team| team.id))
    }
}
