//! Members, their teams, and what may be shown of the people behind the numbers.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Community;

/// A team, as the community knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    pub community: Community,
    pub id: Uuid,
    pub number: String,
    pub display_name: String,
    pub colour: String,
    pub created_at: DateTime<Utc>,
}

/// How a member takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum MemberKind {
    Resident,
    Courier,
    Rider,
    Driver,
    Staff,
}

/// A member as everyone may see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub community: Community,
    pub id: Uuid,
    pub number: String,
    pub kind: MemberKind,
    pub team: Option<Uuid>,
    pub birth_year: Option<i16>,
    pub masked: Masked,
    /// The hours book's balance.
    pub service_minutes: i64,
    pub created_at: DateTime<Utc>,
}

/// Who a member is. It can't be printed or sent: only [`Person::masked`] leaves.
#[derive(Clone)]
pub struct Person {
    pub name: String,
    pub phone: String,
}

/// What may be shown of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masked {
    pub name: String,
    pub phone: String,
}

impl Person {
    /// Hides all of the name but its first character, and all of the phone but its last four digits.
    pub fn masked(&self) -> Masked {
        let hidden = |count: usize| "*".repeat(count);
        let name_length = self.name.chars().count();
        let first: String = self.name.chars().take(1).collect();
        let digits: Vec<char> = self.phone.chars().filter(char::is_ascii_digit).collect();
        let last: String = digits.iter().skip(digits.len().saturating_sub(4)).collect();
        Masked {
            name: first + &hidden(name_length.saturating_sub(1)),
            phone: hidden(digits.len().saturating_sub(4)) + &last,
        }
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Person(hidden)")
    }
}

/// One line of a member's hours book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourEntry {
    /// 1, 2, 3 … within the book.
    pub number: i64,
    pub record: Uuid,
    pub minutes: i64,
    pub balance_minutes: i64,
    pub created_at: DateTime<Utc>,
}

/// The number the service gives by itself: V000001, V000002 …
pub fn own_number(n: i64) -> String {
    format!("V{n:06}")
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

    #[test]
    fn own_numbers_have_six_digits_or_more() {
        assert_eq!(own_number(1), "V000001");
        assert_eq!(own_number(12_345_678), "V12345678");
    }
}
