//! The public keys of issuers: JWK sets (RFC 7517) from a file or a URL, or one key of our own. Keys are read again now and then and when a
//! token names one that is not here; the last good set stays until there is a better one.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Issuer, Roles,
    issuers::{KeySource, MIN_INTERVAL},
    refusal::Untrusted,
};
use crate::{Clock, Nudge, Problem, Progress, spawn_worker};

const REFRESH: Duration = Duration::from_secs(300);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 256 * 1024;

/// An issuer and the keys that it has now.
#[derive(Debug)]
pub(super) struct Keyring {
    issuer: Issuer,
    set: Arc<Mutex<Set>>,
    refresh: Nudge,
}

#[derive(Debug, Default)]
struct Set {
    keys: Vec<Key>,
    /// What the keys were read from.
    published: JwkSet,
    /// Counts the different sets there have been.
    generation: u64,
    /// When the keys were last looked for.
    looked_at: Option<DateTime<Utc>>,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: Arc<DecodingKey>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?} {:?}", self.algorithm, self.id)
    }
}

impl Set {
    fn publish(&mut self, published: JwkSet) {
        if published != self.published {
            self.keys = published.keys.iter().filter_map(usable).collect();
            self.published = published;
            self.generation += 1;
        }
    }
}

impl Keyring {
    /// Reads the keys that are at hand; those behind a URL come with the first refresh.
    pub fn new(issuer: Issuer) -> Result<Self, Problem> {
        let mut set = Set::default();
        match &issuer.keys {
            KeySource::Own(public) => set.keys.push(Key {
                id: None,
                algorithm: Algorithm::EdDSA,
                key: Arc::new(DecodingKey::from_ed_der(public)),
            }),
            KeySource::File(path) => {
                let published = read(path)
                    .map_err(|error| Problem::new(format!("keys of {}: {error:#}", issuer.name)))?;
                set.publish(published);
            }
            KeySource::Url(_) => {}
        }
        Ok(Self {
            issuer,
            set: Arc::new(Mutex::new(set)),
            refresh: Nudge::default(),
        })
    }

    pub fn name(&self) -> &str {
        &self.issuer.name
    }

    pub fn audience(&self) -> &str {
        &self.issuer.audience
    }

    pub fn roles(&self) -> Roles {
        self.issuer.roles
    }

    /// Which of its sets of keys it has now.
    pub fn generation(&self) -> u64 {
        locked(&self.set).generation
    }

    /// The key of a token. One that is not here may have been made since the last look, so there is another look, but not all the time.
    pub fn key(
        &self,
        id: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(Arc<DecodingKey>, Algorithm), Untrusted> {
        let set = locked(&self.set);
        let found = match id {
            Some(id) => set.keys.iter().find(|key| key.id.as_deref() == Some(id)),
            None if set.keys.len() == 1 => set.keys.first(),
            None => None,
        };
        if let Some(key) = found {
            return Ok((key.key.clone(), key.algorithm));
        }
        let own = matches!(self.issuer.keys, KeySource::Own(_));
        let looked = set.looked_at.is_some_and(|at| {
            (now - at).abs() < TimeDelta::from_std(MIN_INTERVAL).unwrap_or_default()
        });
        let none_ever = set.keys.is_empty();
        if !own && (!looked || none_ever) {
            if !looked {
                self.refresh.nudge();
            }
            return Err(Untrusted::NoKeys);
        }
        Err(Untrusted::Invalid(
            "signed with a key that its issuer does not publish".to_owned(),
        ))
    }

    /// Starts what keeps the keys fresh.
    pub fn spawn_refresh(&self, tasks: &TaskTracker, stop: CancellationToken, clock: Clock) {
        if matches!(self.issuer.keys, KeySource::Own(_)) {
            return;
        }
        let (source, name) = (self.issuer.keys.clone(), self.issuer.name.clone());
        let (set, now) = (self.set.clone(), clock.clone());
        let work = move || {
            let (source, name) = (source.clone(), name.clone());
            let (set, now) = (set.clone(), now.clone());
            async move {
                let read = match &source {
                    KeySource::Own(_) => return Ok(Progress::Idle),
                    KeySource::File(path) => read(path),
                    KeySource::Url(url) => fetch(url).await,
                };
                let mut set = locked(&set);
                set.looked_at = Some(now.now());
                set.publish(read.with_context(|| format!("keys of {name}"))?);
                Ok(Progress::Idle)
            }
        };
        let nudge = self.refresh.clone();
        spawn_worker(tasks, stop, clock, REFRESH, nudge, "issuer keys", work);
    }
}

fn locked(set: &Mutex<Set>) -> std::sync::MutexGuard<'_, Set> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(path: &Path) -> anyhow::Result<JwkSet> {
    let text = std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

async fn fetch(url: &str) -> anyhow::Result<JwkSet> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_native_roots()
        .context("no root certificates")?
        .https_or_http()
        .enable_http1()
        .build();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let fetched = async {
        let answer = client.get(url.parse()?).await?;
        ensure!(answer.status().is_success(), "HTTP {}", answer.status());
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?;
        parse(&body.to_bytes())
    };
    tokio::time::timeout(FETCH_TIMEOUT, fetched)
        .await
        .with_context(|| format!("{url}: no answer in {FETCH_TIMEOUT:?}"))?
        .with_context(|| url.to_owned())
}

fn parse(text: &[u8]) -> anyhow::Result<JwkSet> {
    let set: JwkSet = serde_json::from_slice(text).context("not a JWK set")?;
    let any = set.keys.iter().any(|key| usable(key).is_some());
    ensure!(any, "no Ed25519 or RSA key for signatures in it");
    Ok(set)
}

/// A key that can be used here: Ed25519 or RSA, for signatures.
fn usable(jwk: &Jwk) -> Option<Key> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        _ => return None,
    };
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    Some(Key {
        id: jwk.common.key_id.clone(),
        algorithm,
        key: Arc::new(DecodingKey::from_jwk(jwk).ok()?),
    })
}
