//! Members' notices: record what other services tell, list them, mark them as read, say which are not wanted.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        notice::{
            CardEvent, Content, DispatchMove, NewNotice, Notice, NoticeClass, PledgeMove, Points,
            Unit,
        },
        refusal::{Refusal, Resource},
    },
    store::{self, notice::NoticeFilter},
};

/// What another service tells a member.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// The notice's, chosen by that service.
    pub(crate) id: Uuid,
    pub(crate) member: Uuid,
    pub(crate) what: What,
}

/// What it tells, points by their programme alone.
#[derive(Debug, Clone)]
pub(crate) enum What {
    RedemptionReversed {
        redemption: Uuid,
        title: String,
        programme: Uuid,
        quantity: i64,
        amount: i64,
        is_whole: bool,
    },
    RedemptionAssisted {
        redemption: Uuid,
        title: String,
        programme: Uuid,
        amount: i64,
    },
    CardChanged {
        card: Uuid,
        what: CardEvent,
    },
    PledgeMoved {
        pledge: Uuid,
        wish: Uuid,
        title: String,
        what: PledgeMove,
        /// Programme and amount of what came back.
        back: Option<(Uuid, i64)>,
    },
    DispatchMoved {
        dispatch: Uuid,
        wish: Uuid,
        title: String,
        what: DispatchMove,
    },
}

impl Activity {
    /// Records what members are told by another service. Who is no member, or not any more, is told nothing.
    pub(crate) async fn record_notices(
        &self,
        community: Community,
        told: Vec<Told>,
    ) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        let members: Vec<Uuid> = told.iter().map(|one| one.member).collect();
        let there = store::member::lock_there(&mut *tx, community, &members).await?;
        let mut notices = Vec::with_capacity(told.len());
        for one in told {
            if there.contains(&one.member) {
                notices.push(NewNotice {
                    id: one.id,
                    member: one.member,
                    content: content(&mut tx, community, one.what).await?,
                });
            }
        }
        store::notice::insert(&mut tx, community, &notices, self.clock.now()).await?;
        Ok(self.commit(tx, community).await?)
    }

    /// Lists a member's notices, newest first.
    pub(crate) async fn list_notices(
        &self,
        filter: NoticeFilter,
        before: Uuid,
        size: i64,
    ) -> Result<Page<Notice, Uuid>, Error> {
        require_member(
            &mut *self.pool.acquire().await?,
            filter.community,
            filter.member,
        )
        .await?;
        let window = Page::<Notice, _>::window(before, size);
        let rows = store::notice::list(&self.pool, filter, window).await?;
        Ok(Page::cut(rows, size, |notice| notice.id))
    }

    /// Marks notices of a member as read, and returns how many are not.
    pub(crate) async fn mark_notices_read(
        &self,
        call: &Call,
        member: Uuid,
        ids: &[Uuid],
    ) -> Result<i64, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.mark(&mut tx, call.community, member, ids).await;
        self.conclude(tx, call, outcome).await
    }

    async fn mark(
        &self,
        tx: &mut PgConnection,
        community: Community,
        member: Uuid,
        ids: &[Uuid],
    ) -> Result<i64, Error> {
        let there = store::notice::ids_of(&mut *tx, community, member, ids).await?;
        if let Some(id) = ids.iter().find(|id| !there.contains(id)) {
            return Err(Refusal::NotFound {
                resource: Resource::Notice,
                id: *id,
            }
            .into());
        }
        store::notice::set_read(&mut *tx, community, ids, self.clock.now()).await?;
        Ok(store::notice::count_unread(&mut *tx, community, member).await?)
    }

    /// Returns what a member mutes.
    pub(crate) async fn get_notice_preferences(
        &self,
        community: Community,
        member: Uuid,
    ) -> Result<Vec<NoticeClass>, Error> {
        let mut conn = self.pool.acquire().await?;
        require_member(&mut conn, community, member).await?;
        Ok(store::notice::muted(&mut *conn, community, member).await?)
    }

    /// Sets what a member mutes.
    pub(crate) async fn set_notice_preferences(
        &self,
        call: &Call,
        member: Uuid,
        muted: Vec<NoticeClass>,
    ) -> Result<Vec<NoticeClass>, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.mute(&mut tx, call.community, member, muted).await;
        self.conclude(tx, call, outcome).await
    }

    async fn mute(
        &self,
        tx: &mut PgConnection,
        community: Community,
        member: Uuid,
        muted: Vec<NoticeClass>,
    ) -> Result<Vec<NoticeClass>, Error> {
        for class in &muted {
            class.require_mutable()?;
        }
        require_member(tx, community, member).await?;
        let now = self.clock.now();
        store::notice::set_muted(&mut *tx, community, member, &muted, now).await?;
        Ok(muted)
    }
}

/// What a notice says, with the units of its points.
async fn content(
    tx: &mut PgConnection,
    community: Community,
    what: What,
) -> Result<Content, Error> {
    Ok(match what {
        What::RedemptionReversed {
            redemption,
            title,
            programme,
            quantity,
            amount,
            is_whole,
        } => Content::RedemptionReversed {
            redemption,
            title,
            points: points(tx, community, programme, amount).await?,
            quantity,
            is_whole,
        },
        What::RedemptionAssisted {
            redemption,
            title,
            programme,
            amount,
        } => Content::RedemptionAssisted {
            redemption,
            title,
            points: points(tx, community, programme, amount).await?,
        },
        What::CardChanged { card, what } => Content::CardChanged { card, what },
        What::PledgeMoved {
            pledge,
            wish,
            title,
            what,
            back,
        } => Content::PledgeMoved {
            pledge,
            wish,
            title,
            what,
            back: match back {
                Some((programme, amount)) => Some(points(tx, community, programme, amount).await?),
                None => None,
            },
        },
        What::DispatchMoved {
            dispatch,
            wish,
            title,
            what,
        } => Content::DispatchMoved {
            dispatch,
            wish,
            title,
            what,
        },
    })
}

async fn points(
    tx: &mut PgConnection,
    community: Community,
    programme: Uuid,
    amount: i64,
) -> Result<Points, Error> {
    let found = store::programme::find(&mut *tx, community, programme).await?;
    let found = found.ok_or(Refusal::NotFound {
        resource: Resource::Programme,
        id: programme,
    })?;
    Ok(Points {
        programme,
        unit: Unit::of(&found),
        amount,
    })
}

async fn require_member(
    conn: &mut PgConnection,
    community: Community,
    id: Uuid,
) -> Result<(), Error> {
    let found = store::member::find(&mut *conn, community, id).await?;
    found.ok_or(Refusal::NotFound {
        resource: Resource::Member,
        id,
    })?;
    Ok(())
}
