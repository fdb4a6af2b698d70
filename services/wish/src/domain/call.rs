//! What tells one mutating call from another.

use runtime::Actor;
use sha2::{Digest, Sha256};
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

impl Call {
    /// The same call by somebody else is another one.
    pub fn of_its_caller(mut self) -> Self {
        let mut content = Sha256::new_with_prefix(self.fingerprint);
        content.update(&self.by.subject);
        self.fingerprint = content.finalize().into();
        self
    }
}
