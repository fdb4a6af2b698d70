//! Why a well-formed call is refused. A refusal is stored as the call's answer, so it carries values only.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A refusal by a rule; its `Display` is the English text for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// The resource is not there.
    #[error("{} {id} not found", resource.word())]
    NotFound { resource: Resource, id: Uuid },
    /// The chosen id is taken.
    #[error("{} {id} exists already", resource.word())]
    Exists { resource: Resource, id: Uuid },
    /// The resource's state does not allow this.
    #[error("{} {id} is {state}, not {needed}", resource.word())]
    WrongState {
        resource: Resource,
        id: Uuid,
        state: String,
        needed: String,
    },
    /// A wish can't be closed before it is begun.
    #[error("close_time {closes_at} is over")]
    CloseTimeOver { closes_at: DateTime<Utc> },
}

/// What kind of thing a refusal speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    Programme,
    Wish,
}

impl Resource {
    /// The English word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Programme => "programme",
            Self::Wish => "wish",
        }
    }
}
