//! Tokens of our own: the services' for each other, and those of the issuer that `linli up` has for trying out.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::{Issuer, Role, Roles, issuers::KeySource, token::Claims, token::EVERY_COMMUNITY};
use crate::Clock;

const AUDIENCE: &str = "linli";
/// How long the token lasts that is sent with calls; a new one is made when half of it is over.
const BEARER_LIFE: TimeDelta = TimeDelta::minutes(10);

/// Signs tokens with an Ed25519 key. Clones share the key.
#[derive(Clone)]
pub struct Minter {
    issuer: &'static str,
    signer: Arc<EncodingKey>,
    public: Vec<u8>,
}

impl std::fmt::Debug for Minter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Minter({})", self.issuer)
    }
}

impl Minter {
    /// Signs as `issuer`, with the key that has this seed.
    pub fn new(issuer: &'static str, seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed");
        let document = pair.to_pkcs8v1().expect("a key has a document");
        Self {
            issuer,
            signer: Arc::new(EncodingKey::from_ed_der(document.as_ref())),
            public: pair.public_key().as_ref().to_vec(),
        }
    }

    /// Its issuer, for those who are to trust it; its tokens may give these roles.
    pub fn issuer(&self, roles: Roles) -> Issuer {
        Issuer {
            name: self.issuer.to_owned(),
            audience: AUDIENCE.to_owned(),
            roles,
            keys: KeySource::Own(self.public.clone()),
        }
    }

    /// Makes a token for someone.
    pub fn mint(&self, holder: &Holder, from: DateTime<Utc>, life: TimeDelta) -> String {
        let claims = Claims {
            iss: self.issuer.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: holder.subject.clone(),
            nbf: from.timestamp(),
            exp: (from + life).timestamp(),
            roles: holder
                .roles
                .iter()
                .map(|role| role.name().to_owned())
                .collect(),
            communities: holder.communities.clone(),
            resources: holder.resources.clone(),
        };
        encode(&Header::new(Algorithm::EdDSA), &claims, &self.signer)
            .expect("claims are JSON and the key signs")
    }
}

/// Who is to hold a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// `sub`.
    pub subject: String,
    /// `roles`.
    pub roles: Roles,
    /// `communities`.
    pub communities: Vec<String>,
    /// `resources`.
    pub resources: Vec<String>,
}

impl Holder {
    /// Someone who sees every community, in these roles.
    pub fn everywhere(subject: &str, roles: impl IntoIterator<Item = Role>) -> Self {
        Self {
            subject: subject.to_owned(),
            roles: Roles::from_iter(roles),
            communities: vec![EVERY_COMMUNITY.to_owned()],
            resources: Vec::new(),
        }
    }
}

/// The token that somebody's calls carry, made anew in time. Clones share it.
#[derive(Debug, Clone)]
pub struct Bearer(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    /// Someone else made it.
    Given(HeaderValue),
    Minted {
        minter: Minter,
        holder: Holder,
        clock: Clock,
        last: Mutex<Option<(DateTime<Utc>, HeaderValue)>>,
    },
}

impl Bearer {
    /// Sends a token that was given.
    pub fn given(token: &str) -> Result<Self, crate::Problem> {
        let value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| crate::Problem::new("the token has characters that no token has"))?;
        Ok(Self(Arc::new(Inner::Given(value))))
    }

    /// Sends tokens of `minter` for `holder`.
    pub fn minted(minter: Minter, holder: Holder, clock: Clock) -> Self {
        Self(Arc::new(Inner::Minted {
            minter,
            holder,
            clock,
            last: Mutex::default(),
        }))
    }

    /// The header's value now.
    pub(crate) fn value(&self) -> HeaderValue {
        let (minter, holder, clock, last) = match &*self.0 {
            Inner::Given(value) => return value.clone(),
            Inner::Minted {
                minter,
                holder,
                clock,
                last,
            } => (minter, holder, clock, last),
        };
        let now = clock.now();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((made, value)) if (now - made).abs() < BEARER_LIFE / 2 => value.clone(),
            _ => {
                let token = minter.mint(holder, now, BEARER_LIFE);
                let value = HeaderValue::try_from(format!("Bearer {token}"))
                    .expect("a token is letters, digits and dots");
                *last = Some((now, value.clone()));
                value
            }
        }
    }
}
