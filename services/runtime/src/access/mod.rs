//! Who calls, and what they may do. Every call passes [`Guard::admit`] before any service sees it: it wants a token of a trusted issuer
//! with a role that the contract names for the method (`linli.access.v1`). What a call is about is checked where it is read, against the
//! [`Access`] that the call carries: communities by [`crate::Fields`], what must be the caller's own by [`Access::owns`].

mod callers;
mod guard;
mod issuers;
mod keys;
mod minter;
mod own_keys;
mod refusal;
mod role;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tonic::Status;
use uuid::Uuid;

pub(crate) use guard::{Admission, Guard};
pub(crate) use refusal::TOKEN_REASONS;

pub use callers::Callers;
pub use issuers::{Issuer, read_issuers};
pub use minter::{Bearer, Holder, Minter};
pub use own_keys::{KeyRefusal, Keys};
pub use role::{Role, Roles};
pub use token::Authority;

use token::Caller;

/// What a caller may do in one call; a request extension. One that was not admitted may do nothing.
#[derive(Debug, Clone, Default)]
pub struct Access {
    caller: Arc<Caller>,
    reach: Reach,
}

/// Who asked for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// In the words of the issuer.
    pub subject: String,
    /// In what capacities.
    pub roles: Roles,
}

/// How far a caller reaches in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The method is open to anyone.
    Anyone,
    /// Anything in the caller's communities, in these roles.
    Community(Roles),
    /// What is the caller's own, in these roles.
    Own(Roles),
}

impl Default for Reach {
    fn default() -> Self {
        Self::Own(Roles::default())
    }
}

impl Access {
    /// The access of a request that the server let in.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Who calls, in the words of the issuer; empty for a caller without a token.
    pub fn subject(&self) -> &str {
        &self.caller.subject
    }

    /// Who makes the call, as an audit log names them.
    pub fn actor(&self) -> Actor {
        Actor {
            subject: self.caller.subject.clone(),
            roles: self.roles(),
        }
    }

    /// From when on a stream that this call has begun is not to go on; nothing: it has no end.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.caller.until?, 0)
    }

    /// In what capacities this call is made.
    pub fn roles(&self) -> Roles {
        match self.reach {
            Reach::Anyone => Roles::default(),
            Reach::Community(roles) | Reach::Own(roles) => roles,
        }
    }

    /// Whether the call may only be about what is the caller's own.
    pub fn is_limited(&self) -> bool {
        matches!(self.reach, Reach::Own(_))
    }

    /// Whether the caller may see a community at all.
    pub fn sees(&self, community: Uuid) -> bool {
        self.reach == Reach::Anyone || self.caller.sees(community)
    }

    /// Whether `communities/{community}/{kind}/{id}` is within the call's reach: the caller's own, unless it reaches further.
    pub fn owns(&self, community: Uuid, kind: &str, id: Uuid) -> bool {
        match self.reach {
            Reach::Anyone => true,
            Reach::Community(_) => self.caller.sees(community),
            Reach::Own(roles) => {
                self.caller.sees(community)
                    && roles.iter().any(|role| role.owns().contains(&kind))
                    && self.caller.has(community, kind, id)
            }
        }
    }

    /// Whether the caller's token says that this is their own, however far the call reaches.
    pub fn is(&self, community: Uuid, kind: &str, id: Uuid) -> bool {
        self.caller.has(community, kind, id)
    }

    /// The one resource of a kind that the caller's token says is their own; nothing when it names none or several.
    pub fn only(&self, community: Uuid, kind: &str) -> Option<Uuid> {
        self.caller.only(community, kind)
    }

    /// Refuses the call unless `ok`: what it is about is the caller's own.
    pub fn require(&self, ok: bool) -> Result<(), Status> {
        if ok { Ok(()) } else { Err(self.not_yours()) }
    }

    /// PERMISSION_DENIED: it is not the caller's own, or not there; a caller who may only see its own is not told which.
    pub fn not_yours(&self) -> Status {
        refusal::not_yours()
    }

    /// PERMISSION_DENIED: not a community of the caller.
    pub(crate) fn not_your_community(&self) -> Status {
        refusal::not_your_community()
    }

    /// The access of a service: everything, everywhere.
    #[cfg(any(test, feature = "testing"))]
    pub fn everything(subject: &str) -> Self {
        let holder = Holder::everywhere(subject, [Role::Service]);
        Self {
            reach: Reach::Community(holder.roles),
            caller: Arc::new(Caller::holding(holder)),
        }
    }
}
