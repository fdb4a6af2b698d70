//! The people behind the members: what may be shown of them, and in what form they are kept.

use std::fmt;

use runtime::Sealed;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Community;

/// Who a member is. It can't be printed: it is sealed, masked, or revealed to somebody who said why. What is written of it is only ever sealed.
/// A field that is added later has a `serde(default)`, for those who were sealed before it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub name: String,
    pub phone: String,
}

/// What may be shown of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masked {
    pub name: String,
    pub phone: String,
}

impl Person {
    /// Hides all of the name but its first character, and all of the phone but its last four digits.
    pub fn masked(&self) -> Masked {
        Masked {
            name: runtime::masked_name(&self.name),
            phone: runtime::masked_phone(&self.phone),
        }
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Person(hidden)")
    }
}

/// Whose person it is. What is sealed for one place can't be opened at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub community: Community,
    pub member: Uuid,
}

/// In what form a person is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptPerson {
    /// As releases before the sealing wrote it.
    Plain(Person),
    Sealed(Sealed),
    Erased,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_shown_by_one_character_and_four_digits() {
        let cases = [
            ("王小明", "13912345678", "王**", "*******5678"),
            ("Li", "+86 139-1234-5678", "L*", "*********5678"),
            ("欧", "", "欧", ""),
            ("Ann", "12345", "A**", "*2345"),
        ];
        for (name, phone, masked_name, masked_phone) in cases {
            let person = Person {
                name: name.to_owned(),
                phone: phone.to_owned(),
            };
            let masked = person.masked();
            assert_eq!(
                (masked.name.as_str(), masked.phone.as_str()),
                (masked_name, masked_phone)
            );
            assert_eq!(format!("{person:?}"), "Person(hidden)");
        }
    }
}
