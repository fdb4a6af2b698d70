//! Wishes that are published together.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    refusal::{Refusal, Resource},
};

/// A round of wishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    pub community: Community,
    pub id: Uuid,
    pub title: String,
    /// By id.
    pub wishes: Vec<Uuid>,
    pub created_at: DateTime<Utc>,
    /// Nothing while it is a draft.
    pub published_at: Option<DateTime<Utc>>,
}

impl Round {
    /// Publishes a draft.
    pub fn publish(mut self, now: DateTime<Utc>) -> Result<Self, Refusal> {
        if self.published_at.is_some() {
            return Err(Refusal::WrongState {
                resource: Resource::Round,
                id: self.id,
                state: "PUBLISHED".to_owned(),
                needed: "DRAFT".to_owned(),
            });
        }
        self.published_at = Some(now);
        Ok(self)
    }
}
