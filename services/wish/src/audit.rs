//! The audit log: who asked for which change. It is what the memory of answers keeps of each call.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    Error, Page, Wishes,
    store::{
        self,
        answer::{Asked, AuditFilter},
    },
};

impl Wishes {
    /// Lists who asked for which change, newest first.
    pub(crate) async fn list_audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<(DateTime<Utc>, Uuid)>,
        size: i64,
    ) -> Result<Page<Asked, (DateTime<Utc>, Uuid)>, Error> {
        let rows = store::answer::list(&self.pool, filter, after, size + 1).await?;
        Ok(Page::cut(rows, size, |asked| {
            (asked.recorded_at, asked.request_id)
        }))
    }
}
