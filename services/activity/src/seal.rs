//! What seals a member's person: under the keys of the configuration, for that member alone. How, is the runtime's.

use runtime::{KeyRing, Sealed, SealedFor, SealedKind, Unreadable};
use serde::{Deserialize, Serialize};

use crate::domain::{
    Community,
    person::{Person, Place},
};

/// In which form a person is written.
const VERSION: u8 = 1;
const MEMBER: SealedKind = SealedKind {
    label: "linli person",
    noun: "member",
};

/// What is sealed of a person.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u8,
    person: Person,
}

/// Seals a person under a new data key.
pub(crate) fn seal(keys: &KeyRing, place: Place, person: &Person) -> Sealed {
    let written = Written {
        version: VERSION,
        person: person.clone(),
    };
    keys.seal(sealed_for(place), &written)
}

/// Opens what was sealed for a place.
pub(crate) fn open(keys: &KeyRing, place: Place, sealed: &Sealed) -> Result<Person, Unreadable> {
    let place = sealed_for(place);
    let written: Written = keys.open(place, sealed)?;
    let known = (written.version == VERSION).then_some(written.person);
    known.ok_or_else(|| place.damaged())
}

/// What a member's person is sealed for.
pub(crate) fn sealed_for(place: Place) -> SealedFor {
    let Place {
        community: Community(community),
        member: id,
    } = place;
    SealedFor {
        kind: &MEMBER,
        community,
        id,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// The format, made apart from this code.
    const WRAPPED_KEY: &str = "000102030405060708090a0b88ca315104f889feca7158eef10ed003447dba89ab8899e1d7d2fe1091281170eced6bce3cc3\
        1e881ad043b5a7c56ab2";
    const CONTENT: &str = "0c0d0e0f1011121314151617e3dc1fbd0d05953c590872e4bda9568227708280d4474088f5c39785c69ae21da27c8f956e23\
        beef3ddf2c2286c374bfae6c99e09acd25817dcb4f6a8dd568c5660a60ebd192fc71d558975b602c2aa81a08ec6771f62016\
        b60defeb3e8405bb9583fec81d167a8449ad0b85c9be04d0410f5c1cd55f0d5445c0e4ba43ddc40e2b42aa1e6354c5f61088\
        1a990c254391";

    #[test]
    fn what_was_sealed_before_is_opened_still() {
        let keys = KeyRing::parse(&format!("old:{}", "A".repeat(43) + "=")).unwrap();
        let place = Place {
            community: Community(Uuid::from_u128(1)),
            member: Uuid::from_u128(2),
        };
        let sealed = Sealed {
            key_id: "old".to_owned(),
            wrapped_key: bytes(WRAPPED_KEY),
            content: bytes(CONTENT),
        };
        let person = open(&keys, place, &sealed).unwrap();
        assert_eq!(
            (&person.name[..], &person.phone[..]),
            ("王小明", "13912345678")
        );
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.trim().as_bytes().chunks(2);
        let pairs = digits.map(|pair| std::str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    }
}
