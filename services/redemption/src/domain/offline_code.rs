//! Codes that are used without a network: what they say, how they are signed, and which sale they pay.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Refusal;

/// How many codes of one programme a member has at a time.
pub const MOST_CODES: i16 = 5;
/// How long a till takes a code.
pub const OFFLINE_TIME: TimeDelta = TimeDelta::hours(24);
/// How long after that a sale can still be forwarded.
pub const FORWARD_TIME: TimeDelta = TimeDelta::hours(72);
/// How far a till's clock may be from ours.
const SKEW: TimeDelta = TimeDelta::minutes(5);

const PREFIX: &str = "lo1.";
const CONTEXT: &[u8] = b"linli/offline-code/v1\n";
const BODY: usize = 76;

/// What a code says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineCode {
    /// Its community.
    pub community: Uuid,
    /// Whose points.
    pub programme: Uuid,
    /// Its id.
    pub id: Uuid,
    /// What it is worth at most.
    pub points: i64,
    /// When it was made, to the second.
    pub created_at: DateTime<Utc>,
    /// From here on a till refuses it, to the second.
    pub expires_at: DateTime<Utc>,
}

impl OfflineCode {
    fn body(&self, key_id: [u8; 4]) -> [u8; BODY] {
        let mut body = Vec::with_capacity(BODY);
        body.extend(key_id);
        for id in [self.community, self.programme, self.id] {
            body.extend(id.as_bytes());
        }
        for number in [
            self.points,
            self.created_at.timestamp(),
            self.expires_at.timestamp(),
        ] {
            body.extend(number.to_be_bytes());
        }
        body.try_into().expect("4 + 3 × 16 + 3 × 8 bytes")
    }

    fn read(body: &[u8; BODY]) -> Option<Self> {
        let id = |at: usize| Uuid::from_slice(&body[at..at + 16]).ok();
        let number = |at: usize| i64::from_be_bytes(body[at..at + 8].try_into().expect("8 bytes"));
        Some(Self {
            community: id(4)?,
            programme: id(20)?,
            id: id(36)?,
            points: number(52),
            created_at: DateTime::from_timestamp(number(60), 0)?,
            expires_at: DateTime::from_timestamp(number(68), 0)?,
        })
    }
}

/// What codes are signed with: new ones with the first key, and those of the others still count.
#[derive(Clone, Default)]
pub struct OfflineKeys(Vec<SigningKey>);

impl fmt::Debug for OfflineKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "OfflineKeys({})", self.0.len())
    }
}

impl OfflineKeys {
    /// Keys from their seeds.
    pub fn new(seeds: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(
            seeds
                .into_iter()
                .map(|seed| SigningKey::from_bytes(&seed))
                .collect(),
        )
    }

    /// The public keys and their ids.
    pub fn public(&self) -> impl Iterator<Item = ([u8; 4], [u8; 32])> {
        let keys = self.0.iter().map(SigningKey::verifying_key);
        keys.map(|key| (key_id(&key), key.to_bytes()))
    }

    /// Signs a code; nothing without a key.
    pub fn sign(&self, code: &OfflineCode) -> Option<String> {
        let key = self.0.first()?;
        let body = code.body(key_id(&key.verifying_key()));
        let signature = key.sign(&signed(&body)).to_bytes();
        let text = URL_SAFE_NO_PAD.encode([&body[..], &signature[..]].concat());
        Some(format!("{PREFIX}{text}"))
    }

    /// Reads a code that one of the keys has signed.
    pub fn read(&self, text: &str) -> Option<OfflineCode> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (body, signature) = bytes.split_first_chunk::<BODY>()?;
        let signature = Signature::from_slice(signature).ok()?;
        let keys = self.0.iter().map(SigningKey::verifying_key);
        let key = keys.into_iter().find(|key| key_id(key) == body[..4])?;
        key.verify_strict(&signed(body), &signature).ok()?;
        OfflineCode::read(body)
    }
}

fn signed(body: &[u8; BODY]) -> Vec<u8> {
    [CONTEXT, body].concat()
}

fn key_id(key: &VerifyingKey) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Where a code stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfflineState {
    /// Its points are held.
    Held,
    /// A sale was paid with it.
    Used,
    /// Its points went back.
    Returned,
}

impl OfflineState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Held, Self::Used, Self::Returned];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Used => "used",
            Self::Returned => "returned",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A code as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOfflineCode {
    /// What it says.
    pub code: OfflineCode,
    /// Whose it is.
    pub member: Uuid,
    /// Which of the member's places it takes.
    pub slot: i16,
    /// Where it stands.
    pub state: OfflineState,
    /// From here on no sale is taken for it.
    pub returns_at: DateTime<Utc>,
    /// The sale that was paid with it, and when that was.
    pub sale: Option<(Uuid, DateTime<Utc>)>,
}

impl KeptOfflineCode {
    /// Where it stands by the clock.
    pub fn state_at(&self, now: DateTime<Utc>) -> OfflineState {
        match self.state {
            OfflineState::Held if now >= self.returns_at => OfflineState::Returned,
            state => state,
        }
    }

    /// Whether it can pay a sale of a till's time at all.
    pub fn check(&self, sold_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), Refusal> {
        if let Some((_, sold_at)) = self.sale {
            return Err(Refusal::OfflineCodeUsed { sold_at });
        }
        let taken = self.code.created_at - SKEW..self.code.expires_at + SKEW;
        match self.state_at(now) {
            OfflineState::Held if taken.contains(&sold_at) => Ok(()),
            OfflineState::Held | OfflineState::Used | OfflineState::Returned => {
                Err(Refusal::OfflineCodeExpired {
                    expired_at: self.code.expires_at,
                })
            }
        }
    }

    /// Whether it is worth a sale.
    pub fn covers(&self, points: i64) -> Result<(), Refusal> {
        let worth = self.code.points;
        match points > worth {
            true => Err(Refusal::AmountExceedsCode {
                worth,
                asked: points,
            }),
            false => Ok(()),
        }
    }
}

/// Whether a till's time of a sale is one that has come, by about our clock.
pub fn has_come(sold_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    sold_at <= now + SKEW
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn code() -> OfflineCode {
        let created_at = at("2026-03-10T02:00:00Z");
        OfflineCode {
            community: Uuid::from_u128(1),
            programme: Uuid::from_u128(2),
            id: Uuid::from_u128(3),
            points: 50,
            created_at,
            expires_at: created_at + OFFLINE_TIME,
        }
    }

    fn kept() -> KeptOfflineCode {
        let code = code();
        KeptOfflineCode {
            returns_at: code.expires_at + FORWARD_TIME,
            code,
            member: Uuid::from_u128(4),
            slot: 1,
            state: OfflineState::Held,
            sale: None,
        }
    }

    #[test]
    fn a_code_is_read_as_it_was_signed_also_after_the_keys_were_rotated() {
        let (old, new) = ([1; 32], [2; 32]);
        let text = OfflineKeys::new([old]).sign(&code()).unwrap();
        assert_eq!(text.len(), 191);
        assert_eq!(OfflineKeys::new([new, old]).read(&text), Some(code()));
        assert_eq!(OfflineKeys::new([new]).read(&text), None);
        assert_eq!(OfflineKeys::default().sign(&code()), None);
    }

    #[test]
    fn a_code_with_any_bit_changed_is_none() {
        let keys = OfflineKeys::new([[1; 32]]);
        let text = keys.sign(&code()).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&text[4..]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let wrong = format!("lo1.{}", URL_SAFE_NO_PAD.encode(&wrong));
            assert_eq!(keys.read(&wrong), None, "bit {bit}");
        }
        for wrong in ["", "lo1.", "lo2.AAAA", &text[..190], &format!("{text}A")] {
            assert_eq!(keys.read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_till_can_check_a_code_with_what_is_published() {
        let keys = OfflineKeys::new([[1; 32]]);
        let bytes = URL_SAFE_NO_PAD
            .decode(&keys.sign(&code()).unwrap()[4..])
            .unwrap();
        let (id, public) = keys.public().next().unwrap();
        assert_eq!(bytes[..4], id);
        let key = VerifyingKey::from_bytes(&public).unwrap();
        let message = [b"linli/offline-code/v1\n", &bytes[..76]].concat();
        let signature = Signature::from_slice(&bytes[76..]).unwrap();
        assert!(key.verify_strict(&message, &signature).is_ok());
    }

    #[test]
    fn a_code_pays_one_sale_within_its_worth_and_its_time() {
        let check = |sold_at: &str, now: &str| kept().check(at(sold_at), at(now));
        let expired = Err(Refusal::OfflineCodeExpired {
            expired_at: at("2026-03-11T02:00:00Z"),
        });
        let soon = "2026-03-10T03:00:00Z";
        assert_eq!(check(soon, soon), Ok(()));
        assert_eq!(check(soon, "2026-03-14T01:59:59Z"), Ok(()));
        assert_eq!(check(soon, "2026-03-14T02:00:00Z"), expired);
        assert_eq!(
            check("2026-03-11T02:05:00Z", "2026-03-11T03:00:00Z"),
            expired
        );
        assert_eq!(check("2026-03-10T01:54:59Z", soon), expired);
        assert_eq!(kept().covers(50), Ok(()));
        let worth = Refusal::AmountExceedsCode {
            worth: 50,
            asked: 51,
        };
        assert_eq!(kept().covers(51), Err(worth));
        let sold_at = at("2026-03-10T02:30:00Z");
        let used = KeptOfflineCode {
            state: OfflineState::Used,
            sale: Some((Uuid::nil(), sold_at)),
            ..kept()
        };
        let refused = used.check(at(soon), at(soon));
        assert_eq!(refused, Err(Refusal::OfflineCodeUsed { sold_at }));
    }
}
