//! Visits to people on the roster. What was found is sealed with the person and stands nowhere here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Community;

/// How a visitor found somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    Well,
    NeedsAttention,
    Urgent,
    /// Nobody was there.
    NotMet,
}

/// That somebody was visited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    pub community: Community,
    pub id: Uuid,
    pub beneficiary: Uuid,
    /// A member.
    pub visitor: Uuid,
    pub condition: Condition,
    pub visited_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}
