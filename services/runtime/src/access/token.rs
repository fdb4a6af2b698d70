//! Tokens: JWTs (RFC 7519) of trusted issuers. A token that was verified once is known until it expires, so that a signature is checked
//! once a token and not once a call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jsonwebtoken::{Validation, dangerous, decode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{Holder, Issuer, Role, Roles, keys::Keyring, refusal::Untrusted};
use crate::{Clock, Problem};

/// How far an issuer's clock may be from ours.
const LEEWAY_SECONDS: i64 = 30;
/// How long a stream may go on that a key has begun.
const KEY_SECONDS: i64 = 600;
const MAX_TOKEN_BYTES: usize = 8 * 1024;
const MAX_SUBJECT_CHARS: usize = 120;
/// A few megabytes; then those that have expired are forgotten, and if none has, all.
const MAX_KNOWN: usize = 16_384;
/// The community that stands for all.
pub(super) const EVERY_COMMUNITY: &str = "*";

/// Says of a token who holds it. Clones share everything.
#[derive(Debug, Clone)]
pub struct Authority(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    issuers: Vec<Keyring>,
    /// By SHA-256 of the token.
    known: Mutex<HashMap<[u8; 32], Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    caller: Arc<Caller>,
    /// Which issuer's, and of which of its sets of keys.
    issuer: usize,
    generation: u64,
    /// In seconds since 1970, as in the token.
    from: i64,
    until: i64,
}

/// Who holds a token.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    pub subject: String,
    pub roles: Roles,
    communities: Communities,
    resources: Vec<String>,
    /// From when on it counts no more, in seconds since 1970; nothing: it has no end.
    pub until: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Communities {
    All,
    Some(Vec<Uuid>),
}

impl Default for Communities {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

/// What a token of our own says.
#[derive(Serialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub exp: i64,
    pub nbf: i64,
    pub roles: Vec<String>,
    pub communities: Vec<String>,
    pub resources: Vec<String>,
}

/// What is read of a token before its signature is checked.
#[derive(Deserialize)]
struct Unproven {
    iss: String,
}

/// What is trusted in a token once its signature is checked; the library has checked `iss` and `aud`, which may be a list.
#[derive(Deserialize)]
struct Proven {
    sub: String,
    exp: i64,
    #[serde(default)]
    nbf: i64,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    communities: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
}

impl Authority {
    /// Trusts some issuers; the keys that are kept in files are read at once.
    pub fn new(clock: Clock, issuers: Vec<Issuer>) -> Result<Self, Problem> {
        let issuers: Result<_, _> = issuers.into_iter().map(Keyring::new).collect();
        Ok(Self(Arc::new(Inner {
            clock,
            issuers: issuers?,
            known: Mutex::default(),
        })))
    }

    /// Starts what keeps the issuers' keys fresh. It ends with `stop`.
    pub fn spawn_workers(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        for issuer in &self.0.issuers {
            issuer.spawn_refresh(tasks, stop.clone(), self.0.clock.clone());
        }
    }

    /// Says who holds a token.
    pub(super) fn caller(&self, token: &str) -> Result<Arc<Caller>, Untrusted> {
        if token.len() > MAX_TOKEN_BYTES {
            let why = format!("longer than {MAX_TOKEN_BYTES} bytes");
            return Err(Untrusted::Invalid(why));
        }
        let now = self.0.clock.now().timestamp();
        let hash: [u8; 32] = Sha256::digest(token).into();
        let before = self.known().get(&hash).cloned();
        // A key that its issuer has taken back proves nothing any more.
        let fresh = |known: &Known| self.0.issuers[known.issuer].generation() == known.generation;
        let known = match before.filter(fresh) {
            Some(known) => known,
            None => {
                let known = self.verify(token)?;
                self.keep(hash, known.clone(), now);
                known
            }
        };
        if now >= known.until.saturating_add(LEEWAY_SECONDS) {
            return Err(Untrusted::Expired);
        }
        if now < known.from.saturating_sub(LEEWAY_SECONDS) {
            return Err(Untrusted::NotYetValid);
        }
        Ok(known.caller)
    }

    fn verify(&self, token: &str) -> Result<Known, Untrusted> {
        let malformed = |_| Untrusted::Invalid("not a JWT with iss".to_owned());
        let header = jsonwebtoken::decode_header(token).map_err(malformed)?;
        let Unproven { iss } = dangerous::insecure_decode_claims(token).map_err(malformed)?;
        let issuers = &self.0.issuers;
        let index = issuers
            .iter()
            .position(|issuer| issuer.name() == iss)
            .ok_or_else(|| Untrusted::Invalid("of an issuer that is not trusted".to_owned()))?;
        let issuer = &issuers[index];
        let generation = issuer.generation();
        let (key, algorithm) = issuer.key(header.kid.as_deref(), self.0.clock.now())?;
        // What the key is decides, never what the token says of itself.
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[issuer.audience()]);
        validation.set_issuer(&[issuer.name()]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // These go by our own clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let proven = decode::<Proven>(token, &key, &validation)
            .map_err(|error| Untrusted::Invalid(error.to_string()))?
            .claims;
        let length = proven.sub.chars().count();
        if !(1..=MAX_SUBJECT_CHARS).contains(&length) || proven.sub.chars().any(char::is_control) {
            let why = format!("sub has to be 1 to {MAX_SUBJECT_CHARS} plain characters");
            return Err(Untrusted::Invalid(why));
        }
        Ok(Known {
            from: proven.nbf,
            until: proven.exp,
            caller: Arc::new(Caller::new(proven, issuer.roles())),
            issuer: index,
            generation,
        })
    }

    /// A caller by a key, which is looked up again at each call: what goes on longer asks anew after some minutes.
    pub(super) fn holding(&self, holder: Holder) -> Caller {
        let until = self.0.clock.now().timestamp() + KEY_SECONDS;
        Caller {
            until: Some(until),
            ..Caller::holding(holder)
        }
    }

    fn keep(&self, hash: [u8; 32], known: Known, now: i64) {
        let mut all = self.known();
        if all.len() >= MAX_KNOWN {
            all.retain(|_, known| now < known.until);
        }
        if all.len() >= MAX_KNOWN {
            all.clear();
        }
        all.insert(hash, known);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller {
    fn new(claims: Proven, may_have: Roles) -> Self {
        let named = claims.roles.iter();
        let roles = Roles::from_iter(named.filter_map(|name| name.parse::<Role>().ok()));
        let until = Some(claims.exp.saturating_add(LEEWAY_SECONDS));
        let caller = Self::holding(Holder {
            subject: claims.sub,
            roles: roles.and(may_have),
            communities: claims.communities,
            resources: claims.resources,
        });
        Self { until, ..caller }
    }

    pub fn holding(holder: Holder) -> Self {
        let communities = if holder.communities.iter().any(|id| id == EVERY_COMMUNITY) {
            Communities::All
        } else {
            let ids = holder.communities.iter();
            Communities::Some(ids.filter_map(|id| Uuid::try_parse(id).ok()).collect())
        };
        Self {
            subject: holder.subject,
            roles: holder.roles,
            communities,
            resources: holder.resources,
            until: None,
        }
    }

    pub fn sees(&self, community: Uuid) -> bool {
        match &self.communities {
            Communities::All => true,
            Communities::Some(ids) => ids.contains(&community),
        }
    }

    /// The one resource of a kind in a community; nothing when there are several.
    pub fn only(&self, community: Uuid, kind: &str) -> Option<Uuid> {
        let within = format!("communities/{community}/{kind}/");
        let mut ids = self
            .resources
            .iter()
            .filter_map(|name| name.strip_prefix(&within));
        let only = ids.next()?;
        ids.next().is_none().then(|| only.parse().ok())?
    }

    pub fn has(&self, community: Uuid, kind: &str, id: Uuid) -> bool {
        let name = format!("communities/{community}/{kind}/{id}");
        self.resources.contains(&name)
    }
}
