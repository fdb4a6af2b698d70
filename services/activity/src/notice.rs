//! Members' notices: list them, mark them as read, say which are not wanted.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        notice::{Notice, NoticeClass},
        refusal::{Refusal, Resource},
    },
    store::{self, notice::NoticeFilter},
};

impl Activity {
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
