//! Members, their teams and their hours: neutral numbers that take part.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Community, person::Masked, refusal::Refusal};

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

/// A member, as the books know them: nothing here says who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub community: Community,
    pub id: Uuid,
    pub number: String,
    pub kind: MemberKind,
    pub team: Option<Uuid>,
    pub birth_year: Option<i16>,
    /// The hours book's balance.
    pub service_minutes: i64,
    pub created_at: DateTime<Utc>,
    /// Since when nobody can tell who it was.
    pub erased_at: Option<DateTime<Utc>>,
}

impl Member {
    /// Takes away what says who the member is; a second time changes nothing.
    pub fn erase(self, now: DateTime<Utc>) -> Self {
        Self {
            team: None,
            birth_year: None,
            erased_at: self.erased_at.or(Some(now)),
            ..self
        }
    }

    /// Refuses what needs the person, unless it is there.
    pub fn require_person(&self) -> Result<(), Refusal> {
        match self.erased_at {
            None => Ok(()),
            Some(_) => Err(Refusal::MemberErased { member: self.id }),
        }
    }
}

/// A member as everyone may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedMember {
    pub member: Member,
    /// Empty, once erased.
    pub masked: Masked,
    /// Whether what is kept of the person can't be read any more.
    pub is_damaged: bool,
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
    fn an_erased_member_keeps_number_kind_and_hours_and_nothing_else() {
        let (first, later) = (
            DateTime::UNIX_EPOCH,
            DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1),
        );
        let member = Member {
            community: Community(Uuid::nil()),
            id: Uuid::from_u128(7),
            number: "V000001".to_owned(),
            kind: MemberKind::Rider,
            team: Some(Uuid::from_u128(8)),
            birth_year: Some(1960),
            service_minutes: 90,
            created_at: first,
            erased_at: None,
        };
        assert_eq!(member.require_person(), Ok(()));

        let erased = member.clone().erase(first);

        let left = Member {
            team: None,
            birth_year: None,
            erased_at: Some(first),
            ..member
        };
        assert_eq!(erased, left);
        let refused = Refusal::MemberErased { member: left.id };
        assert_eq!(erased.require_person(), Err(refused));
        assert_eq!(erased.erase(later), left);
    }

    #[test]
    fn own_numbers_have_six_digits_or_more() {
        assert_eq!(own_number(1), "V000001");
        assert_eq!(own_number(12_345_678), "V12345678");
    }
}
