//! What can go wrong in a use case.

use crate::domain::{CommunityId, Refusal};

/// Why a use case has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The `etag` that was sent is not the account's.
    #[error("the account has changed in the meantime")]
    StaleEtag,
    /// Too many requests wait for this community.
    #[error("too many requests wait for this community")]
    Busy,
    /// The database went away while the request was under way; asking again with the same id settles it.
    #[error("the ledger was interrupted")]
    Interrupted,
    /// The ledger has no key, so it seals nothing.
    #[error("this ledger keeps no proofs: it has no key")]
    ProofNotKept,
    /// There is no such checkpoint, or none yet.
    #[error("there is no such checkpoint")]
    NoCheckpoint,
    /// The entry is not in a checkpoint yet.
    #[error("entry {sequence} is not sealed yet")]
    NotSealed {
        /// Which.
        sequence: i64,
    },
    /// The database does not continue what was sealed.
    #[error("community {community} does not continue what was sealed: {what}", community = community.0)]
    HistoryChanged {
        /// Whose.
        community: CommunityId,
        /// How it shows.
        what: &'static str,
    },
    /// The database rejects the request, which is our bug; the cause was logged.
    #[error("the database rejects the request")]
    Broken,
    /// The database failed.
    #[error("ledger store failed: {0}")]
    Store(#[from] sqlx::Error),
}
