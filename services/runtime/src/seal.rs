//! Sealing: what makes something unreadable to whoever has the database alone.
//!
//! Each thing is encrypted under a data key of its own, and that key under the current one of the configuration (AES-256-GCM, nonces by chance).
//! What it is, its community and its id are authenticated with both, so what was sealed for one row can't be opened in another. To change the
//! configuration's key only the data keys are encrypted anew. No error and no debug output shows a key or what is sealed. It knows no database.

use std::{fmt, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

const KEY_BYTES: usize = 32;
const MAX_ID: usize = 32;
/// What is written is filled up to a multiple of this, so that its length does not tell that of a name.
const BLOCK: usize = 128;

/// The keys of the configuration, one a line as `id:base64`. The first one seals; the others still open what was sealed under them, and give it
/// up to the first one. One that is marked, `+id:base64`, opens only: it comes next, once every replica has it.
#[derive(Clone)]
pub struct KeyRing {
    current: Arc<Key>,
    others: Arc<Vec<Key>>,
}

struct Key {
    id: String,
    key: RandomizedNonceKey,
    /// Whether it is marked.
    comes_next: bool,
}

/// Why a text is no key ring. It shows nothing of the text but ids of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There is none that seals.
    #[error("there is no current key: one a line, as in id:base64, the current one first")]
    NoCurrent,
    /// An entry has no id.
    #[error(
        "entry {0} is not like id:base64, with an id of 1 to 32 letters, digits, \"-\", \"_\" and \".\""
    )]
    Form(usize),
    /// What follows an id is no key.
    #[error("key {0:?} is not 32 bytes in base64")]
    NotAKey(String),
    /// Two entries have one id.
    #[error("key {0:?} is there twice")]
    Twice(String),
}

/// What one kind of thing is called.
#[derive(Debug, PartialEq, Eq)]
pub struct SealedKind {
    /// Authenticated with each thing of the kind: two kinds never have the same one, and it never changes.
    pub label: &'static str,
    /// The word for it, in errors.
    pub noun: &'static str,
}

/// What something is sealed for. It can't be opened for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedFor {
    /// What it is.
    pub kind: &'static SealedKind,
    /// The community that it is of.
    pub community: Uuid,
    /// Its id.
    pub id: Uuid,
}

/// What nobody can read without a key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which key of the configuration.
    pub key_id: String,
    /// The thing's own key, encrypted under that one.
    pub wrapped_key: Vec<u8>,
    /// The thing, encrypted under its own key.
    pub content: Vec<u8>,
}

/// Why something sealed can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The configuration lacks the key.
    #[error("{} {id} is sealed under key {key_id:?}, which is not configured", kind.noun)]
    KeyMissing {
        /// What it is.
        kind: &'static SealedKind,
        /// Its id.
        id: Uuid,
        /// The key.
        key_id: String,
    },
    /// It does not authenticate as what it should be.
    #[error("what is sealed for {} {id} was changed, or is another's", kind.noun)]
    Damaged {
        /// What it is.
        kind: &'static SealedKind,
        /// Its id.
        id: Uuid,
    },
}

impl KeyRing {
    /// Reads a key ring. Entries may stand on lines of their own or be separated by spaces or commas.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<Key> = Vec::new();
        let entries = text.split(|c: char| c.is_whitespace() || c == ',');
        for (index, entry) in entries.filter(|entry| !entry.is_empty()).enumerate() {
            let key = Key::parse(entry, index + 1)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeyRingError::Twice(key.id));
            }
            keys.push(key);
        }
        let current = keys.iter().position(|key| !key.comes_next);
        let current = keys.remove(current.ok_or(KeyRingError::NoCurrent)?);
        Ok(Self {
            current: Arc::new(current),
            others: Arc::new(keys),
        })
    }

    /// Makes a key, as an entry of a key ring.
    pub fn new_entry() -> String {
        let id: String = random::<4>().map(|byte| format!("{byte:02x}")).concat();
        format!("{id}:{}", STANDARD.encode(random::<KEY_BYTES>()))
    }

    /// Id of the key that seals.
    pub fn current(&self) -> &str {
        &self.current.id
    }

    /// Ids of the keys that what they seal is to be moved from.
    pub fn former(&self) -> Vec<String> {
        let former = self.others.iter().filter(|key| !key.comes_next);
        former.map(|key| key.id.clone()).collect()
    }

    /// Whether a key is here.
    pub fn has(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    /// Seals something under a new data key.
    pub fn seal(&self, of: SealedFor, content: &impl Serialize) -> Sealed {
        let mut bytes = serde_json::to_vec(content).expect("what is sealed is plain data");
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        let data_key = random::<KEY_BYTES>();
        Sealed {
            content: encrypt(&cipher(&data_key), &Part::Content.of(of), bytes),
            ..self.wrap(of, &data_key)
        }
    }

    /// Opens what was sealed.
    pub fn open<T: DeserializeOwned>(
        &self,
        of: SealedFor,
        sealed: &Sealed,
    ) -> Result<T, Unreadable> {
        let data_key = cipher(&self.unwrap(of, sealed)?);
        let bytes = decrypt(&data_key, &Part::Content.of(of), sealed.content.clone());
        let content = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        content.ok_or_else(|| of.damaged())
    }

    /// Puts the data key under the current key; what is encrypted under it stays as it is.
    pub fn rewrap(&self, of: SealedFor, sealed: Sealed) -> Result<Sealed, Unreadable> {
        let data_key = self.unwrap(of, &sealed)?;
        Ok(Sealed {
            content: sealed.content,
            ..self.wrap(of, &data_key)
        })
    }

    fn wrap(&self, of: SealedFor, data_key: &[u8; KEY_BYTES]) -> Sealed {
        let current = &self.current;
        Sealed {
            key_id: current.id.clone(),
            wrapped_key: encrypt(&current.key, &Part::Key.of(of), data_key.to_vec()),
            content: Vec::new(),
        }
    }

    fn unwrap(&self, of: SealedFor, sealed: &Sealed) -> Result<[u8; KEY_BYTES], Unreadable> {
        let key_id = &sealed.key_id;
        let key = self.find(key_id).ok_or_else(|| Unreadable::KeyMissing {
            kind: of.kind,
            id: of.id,
            key_id: key_id.clone(),
        })?;
        let data_key = decrypt(&key.key, &Part::Key.of(of), sealed.wrapped_key.clone());
        let data_key = data_key.and_then(|bytes| bytes.try_into().ok());
        data_key.ok_or_else(|| of.damaged())
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&*self.current).chain(self.others.iter())
    }

    fn find(&self, id: &str) -> Option<&Key> {
        self.keys().find(|key| key.id == id)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.keys().map(|key| &key.id);
        out.debug_list().entries(ids).finish()
    }
}

impl Key {
    fn parse(entry: &str, number: usize) -> Result<Self, KeyRingError> {
        let unmarked = entry.strip_prefix('+');
        let comes_next = unmarked.is_some();
        let entry = unmarked.unwrap_or(entry);
        let (id, key) = entry.split_once(':').ok_or(KeyRingError::Form(number))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || id.len() > MAX_ID || !id.chars().all(plain) {
            return Err(KeyRingError::Form(number));
        }
        let bytes = STANDARD.decode(key).ok();
        let bytes: Option<[u8; KEY_BYTES]> = bytes.and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or_else(|| KeyRingError::NotAKey(id.to_owned()))?;
        Ok(Self {
            id: id.to_owned(),
            key: cipher(&bytes),
            comes_next,
        })
    }
}

impl SealedFor {
    /// That it can't be read, and that no key would help.
    pub fn damaged(self) -> Unreadable {
        Unreadable::Damaged {
            kind: self.kind,
            id: self.id,
        }
    }
}

/// What is encrypted, so that one can't stand in for the other.
#[derive(Clone, Copy)]
enum Part {
    Key,
    Content,
}

impl Part {
    /// What is authenticated with it.
    fn of(self, of: SealedFor) -> Vec<u8> {
        let part: &[u8] = match self {
            Self::Key => b" key\0",
            Self::Content => b"\0",
        };
        let label = of.kind.label.as_bytes();
        [label, part, of.community.as_bytes(), of.id.as_bytes()].concat()
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

fn cipher(key: &[u8; KEY_BYTES]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key is as long as AES-256 wants it")
}

/// Nonce, ciphertext and tag, in this order.
fn encrypt(key: &RandomizedNonceKey, about: &[u8], mut bytes: Vec<u8>) -> Vec<u8> {
    let nonce = key
        .seal_in_place_append_tag(Aad::from(about), &mut bytes)
        .expect("so few bytes can be encrypted");
    [&nonce.as_ref()[..], &bytes].concat()
}

/// Nothing, when it was not encrypted under this key about this.
fn decrypt(key: &RandomizedNonceKey, about: &[u8], bytes: Vec<u8>) -> Option<Vec<u8>> {
    let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut rest = rest.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(about), &mut rest).ok()?;
    Some(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const THING: SealedKind = SealedKind {
        label: "test thing",
        noun: "thing",
    };
    const OTHER: SealedKind = SealedKind {
        label: "test other",
        noun: "other",
    };

    fn ring(entries: &[&str]) -> KeyRing {
        KeyRing::parse(&entries.join("\n")).unwrap()
    }

    fn place(id: u128) -> SealedFor {
        SealedFor {
            kind: &THING,
            community: Uuid::from_u128(1),
            id: Uuid::from_u128(id),
        }
    }

    fn open(keys: &KeyRing, of: SealedFor, sealed: &Sealed) -> Result<String, Unreadable> {
        keys.open(of, sealed)
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_and_nowhere_else() {
        let keys = ring(&[&KeyRing::new_entry()]);
        let sealed = keys.seal(place(2), &"王小明");
        assert_eq!(open(&keys, place(2), &sealed), Ok("王小明".to_owned()));

        let elsewhere = SealedFor {
            community: Uuid::from_u128(9),
            ..place(2)
        };
        let otherwise = SealedFor {
            kind: &OTHER,
            ..place(2)
        };
        for other in [place(3), elsewhere, otherwise] {
            assert_eq!(open(&keys, other, &sealed), Err(other.damaged()));
        }
    }

    #[test]
    fn no_part_can_be_changed_or_put_in_place_of_another() {
        let keys = ring(&[&KeyRing::new_entry()]);
        let sealed = keys.seal(place(2), &"王小明");
        let other = keys.seal(place(2), &"李四");
        let mut cases = vec![
            Sealed {
                content: other.content.clone(),
                ..sealed.clone()
            },
            Sealed {
                content: sealed.wrapped_key.clone(),
                ..sealed.clone()
            },
            Sealed {
                content: vec![],
                ..sealed.clone()
            },
            Sealed {
                wrapped_key: vec![0; 60],
                ..sealed.clone()
            },
        ];
        for at in [0, NONCE_LEN, sealed.content.len() - 1] {
            let mut changed = sealed.clone();
            changed.content[at] ^= 1;
            cases.push(changed);
        }
        let refused = Err(place(2).damaged());
        for case in cases {
            assert_eq!(open(&keys, place(2), &case), refused);
        }
    }

    #[test]
    fn the_same_thing_looks_different_each_time_and_no_name_tells_its_length() {
        let keys = ring(&[&KeyRing::new_entry()]);
        let (short, long) = ("欧", "欧阳小明");
        let [one, two, three] = [short, short, long].map(|name| keys.seal(place(2), &name));
        assert_ne!(one.content, two.content);
        assert_ne!(one.wrapped_key, two.wrapped_key);
        assert_eq!(one.content.len(), three.content.len());
    }

    #[test]
    fn a_new_key_takes_over_and_the_old_one_can_go() {
        let (old, new) = (KeyRing::new_entry(), KeyRing::new_entry());
        let sealed = ring(&[&old]).seal(place(2), &"王小明");
        let both = ring(&[&new, &old]);
        assert_eq!(open(&both, place(2), &sealed), Ok("王小明".to_owned()));

        let moved = both.rewrap(place(2), sealed.clone()).unwrap();

        assert_eq!(moved.key_id, both.current());
        assert_eq!(moved.content, sealed.content);
        let alone = ring(&[&new]);
        assert_eq!(open(&alone, place(2), &moved), Ok("王小明".to_owned()));
        let missing = Unreadable::KeyMissing {
            kind: &THING,
            id: place(2).id,
            key_id: both.former()[0].clone(),
        };
        assert_eq!(open(&alone, place(2), &sealed), Err(missing));
        assert!(matches!(
            both.rewrap(place(3), sealed),
            Err(Unreadable::Damaged { .. })
        ));
    }

    #[test]
    fn a_key_that_comes_next_opens_and_takes_nothing_over() {
        let (old, new) = (KeyRing::new_entry(), KeyRing::new_entry());
        let moved = ring(&[&new, &old]).seal(place(2), &"王小明");
        let waiting = ring(&[&format!("+{new}"), &old]);
        assert_eq!(open(&waiting, place(2), &moved), Ok("王小明".to_owned()));
        assert!(old.starts_with(waiting.current()));
        assert!(waiting.former().is_empty());
    }

    #[test]
    fn a_wrong_configuration_is_told_without_showing_it() {
        let secret = STANDARD.encode([7; KEY_BYTES]);
        let short = STANDARD.encode([7; 16]);
        let cases = [
            (" \n,".to_owned(), KeyRingError::NoCurrent),
            (format!("+a:{secret}"), KeyRingError::NoCurrent),
            (secret.clone(), KeyRingError::Form(1)),
            (format!("a:{secret}\n:{secret}"), KeyRingError::Form(2)),
            (format!("a/b:{secret}"), KeyRingError::Form(1)),
            (format!("a:{short}"), KeyRingError::NotAKey("a".to_owned())),
            ("a:?".to_owned(), KeyRingError::NotAKey("a".to_owned())),
            (
                format!("a:{secret},a:{secret}"),
                KeyRingError::Twice("a".to_owned()),
            ),
        ];
        for (text, wrong) in cases {
            let error = KeyRing::parse(&text).unwrap_err();
            assert_eq!(error, wrong);
            assert!(!error.to_string().contains(&secret[..8]), "{error}");
        }
        let keys = ring(&[&format!("2026:{secret}"), &format!("2025:{secret}")]);
        assert_eq!(format!("{keys:?}"), r#"["2026", "2025"]"#);
        assert_eq!(
            (keys.current(), keys.former()),
            ("2026", vec!["2025".to_owned()])
        );
    }
}
