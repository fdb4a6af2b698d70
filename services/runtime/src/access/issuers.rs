//! Whose tokens are trusted, and for what: a file of the operator.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{Role, Roles};
use crate::Problem;

/// How long there is at least between two looks for a key that is not known.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(10);

/// Somebody whose tokens are trusted.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What its tokens have as `iss`.
    pub(super) name: String,
    /// What its tokens have as `aud`.
    pub(super) audience: String,
    /// The roles that its tokens may give.
    pub(super) roles: Roles,
    pub(super) keys: KeySource,
}

/// Where its public keys are.
#[derive(Debug, Clone)]
pub(super) enum KeySource {
    /// A JWK set in a file.
    File(PathBuf),
    /// A JWK set behind a URL.
    Url(String),
    /// This Ed25519 key.
    Own(Vec<u8>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    issuer: Vec<WrittenIssuer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenIssuer {
    iss: String,
    aud: String,
    keys: String,
    roles: Vec<Role>,
}

/// Reads the issuers of a file; `reserved` are names that none of them may have.
pub fn read_issuers(path: &Path, reserved: &[&str]) -> Result<Vec<Issuer>, Problem> {
    let wrong = |why: &dyn std::fmt::Display| Problem::new(format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let written: Written = toml::from_str(&text).map_err(|error| wrong(&error))?;
    let mut names = HashSet::new();
    let mut issuers = Vec::new();
    for one in written.issuer {
        let of = |why: &str| wrong(&format!("issuer {:?}: {why}", one.iss));
        if one.iss.is_empty() || one.aud.is_empty() {
            return Err(of("iss and aud are both needed"));
        }
        if reserved.contains(&one.iss.as_str()) {
            return Err(of("this name is for trying out only; take another"));
        }
        if !names.insert(one.iss.clone()) {
            return Err(of("named twice"));
        }
        if one.roles.is_empty() {
            return Err(of("roles has to name at least one"));
        }
        if one.roles.contains(&Role::Service) {
            return Err(of("the role service is given by LINLI_SERVICE_KEY only"));
        }
        let keys = if one.keys.starts_with("https://") {
            KeySource::Url(one.keys)
        } else if let Some(rest) = one.keys.strip_prefix("http://") {
            // Whoever can change the answer on its way could sign anything.
            if !["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
                rest.strip_prefix(host)
                    .is_some_and(|rest| rest.starts_with([':', '/']))
            }) {
                return Err(of("keys come over https only, unless from this machine"));
            }
            KeySource::Url(one.keys)
        } else {
            let beside = path.parent().unwrap_or(Path::new("."));
            KeySource::File(beside.join(one.keys))
        };
        issuers.push(Issuer {
            name: one.iss,
            audience: one.aud,
            roles: Roles::from_iter(one.roles),
            keys,
        });
    }
    Ok(issuers)
}
