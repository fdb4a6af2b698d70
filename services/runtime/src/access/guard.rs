//! The one place where a call is admitted.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use http::{HeaderMap, header::AUTHORIZATION};
use prost_reflect::DescriptorPool;
use tonic::Status;

use super::{
    Access, Authority, Callers, Keys, Reach,
    refusal::{self, Untrusted},
    token::Caller,
};
use crate::{Problem, Thumbprint};

/// What every call has to pass.
#[derive(Debug)]
pub(crate) struct Guard {
    /// By path, as in `/linli.ledger.v1.LedgerService/GetAccount`.
    methods: HashMap<String, Callers>,
    authority: Authority,
    keys: Option<Keys>,
}

/// What comes of asking to be let in.
pub(crate) enum Admission {
    /// At once.
    Now(Access),
    /// When the service has said whose a key is.
    Asked(Pin<Box<dyn Future<Output = Result<Access, Status>> + Send>>),
}

impl Guard {
    /// Reads from the contracts who may call each method; fails if one of them does not say.
    pub fn new(
        descriptor: &[u8],
        authority: Authority,
        keys: Option<Keys>,
    ) -> Result<Self, Problem> {
        let pool = DescriptorPool::decode(descriptor)
            .map_err(|error| Problem::new(format!("a contract can't be read: {error}")))?;
        let mut methods = HashMap::new();
        for service in pool.services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                methods.insert(path, Callers::of(&method)?);
            }
        }
        Ok(Self {
            methods,
            authority,
            keys,
        })
    }

    /// Admits a call over a connection with that certificate, or refuses it. A path that is in no contract of ours (health, reflection, nothing at all) is open to anyone.
    pub fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        certificate: Option<Thumbprint>,
    ) -> Result<Admission, Status> {
        let open = Access {
            caller: Arc::new(Caller::default()),
            reach: Reach::Anyone,
        };
        let callers = match self.methods.get(path) {
            Some(callers) if !callers.anyone => *callers,
            _ => return Ok(Admission::Now(open)),
        };
        let token = bearer(headers)?;
        if let Some(keys) = self.keys.as_ref().filter(|keys| keys.takes(token)) {
            let asked = keys.find(token, certificate);
            let authority = self.authority.clone();
            return Ok(Admission::Asked(Box::pin(async move {
                let holder = asked.await.map_err(Untrusted::from)?;
                reach(Arc::new(authority.holding(holder)), &callers)
            })));
        }
        reach(self.authority.caller(token)?, &callers).map(Admission::Now)
    }
}

/// How far a caller reaches in a call of a method.
fn reach(caller: Arc<Caller>, callers: &Callers) -> Result<Access, Status> {
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
