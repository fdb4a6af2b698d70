//! Signed notes (C2SP signed-note) and the checkpoints written in them (C2SP tlog-checkpoint), with Ed25519 keys.
//!
//! A note is its text, an empty line and a signature line `— {name} {base64 of key hash and signature}`. The key hash is the first four
//! bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). A verifier key is written `{name}+{key hash}+{base64 of 0x01 ‖ public key}`, a
//! signer key `PRIVATE+KEY+{name}+{key hash}+{base64 of 0x01 ‖ seed}`. The text of a checkpoint:
//!
//! ```text
//! linli/{community}
//! {size of the tree}
//! {root, base64}
//! definitions {count} {chain, base64}
//! refusals {count} {chain, base64}
//! ```

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::tree::{Hash, chain};
use crate::domain::CommunityId;

const ED25519: u8 = 1;
const PRIVATE: &str = "PRIVATE+KEY+";

/// A key or note that can't be read, or a signature that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not `PRIVATE+KEY+name+hash+base64`.
    #[error("not a signer key like PRIVATE+KEY+name+hash+base64")]
    SignerKey,
    /// Not `name+hash+base64`.
    #[error("not a verifier key like name+hash+base64")]
    VerifierKey,
    /// Not text, an empty line and signatures.
    #[error("not a signed note")]
    Malformed,
    /// No line is of this key.
    #[error("the note is not signed with this key")]
    NotSigned,
    /// A line says it is of this key, and is not.
    #[error("the note's signature is wrong: it was changed, or is signed with another key")]
    WrongSignature,
}

/// What signs checkpoints.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    verifier: Verifier,
}

impl fmt::Debug for Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key itself is no one's business.
        write!(out, "Signer({})", self.verifier)
    }
}

impl Signer {
    /// A key of this name from 32 random bytes. The name has no space and no `+`.
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, NoteError> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
            return Err(NoteError::SignerKey);
        }
        let key = SigningKey::from_bytes(&seed);
        let verifier = Verifier {
            name: name.to_owned(),
            key: key.verifying_key(),
        };
        Ok(Self { key, verifier })
    }

    /// What verifies its signatures.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The key as text, as it is kept in secret.
    pub fn secret_text(&self) -> String {
        let Verifier { name, .. } = &self.verifier;
        let bytes = [&[ED25519][..], self.key.as_bytes()].concat();
        let hash = hex(self.verifier.hash());
        format!("{PRIVATE}{name}+{hash}+{}", BASE64_STANDARD.encode(bytes))
    }

    /// Signs a text, which ends with a line feed.
    pub fn sign(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        let bytes = [&self.verifier.hash()[..], &signature].concat();
        let (name, signature) = (&self.verifier.name, BASE64_STANDARD.encode(bytes));
        format!("{text}\n— {name} {signature}\n")
    }
}

impl FromStr for Signer {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let key = text.strip_prefix(PRIVATE).ok_or(NoteError::SignerKey)?;
        let (name, hash, seed) = parts(key).ok_or(NoteError::SignerKey)?;
        let signer = Self::from_seed(name, seed)?;
        if hex(signer.verifier.hash()) == hash {
            Ok(signer)
        } else {
            Err(NoteError::SignerKey)
        }
    }
}

/// What verifies a signer's notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
}

impl Verifier {
    fn hash(&self) -> [u8; 4] {
        let hash = Sha256::new().chain_update(&self.name);
        let hash: Hash = hash
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize()
            .into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// The text of a note that this key signed.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let (text, signatures) = split(note).ok_or(NoteError::Malformed)?;
        for line in signatures.lines() {
            let line = line.strip_prefix("— ").ok_or(NoteError::Malformed)?;
            let (name, signature) = line.split_once(' ').ok_or(NoteError::Malformed)?;
            let bytes = BASE64_STANDARD
                .decode(signature)
                .map_err(|_| NoteError::Malformed)?;
            let (hash, signature) = bytes.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
            if name != self.name || *hash != self.hash() {
                continue;
            }
            let signature =
                Signature::from_slice(signature).map_err(|_| NoteError::WrongSignature)?;
            let verified = self.key.verify_strict(text.as_bytes(), &signature);
            return verified
                .map(|()| text)
                .map_err(|_| NoteError::WrongSignature);
        }
        Err(NoteError::NotSigned)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[ED25519][..], self.key.as_bytes()].concat();
        let (hash, key) = (hex(self.hash()), BASE64_STANDARD.encode(bytes));
        write!(out, "{}+{hash}+{key}", self.name)
    }
}

impl FromStr for Verifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, hash, key) = parts(text).ok_or(NoteError::VerifierKey)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| NoteError::VerifierKey)?;
        let verifier = Self {
            name: name.to_owned(),
            key,
        };
        if hex(verifier.hash()) == hash {
            Ok(verifier)
        } else {
            Err(NoteError::VerifierKey)
        }
    }
}

/// Name, hash and the 32 bytes of a key.
fn parts(key: &str) -> Option<(&str, &str, [u8; 32])> {
    let (name, rest) = key.split_once('+')?;
    let (hash, key) = rest.split_once('+')?;
    let bytes = BASE64_STANDARD.decode(key).ok()?;
    match bytes.split_first() {
        Some((&ED25519, key)) if !name.is_empty() => Some((name, hash, key.try_into().ok()?)),
        _ => None,
    }
}

fn split(note: &str) -> Option<(&str, &str)> {
    let at = note.rfind("\n\n")?;
    let (text, signatures) = (&note[..=at], &note[at + 2..]);
    (signatures.ends_with('\n') && signatures.len() > 1).then_some((text, signatures))
}

fn hex(bytes: [u8; 4]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A chain's length and head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainHead {
    /// How many records.
    pub count: i64,
    /// 32 zero bytes at first.
    pub hash: Hash,
}

impl ChainHead {
    /// Adds a record.
    pub fn push(&mut self, record: &[u8]) {
        self.count += 1;
        self.hash = chain(&self.hash, record);
    }
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose journal.
    pub community: CommunityId,
    /// How many entries.
    pub size: i64,
    /// The root of their tree.
    pub root: Hash,
    /// What was defined.
    pub definitions: ChainHead,
    /// What was refused.
    pub refusals: ChainHead,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        let base64 = |hash: &Hash| BASE64_STANDARD.encode(hash);
        format!(
            "linli/{}\n{}\n{}\ndefinitions {} {}\nrefusals {} {}\n",
            self.community.0,
            self.size,
            base64(&self.root),
            self.definitions.count,
            base64(&self.definitions.hash),
            self.refusals.count,
            base64(&self.refusals.hash),
        )
    }

    /// Reads a note without looking at its signatures.
    pub fn read_unverified(note: &str) -> Result<Self, NoteError> {
        split(note)
            .and_then(|(text, _)| Self::parse(text))
            .ok_or(NoteError::Malformed)
    }

    /// Reads a text that was signed.
    pub fn parse(text: &str) -> Option<Self> {
        let hash = |text: &str| BASE64_STANDARD.decode(text).ok()?.try_into().ok();
        let chain = |line: &str, name: &str| {
            let (count, head) = line
                .strip_prefix(name)?
                .strip_prefix(' ')?
                .split_once(' ')?;
            Some(ChainHead {
                count: count.parse().ok()?,
                hash: hash(head)?,
            })
        };
        let mut lines = text.lines();
        let checkpoint = Self {
            community: CommunityId(lines.next()?.strip_prefix("linli/")?.parse().ok()?),
            size: lines.next()?.parse().ok()?,
            root: hash(lines.next()?)?,
            definitions: chain(lines.next()?, "definitions")?,
            refusals: chain(lines.next()?, "refusals")?,
        };
        // One spelling only.
        (checkpoint.text() == text).then_some(checkpoint)
    }
}
