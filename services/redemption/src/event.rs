//! What happens, as a stream: every transaction that makes something happen ends here.

use chrono::{DateTime, Utc};
use runtime::{Heads, Nudge, Window};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::{
    Error, Redemption,
    domain::{Event, EventFilter, News},
    store,
};

/// Ends transactions with what they made happen. Clones share everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Publisher {
    /// Wakes who watches.
    pub heads: Heads,
    /// Wakes what tells members.
    pub telling: Nudge,
}

impl Publisher {
    /// Writes what happened, commits, and wakes who watches and what tells. Nothing else is to be locked after that: the events are written under the
    /// community's head, so that whoever has the next numbers commits later.
    pub async fn commit(
        &self,
        mut tx: Transaction<'static, Postgres>,
        community: Uuid,
        news: &News,
        at: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        if !news.tellings.is_empty() {
            store::telling_insert(&mut tx, community, &news.tellings, at).await?;
        }
        if !news.events.is_empty() {
            store::event_insert(&mut tx, community, &news.events, at).await?;
        }
        tx.commit().await?;
        if !news.tellings.is_empty() {
            self.telling.nudge();
        }
        if !news.events.is_empty() {
            self.heads.moved(community);
        }
        Ok(())
    }
}

impl Redemption {
    /// Ends a transaction with what it made happen.
    pub(crate) async fn commit(
        &self,
        tx: Transaction<'static, Postgres>,
        community: Uuid,
        news: &News,
    ) -> sqlx::Result<()> {
        let at = self.clock.now();
        self.publisher.commit(tx, community, news, at).await
    }

    /// What wakes who watches the events.
    pub(crate) fn heads(&self) -> Heads {
        self.publisher.heads.clone()
    }

    /// Events by sequence.
    pub(crate) async fn watched_events(
        &self,
        filter: EventFilter,
        window: Window<i64>,
    ) -> Result<Vec<Event>, Error> {
        Ok(store::event_list(&self.pool, filter, window).await?)
    }
}
