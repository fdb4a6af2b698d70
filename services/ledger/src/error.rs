//! What can go wrong in a use case.

use crate::domain::Refusal;

/// Why a use case has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The `etag` that was sent is not the account's.
    #[error("the account has changed in the meantime")]
    StaleEtag,
    /// The database failed.
    #[error("ledger store failed: {0}")]
    Store(#[from] sqlx::Error),
}
