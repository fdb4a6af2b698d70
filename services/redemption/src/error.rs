//! How a use case fails.

use crate::domain::{Name, Refusal, Resource};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule says no; final.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// Another service does not answer; the same call may be made again.
    #[error("the {0} service does not answer")]
    Unavailable(&'static str),
    /// Too many calls of the community wait; the same call may be made again, after a while.
    #[error("too many calls wait for this community")]
    Busy,
    /// Another call was first; the same call may be made again.
    #[error("another call changed the same thing first")]
    Conflict,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] sqlx::Error),
    /// Something is as it never should be.
    #[error("{0}")]
    Broken(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Error {
    /// It is not there.
    pub(crate) fn not_found(resource: Resource, name: Name) -> Self {
        Self::Refused(Refusal::NotFound {
            resource,
            id: name.id,
        })
    }
}
