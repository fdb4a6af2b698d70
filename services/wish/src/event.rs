//! What happens, as a stream: every transaction that makes something happen ends here.

use runtime::Window;
use sqlx::{Postgres, Transaction};

use crate::{
    Error, Wishes,
    domain::{
        Community,
        event::{Event, EventFilter},
    },
    store,
};

impl Wishes {
    /// Commits, with numbers and a time for what happened, and wakes who watches.
    pub(crate) async fn commit(
        &self,
        mut tx: Transaction<'static, Postgres>,
        community: Community,
    ) -> sqlx::Result<()> {
        let is_news = store::event::number(&mut tx, community, self.clock.now()).await?;
        tx.commit().await?;
        if is_news {
            self.heads.moved(community.0);
            self.teller.nudge();
        }
        Ok(())
    }

    /// Events by sequence.
    pub(crate) async fn watched_events(
        &self,
        filter: EventFilter,
        window: Window<i64>,
    ) -> Result<Vec<Event>, Error> {
        Ok(store::event::list(&self.pool, filter, window).await?)
    }
}
