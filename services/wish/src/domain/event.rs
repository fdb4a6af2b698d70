//! Events: that something came about or came to another state, for whoever wants to hear of it. An event says what changed and to what; what it is now
//! is the resource's own to say.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Community;

/// An event to write down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What changed and the state it came to, as the contract writes it but in small letters.
    pub kind: String,
    /// Name of what changed, within its community.
    pub subject: String,
    /// Whom it is about: who promised, or who was asked. Never who is helped.
    pub member: Option<Uuid>,
}

/// An event as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// 1, 2, 3 … within the community.
    pub sequence: i64,
    /// One that a later release wrote may not be known here.
    pub kind: String,
    pub subject: String,
    pub member: Option<Uuid>,
    pub at: DateTime<Utc>,
}

/// Whose events to read.
#[derive(Debug, Clone, Copy)]
pub struct EventFilter {
    pub community: Community,
    /// `None`: everyone's, and those about nobody.
    pub member: Option<Uuid>,
}
