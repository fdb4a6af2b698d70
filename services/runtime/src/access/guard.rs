//! The one place where a call is admitted.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderMap, header::AUTHORIZATION};
use prost_reflect::DescriptorPool;
use tonic::Status;

use super::{
    Access, Authority, Callers, Reach,
    refusal::{self, Untrusted},
    token::Caller,
};
use crate::Problem;

/// What every call has to pass.
#[derive(Debug)]
pub(crate) struct Guard {
    /// By path, as in `/linli.ledger.v1.LedgerService/GetAccount`.
    methods: HashMap<String, Callers>,
    authority: Authority,
}

impl Guard {
    /// Reads from the contracts who may call each method; fails if one of them does not say.
    pub fn new(descriptor: &[u8], authority: Authority) -> Result<Self, Problem> {
        let pool = DescriptorPool::decode(descriptor)
            .map_err(|error| Problem::new(format!("a contract can't be read: {error}")))?;
        let mut methods = HashMap::new();
        for service in pool.services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                methods.insert(path, Callers::of(&method)?);
            }
        }
        Ok(Self { methods, authority })
    }

    /// Admits a call or refuses it. A path that is in no contract of ours (health, reflection, nothing at all) is open to anyone.
    pub fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Access, Status> {
        let open = Access {
            caller: Arc::new(Caller::default()),
            reach: Reach::Anyone,
        };
        let Some(callers) = self.methods.get(path) else {
            return Ok(open);
        };
        if callers.anyone {
            return Ok(open);
        }
        let caller = self.authority.caller(bearer(headers)?)?;
        let reach = match (
            callers.community.and(caller.roles),
            callers.own.and(caller.roles),
        ) {
            (community, _) if !community.is_empty() => Reach::Community(community),
            (_, own) if !own.is_empty() => Reach::Own(own),
            _ => return Err(refusal::role_not_allowed(caller.roles, callers)),
        };
        Ok(Access { caller, reach })
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Untrusted> {
    let value = headers.get(AUTHORIZATION).ok_or(Untrusted::Missing)?;
    let token = value.to_str().ok().and_then(|text| {
        // The scheme's case does not matter (RFC 9110, 11.1).
        let (scheme, token) = text.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    let why = || Untrusted::Invalid("not of the form Bearer …".to_owned());
    token.filter(|token| !token.is_empty()).ok_or_else(why)
}
