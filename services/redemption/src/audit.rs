//! The audit log: who asked for which change. It is what the memory of answers keeps of each call.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    Error, Redemption,
    store::{self, Asked, AuditFilter, Page},
};

impl Redemption {
    /// Lists who asked for which change, newest first.
    pub async fn list_audit_entries(
        &self,
        filter: &AuditFilter,
        page: Page<(DateTime<Utc>, Uuid)>,
    ) -> Result<Vec<Asked>, Error> {
        Ok(store::answer_list(&self.pool, filter, page).await?)
    }
}
