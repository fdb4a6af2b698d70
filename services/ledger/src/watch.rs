//! The journal as a stream: what is there, then what comes.

use runtime::Window;

use crate::{
    Error, Ledger,
    domain::{CommunityId, Entry},
    store::{self, EntryQuery},
};

impl Ledger {
    /// Entries of a journal by sequence. Without a transaction around it: they are only added, each together with what belongs to it.
    pub(crate) async fn watched_entries(
        &self,
        community: CommunityId,
        window: Window<i64>,
    ) -> Result<Vec<Entry>, Error> {
        let query = EntryQuery {
            after: window.after,
            limit: window.limit,
            ..EntryQuery::default()
        };
        let mut conn = self.pool.acquire().await?;
        Ok(store::entry_list(&mut conn, community, query).await?)
    }
}
