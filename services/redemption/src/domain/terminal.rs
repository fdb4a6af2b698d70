//! Stores, the tills in them, and the secrets that let a till in.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Refusal, Resource};

/// How long a pairing code lasts.
pub const PAIRING_TIME: TimeDelta = TimeDelta::minutes(10);
/// How a terminal's key begins: what it is, and in which form.
pub const KEY_PREFIX: &str = "lt1.";
/// Crockford's base 32: no two characters that people mistake for one another.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_CHARS: usize = 8;

/// A place where a merchant serves people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// The community.
    pub community: Uuid,
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub merchant: Uuid,
    /// The merchant's number of it.
    pub number: String,
    /// Its name.
    pub display_name: String,
    /// Whether its tills are paired only over connections with a client certificate.
    #[serde(default)]
    pub require_certificate: bool,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
}

/// A till of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// The community.
    pub community: Uuid,
    /// Its id.
    pub id: Uuid,
    /// Where it stands.
    pub store: Uuid,
    /// Whose it is.
    pub merchant: Uuid,
    /// Its name.
    pub display_name: String,
    /// When it was paired.
    pub paired_at: DateTime<Utc>,
    /// The client certificate that its newest key is bound to, if it is to one.
    #[serde(default)]
    pub certificate: Option<Thumbprint>,
    /// When and why it was shut out, if it was.
    pub revoked: Option<Revoked>,
}

/// That a terminal was shut out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// SHA-256 of the public key of a till's client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbprint(pub [u8; 32]);

/// Why a key does not count over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbound {
    /// The connection has no certificate.
    NoCertificate,
    /// It has another one than the key is bound to.
    OtherCertificate,
}

impl Thumbprint {
    /// Sees that a key bound to some certificate, or to none, is presented with it; one that is bound to none counts with any.
    pub fn check(bound: Option<Self>, presented: Option<Self>) -> Result<(), Unbound> {
        match (bound, presented) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Unbound::NoCertificate),
            (Some(bound), Some(presented)) if bound == presented => Ok(()),
            (Some(_), Some(_)) => Err(Unbound::OtherCertificate),
        }
    }
}

impl Store {
    /// Sees that a till that shows this certificate, or none, may be paired with it.
    pub fn admit(&self, certificate: Option<Thumbprint>) -> Result<(), Refusal> {
        if self.require_certificate && certificate.is_none() {
            return Err(Refusal::CertificateRequired { store: self.id });
        }
        Ok(())
    }
}

impl Terminal {
    /// Shuts it out.
    pub fn revoke(self, at: DateTime<Utc>, reason: String) -> Result<Self, Refusal> {
        if self.revoked.is_some() {
            return Err(Refusal::WrongState {
                resource: Resource::Terminal,
                id: self.id,
                state: "revoked".to_owned(),
            });
        }
        Ok(Self {
            revoked: Some(Revoked { at, reason }),
            ..self
        })
    }
}

/// SHA-256 of a secret: all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// The hash of a secret.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

/// What a till is paired with.
pub struct PairingCode([u8; CODE_CHARS]);

impl PairingCode {
    /// The code that some random bytes make.
    pub fn new(random: [u8; 32]) -> Self {
        let mut code = [0; CODE_CHARS];
        for (letter, byte) in code.iter_mut().zip(random) {
            *letter = ALPHABET[usize::from(byte % 32)];
        }
        Self(code)
    }

    /// Reads what somebody typed.
    pub fn read(typed: &str) -> Option<Self> {
        let letters = typed.bytes().filter(|byte| !b" -".contains(byte));
        let letters: Option<Vec<u8>> = letters.map(plain).collect();
        Some(Self(letters?.try_into().ok()?))
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

impl fmt::Display for PairingCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.0);
        let (first, second) = text.split_at(CODE_CHARS / 2);
        write!(out, "{first}-{second}")
    }
}

/// The letter that is meant.
fn plain(typed: u8) -> Option<u8> {
    let meant = match typed.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    ALPHABET.contains(&meant).then_some(meant)
}

/// What a till calls with: whose it is, and a secret.
pub struct TerminalKey {
    /// The community.
    pub community: Uuid,
    /// The terminal.
    pub terminal: Uuid,
    secret: [u8; 32],
}

impl TerminalKey {
    /// A key of a terminal with a random secret.
    pub fn new(community: Uuid, terminal: Uuid, secret: [u8; 32]) -> Self {
        Self {
            community,
            terminal,
            secret,
        }
    }

    /// Reads a key.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(KEY_PREFIX)?.split('.');
        let community = Uuid::try_parse(parts.next()?).ok()?;
        let terminal = Uuid::try_parse(parts.next()?).ok()?;
        let secret = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        if parts.next().is_some() {
            return None;
        }
        Some(Self::new(community, terminal, secret.try_into().ok()?))
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.secret)
    }
}

impl fmt::Display for TerminalKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (community, terminal) = (self.community.simple(), self.terminal.simple());
        let secret = URL_SAFE_NO_PAD.encode(self.secret);
        write!(out, "{KEY_PREFIX}{community}.{terminal}.{secret}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = PairingCode::new([33; 32]);
        assert_eq!(code.to_string(), "1111-1111");
        for typed in ["11111111", "1111-1111", " iIlL 1111 ", "1111-iiii"] {
            assert!(
                PairingCode::read(typed).unwrap().hash() == code.hash(),
                "{typed}"
            );
        }
        for wrong in ["", "1111-111", "1111-11112", "1111-111U", "1111-111一"] {
            assert!(PairingCode::read(wrong).is_none(), "{wrong}");
        }
        let other = PairingCode::new(std::array::from_fn(|index| {
            u8::try_from(index + 10).unwrap()
        }));
        assert_eq!(other.to_string(), "ABCD-EFGH");
        assert!(PairingCode::read("abcd efgh").unwrap().hash() == other.hash());
    }

    #[test]
    fn a_bound_key_counts_with_its_certificate_alone() {
        let (ours, other) = (Some(Thumbprint([1; 32])), Some(Thumbprint([2; 32])));
        for presented in [None, ours, other] {
            assert_eq!(Thumbprint::check(None, presented), Ok(()));
        }
        assert_eq!(Thumbprint::check(ours, ours), Ok(()));
        assert_eq!(Thumbprint::check(ours, None), Err(Unbound::NoCertificate));
        let refused = Thumbprint::check(ours, other);
        assert_eq!(refused, Err(Unbound::OtherCertificate));
    }

    #[test]
    fn a_key_says_whose_it_is_and_is_read_as_it_was_written() {
        let key = TerminalKey::new(Uuid::from_u128(1), Uuid::from_u128(2), [7; 32]);
        let text = key.to_string();
        let read = TerminalKey::read(&text).unwrap();
        assert_eq!(
            (read.community, read.terminal),
            (key.community, key.terminal)
        );
        assert!(read.hash() == key.hash());
        let wrong = [
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}.x"),
            "lt1.a.b.c",
        ];
        for wrong in wrong {
            assert!(TerminalKey::read(wrong).is_none(), "{wrong}");
        }
    }
}
