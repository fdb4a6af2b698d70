//! What tells one mutating call from another.

use runtime::Actor;
use uuid::Uuid;

use super::Community;

/// What makes a mutating call the same call.
#[derive(Debug, Clone)]
pub struct Call {
    pub community: Community,
    /// The caller's.
    pub request_id: Uuid,
    /// The RPC.
    pub method: &'static str,
    /// SHA-256 of the request's content.
    pub fingerprint: [u8; 32],
    /// Who calls.
    pub by: Actor,
    /// What the call names: its `name` or `parent`.
    pub resource: String,
    /// Why, where the RPC asks for it.
    pub reason: Option<String>,
}
