//! Rounds: gather wishes, publish them together.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Page, Wishes,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        refusal::{Refusal, Resource},
        round::Round,
        wish::WishState,
    },
    store,
    value::require_within,
};

/// A round to gather.
#[derive(Debug, Clone)]
pub(crate) struct NewRound {
    pub(crate) id: Option<Uuid>,
    pub(crate) title: String,
    pub(crate) wishes: Vec<Uuid>,
}

impl Wishes {
    /// Gathers wishes.
    pub(crate) async fn create_round(&self, call: &Call, new: NewRound) -> Result<Round, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.gather(&mut tx, call.community, new).await;
        self.conclude(tx, call, outcome).await
    }

    async fn gather(
        &self,
        tx: &mut PgConnection,
        community: Community,
        new: NewRound,
    ) -> Result<Round, Error> {
        let mut wishes = new.wishes;
        wishes.sort_unstable();
        let round = Round {
            community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            title: new.title,
            wishes,
            created_at: self.clock.now(),
            published_at: None,
        };
        match store::round::insert(&mut *tx, &round).await {
            Ok(()) => {}
            Err(error) if runtime::constraint(&error) == Some("round_pk") => {
                return Err(Refusal::Exists {
                    resource: Resource::Round,
                    id: round.id,
                }
                .into());
            }
            Err(error) => return Err(error.into()),
        }
        store::wish::lock_all(&mut *tx, community, &round.wishes).await?;
        let found = store::wish::find_all(&mut *tx, community, &round.wishes).await?;
        let missing = |id: &&Uuid| !found.iter().any(|wish| wish.id == **id);
        if let Some(id) = round.wishes.iter().find(missing) {
            return Err(Refusal::NotFound {
                resource: Resource::Wish,
                id: *id,
            }
            .into());
        }
        for mut wish in found {
            wish.gather(round.id)?;
            store::wish::update(&mut *tx, &wish).await?;
        }
        Ok(round)
    }

    /// Publishes a round with its wishes.
    pub(crate) async fn publish_round(&self, call: &Call, id: Uuid) -> Result<Round, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.publish_all(&mut tx, call.community, id).await;
        self.conclude(tx, call, outcome).await
    }

    async fn publish_all(
        &self,
        tx: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<Round, Error> {
        let now = self.clock.now();
        store::round::lock(&mut *tx, community, id).await?;
        let found = store::round::find_one(&mut *tx, community, id).await?;
        let round = found.ok_or(not_found(id))?.publish(now)?;
        store::wish::lock_all(&mut *tx, community, &round.wishes).await?;
        let mut wishes = store::wish::find_all(&mut *tx, community, &round.wishes).await?;
        wishes.retain(|wish| wish.state == WishState::Reviewed && wish.closes_at >= now);
        require_within(&mut *tx, &wishes).await?;
        for mut wish in wishes {
            wish.publish(now)?;
            store::wish::update(&mut *tx, &wish).await?;
        }
        store::round::set_published(tx, &round).await?;
        Ok(round)
    }

    /// Returns a round.
    pub(crate) async fn get_round(&self, community: Community, id: Uuid) -> Result<Round, Error> {
        let found = store::round::find_one(&self.pool, community, id).await?;
        Ok(found.ok_or(not_found(id))?)
    }

    /// Lists a community's rounds by id.
    pub(crate) async fn list_rounds(
        &self,
        community: Community,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Round, Uuid>, Error> {
        let window = Page::<Round, _>::window(after, size);
        let rows = store::round::list(&self.pool, community, window).await?;
        Ok(Page::cut(rows, size, |round| round.id))
    }
}

fn not_found(id: Uuid) -> Refusal {
    Refusal::NotFound {
        resource: Resource::Round,
        id,
    }
}
