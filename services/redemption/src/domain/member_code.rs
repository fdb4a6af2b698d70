//! How a member is known at a counter: by a code of one minute or a printed card with a PIN, which become a handle.

use std::{fmt, num::NonZeroU32};

use aws_lc_rs::{constant_time, pbkdf2};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Refusal, Resource, SecretHash};

/// How long a code lasts.
pub const CODE_TIME: TimeDelta = TimeDelta::minutes(1);
/// How long a handle lasts: two holds of a counter, so that a long queue ends none.
pub const HANDLE_TIME: TimeDelta = TimeDelta::minutes(10);
/// So many wrong PINs in a row block a card.
pub const MOST_WRONG_PINS: i32 = 5;

const DIGITS: usize = 18;
const CODE_PREFIX: u64 = 77;
const CARD_PREFIX: u64 = 78;
const RANDOM_DIGITS: u32 = 15;
const PIN_DIGITS: usize = 6;
/// As many as OWASP asks for PBKDF2-HMAC-SHA256 (Password Storage Cheat Sheet, 2023).
const PIN_ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("above 0");

/// Which of the two 18 digits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// What an app shows.
    Code,
    /// What a card says.
    Card,
}

/// 18 digits that a member shows.
#[derive(Clone, PartialEq, Eq)]
pub struct MemberCode {
    /// What they are.
    pub shown: Shown,
    digits: String,
}

impl MemberCode {
    /// The code or card number that some random bytes make.
    pub fn new(shown: Shown, random: [u8; 32]) -> Self {
        let prefix = match shown {
            Shown::Code => CODE_PREFIX,
            Shown::Card => CARD_PREFIX,
        };
        let random = u128::from_le_bytes(random[..16].try_into().expect("16 of 32 bytes"));
        let random = random % u128::from(10_u64.pow(RANDOM_DIGITS));
        let body = format!("{prefix}{random:015}");
        let digits = format!("{body}{}", check_digit(&body));
        Self { shown, digits }
    }

    /// Reads what was scanned or typed.
    pub fn read(typed: &str) -> Option<Self> {
        let digits: String = typed
            .chars()
            .filter(|letter| !" -".contains(*letter))
            .collect();
        if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (body, check) = digits.split_at(DIGITS - 1);
        if check != check_digit(body).to_string() {
            return None;
        }
        let shown = match body[..2].parse() {
            Ok(CODE_PREFIX) => Shown::Code,
            Ok(CARD_PREFIX) => Shown::Card,
            _ => return None,
        };
        Some(Self { shown, digits })
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.digits.as_bytes())
    }
}

impl fmt::Display for MemberCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.digits)
    }
}

/// Luhn's check digit of some digits (ISO/IEC 7812-1, annex B).
fn check_digit(body: &str) -> u32 {
    let digits = body.bytes().rev().map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, double @ 10..) => double - 9,
            (0, double) => double,
            _ => digit,
        })
        .sum();
    (10 - sum % 10) % 10
}

/// What goes with a card.
#[derive(Clone)]
pub struct Pin(String);

impl Pin {
    /// The PIN that some random bytes make.
    pub fn new(random: [u8; 32]) -> Self {
        let random = u64::from_le_bytes(random[..8].try_into().expect("8 of 32 bytes"));
        Self(format!("{:06}", random % 1_000_000))
    }

    /// Reads what was typed.
    pub fn read(typed: &str) -> Option<Self> {
        let is_pin = typed.len() == PIN_DIGITS && typed.bytes().all(|byte| byte.is_ascii_digit());
        is_pin.then(|| Self(typed.to_owned()))
    }

    /// What is kept of it. Takes a good part of a second of work, so that whoever reads the hash can't try all of them at once.
    pub fn hash(&self, salt: [u8; 16]) -> PinHash {
        let mut hash = [0; 32];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, PIN_ROUNDS, &salt, self.0.as_bytes(), &mut hash);
        PinHash { salt, hash }
    }

    /// Whether it is the PIN that was kept; as much work.
    pub fn is(&self, kept: &PinHash) -> bool {
        constant_time::verify_slices_are_equal(&self.hash(kept.salt).hash, &kept.hash).is_ok()
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What is kept of a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinHash {
    /// Random, its own.
    pub salt: [u8; 16],
    /// PBKDF2-HMAC-SHA256 over both.
    pub hash: [u8; 32],
}

/// Where a card stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    /// Counts, with its PIN.
    Active,
    /// Too many wrong PINs in a row.
    Blocked,
    /// Never again.
    Revoked,
}

impl CardState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Blocked, Self::Revoked];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Blocked => "blocked",
            Self::Revoked => "revoked",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A printed card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its community.
    pub community: Uuid,
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub member: Uuid,
    /// Where it stands.
    pub state: CardState,
    /// How many wrong PINs came in a row.
    pub wrong_pins: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Card {
    /// Whether a PIN may be tried at all.
    pub fn admit(&self) -> Result<(), Refusal> {
        match self.state {
            CardState::Active => Ok(()),
            CardState::Blocked => Err(Refusal::CardBlocked),
            CardState::Revoked => Err(Refusal::CardRevoked),
        }
    }

    /// Counts a wrong PIN; the last one blocks the card.
    pub fn miss(self) -> (Self, Refusal) {
        let wrong_pins = self.wrong_pins + 1;
        if wrong_pins < MOST_WRONG_PINS {
            let left = MOST_WRONG_PINS - wrong_pins;
            return (Self { wrong_pins, ..self }, Refusal::PinWrong { left });
        }
        let state = CardState::Blocked;
        let card = Self {
            wrong_pins: MOST_WRONG_PINS,
            state,
            ..self
        };
        (card, Refusal::CardBlocked)
    }

    /// Lets it count again, with a new PIN.
    pub fn reset(self) -> Result<Self, Refusal> {
        match self.state {
            CardState::Active | CardState::Blocked => Ok(Self {
                state: CardState::Active,
                wrong_pins: 0,
                ..self
            }),
            CardState::Revoked => Err(Refusal::CardRevoked),
        }
    }

    /// Ends it for good.
    pub fn revoke(self) -> Result<Self, Refusal> {
        match self.state {
            CardState::Active | CardState::Blocked => Ok(Self {
                state: CardState::Revoked,
                ..self
            }),
            CardState::Revoked => Err(Refusal::WrongState {
                resource: Resource::MemberCard,
                id: self.id,
                state: self.state.as_str().to_owned(),
            }),
        }
    }
}

/// Stands for a member at one merchant for a short time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// Its community.
    pub community: Uuid,
    /// Its id.
    pub id: Uuid,
    /// For whom.
    pub member: Uuid,
    /// Where.
    pub merchant: Uuid,
    /// From here on it stands for nobody.
    pub expires_at: DateTime<Utc>,
}

/// A number rounded down to its first digit.
pub fn band(points: i64) -> i64 {
    let points = points.max(0);
    let unit = 10_i64.pow(points.checked_ilog10().unwrap_or_default());
    points - points % unit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CARD: Card = Card {
        community: Uuid::nil(),
        id: Uuid::nil(),
        member: Uuid::nil(),
        state: CardState::Active,
        wrong_pins: 0,
        created_at: DateTime::UNIX_EPOCH,
    };

    #[test]
    fn luhns_own_example_has_its_check_digit() {
        assert_eq!(check_digit("7992739871"), 3);
        assert_eq!(check_digit("0"), 0);
    }

    proptest! {
        #[test]
        fn a_code_is_read_as_it_was_made_and_one_wrong_digit_is_noticed(
            random in any::<[u8; 32]>(), place in 0..DIGITS, other in 1..10_u8,
        ) {
            for shown in [Shown::Code, Shown::Card] {
                let code = MemberCode::new(shown, random);
                let text = code.to_string();
                let spaced = format!("{} {}-{}", &text[..6], &text[6..12], &text[12..]);
                prop_assert!(MemberCode::read(&spaced) == Some(code));
                let mut wrong = text.into_bytes();
                wrong[place] = b'0' + (wrong[place] - b'0' + other) % 10;
                prop_assert!(MemberCode::read(&String::from_utf8(wrong).unwrap()).is_none());
            }
        }

        #[test]
        fn a_band_tells_only_the_first_digit(points in 0..i64::MAX) {
            let band = band(points);
            prop_assert!(band <= points && points - band <= points / 2);
            prop_assert!(band.to_string().trim_end_matches('0').len() <= 1);
        }
    }

    #[test]
    fn what_is_no_code_is_not_read() {
        let short = "77000000000000000";
        for wrong in [
            "",
            short,
            "一二三四五六",
            "134567890123456789",
            "+77000000000000000",
        ] {
            assert!(MemberCode::read(wrong).is_none(), "{wrong}");
        }
        for wrong in ["", "12345", "1234567", "12345a", "１２３４５６"] {
            assert!(Pin::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn only_the_right_pin_is_the_pin() {
        let pin = Pin::read("042137").unwrap();
        let kept = pin.hash([7; 16]);
        assert!(pin.is(&kept));
        assert!(!Pin::read("042138").unwrap().is(&kept));
        assert_ne!(pin.hash([8; 16]).hash, kept.hash);
    }

    #[test]
    fn the_fifth_wrong_pin_in_a_row_blocks_a_card_until_it_is_reset() {
        let mut card = CARD;
        for left in [4, 3, 2, 1] {
            let (after, refusal) = card.miss();
            assert_eq!(refusal, Refusal::PinWrong { left });
            assert_eq!(after.admit(), Ok(()));
            card = after;
        }
        let (blocked, refusal) = card.miss();
        assert_eq!(refusal, Refusal::CardBlocked);
        assert_eq!(blocked.admit(), Err(Refusal::CardBlocked));
        assert_eq!(blocked.clone().reset(), Ok(CARD));
        let revoked = blocked.revoke().unwrap();
        assert_eq!(revoked.admit(), Err(Refusal::CardRevoked));
        assert_eq!(revoked.clone().reset(), Err(Refusal::CardRevoked));
        assert!(matches!(revoked.revoke(), Err(Refusal::WrongState { .. })));
    }

    #[test]
    fn a_band_is_exact_below_ten() {
        for (points, expected) in [
            (-3, 0),
            (0, 0),
            (7, 7),
            (87, 80),
            (100, 100),
            (1_999, 1_000),
        ] {
            assert_eq!(band(points), expected, "{points}");
        }
    }
}
