//! The roster of people helped, and when they are to be visited: neutral numbers, nothing here says who it is.

use chrono::{DateTime, Days, Months, NaiveDate, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use super::{
    Community,
    person::{Masked, PersonChange},
    refusal::{Refusal, Resource, RosterRefusal},
    visit::{Condition, Visit},
};

/// How often somebody is to be visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    Weekly,
    Quarterly,
    HalfYearly,
}

impl Grade {
    /// The local date of the next visit after one; the last day of a month that is too short.
    pub fn next(self, date: NaiveDate) -> NaiveDate {
        let next = match self {
            Self::Weekly => date.checked_add_days(Days::new(7)),
            Self::Quarterly => date.checked_add_months(Months::new(3)),
            Self::HalfYearly => date.checked_add_months(Months::new(6)),
        };
        next.unwrap_or(NaiveDate::MAX)
    }
}

/// Where somebody stands on the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeneficiaryState {
    Active,
    Ended,
}

/// Somebody whom the community helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beneficiary {
    pub community: Community,
    pub id: Uuid,
    pub number: String,
    pub programme: Uuid,
    /// The programme's; it says what day it is.
    pub time_zone: Tz,
    pub household: Option<String>,
    pub birth_year: Option<i16>,
    pub grade: Grade,
    pub state: BeneficiaryState,
    /// The latest at which they were met.
    pub last_visit_at: Option<DateTime<Utc>>,
    /// 1, 2, 3 …: moved by each change.
    pub revision: i64,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub erased_at: Option<DateTime<Utc>>,
}

/// What is to be changed of somebody; `None`: stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub household: Option<Option<String>>,
    pub birth_year: Option<Option<i16>>,
    pub grade: Option<Grade>,
    pub person: PersonChange,
}

/// Somebody as staff may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedBeneficiary {
    pub beneficiary: Beneficiary,
    pub masked: Masked,
    /// What is stored of the person can't be read.
    pub is_damaged: bool,
}

impl Beneficiary {
    /// The local date on which the next visit is due: at once while there was none; nothing once ended.
    pub fn due_date(&self) -> Option<NaiveDate> {
        match self.state {
            BeneficiaryState::Ended => None,
            BeneficiaryState::Active => Some(match self.last_visit_at {
                None => self.local_date(self.created_at),
                Some(at) => self.grade.next(self.local_date(at)),
            }),
        }
    }

    /// The local date of an instant.
    pub fn local_date(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.time_zone).date_naive()
    }

    /// What must be there once in a drive: the household's number, or they themselves.
    pub fn served_as(&self) -> String {
        match &self.household {
            Some(household) => format!("household {household}"),
            None => format!("beneficiary {}", self.id),
        }
    }

    /// Changes what is not the person; the person is sealed elsewhere.
    pub fn change(self, change: &Change, seen: Option<i64>) -> Result<Self, Refusal> {
        self.require_person()?;
        self.require_active()?;
        if let Some(seen) = seen
            && seen != self.revision
        {
            return Err(RosterRefusal::ConcurrentUpdate {
                beneficiary: self.id,
            }
            .into());
        }
        Ok(Self {
            household: change.household.clone().unwrap_or(self.household),
            birth_year: change.birth_year.unwrap_or(self.birth_year),
            grade: change.grade.unwrap_or(self.grade),
            revision: self.revision + 1,
            ..self
        })
    }

    /// Counts a visit, unless nobody was met. A visit that is written down late moves nothing back.
    pub fn visit(self, visit: &Visit) -> Result<Self, Refusal> {
        self.require_active()?;
        if visit.condition == Condition::NotMet {
            return Ok(self);
        }
        Ok(Self {
            last_visit_at: self.last_visit_at.max(Some(visit.visited_at)),
            revision: self.revision + 1,
            ..self
        })
    }

    /// Takes them off the roster.
    pub fn end(self, now: DateTime<Utc>) -> Result<Self, Refusal> {
        self.require_active()?;
        Ok(Self {
            state: BeneficiaryState::Ended,
            ended_at: Some(now),
            revision: self.revision + 1,
            ..self
        })
    }

    /// Takes away what says who it is; a second time changes nothing.
    pub fn erase(self, now: DateTime<Utc>) -> Self {
        if self.erased_at.is_some() {
            return self;
        }
        Self {
            state: BeneficiaryState::Ended,
            household: None,
            birth_year: None,
            ended_at: self.ended_at.or(Some(now)),
            erased_at: Some(now),
            revision: self.revision + 1,
            ..self
        }
    }

    /// Refuses what is for people on the roster, unless they are.
    pub fn require_active(&self) -> Result<(), Refusal> {
        match self.state {
            BeneficiaryState::Active => Ok(()),
            BeneficiaryState::Ended => Err(Refusal::WrongState {
                resource: Resource::Beneficiary,
                id: self.id,
                state: "ENDED".to_owned(),
                needed: "ACTIVE".to_owned(),
            }),
        }
    }

    /// Refuses what needs the person, unless it is there.
    pub fn require_person(&self) -> Result<(), Refusal> {
        match self.erased_at {
            None => Ok(()),
            Some(_) => Err(RosterRefusal::BeneficiaryErased {
                beneficiary: self.id,
            }
            .into()),
        }
    }
}

/// The number the service gives by itself: B000001, B000002 …
pub fn own_number(n: i64) -> String {
    format!("B{n:06}")
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn somebody(grade: Grade) -> Beneficiary {
        Beneficiary {
            community: Community(Uuid::nil()),
            id: Uuid::from_u128(7),
            number: "B000001".to_owned(),
            programme: Uuid::from_u128(8),
            time_zone: Tz::Asia__Shanghai,
            household: Some("12".to_owned()),
            birth_year: Some(1940),
            grade,
            state: BeneficiaryState::Active,
            last_visit_at: None,
            revision: 1,
            created_at: at("2024-05-20T16:00:00Z"),
            ended_at: None,
            erased_at: None,
        }
    }

    fn visit(condition: Condition, visited_at: &str) -> Visit {
        Visit {
            community: Community(Uuid::nil()),
            id: Uuid::from_u128(9),
            beneficiary: Uuid::from_u128(7),
            visitor: Uuid::from_u128(10),
            condition,
            visited_at: at(visited_at),
            created_at: at("2025-01-01T00:00:00Z"),
        }
    }

    #[test]
    fn a_visit_is_due_by_grade_from_the_local_date_of_the_last_one() {
        let cases = [
            (Grade::Weekly, "2024-05-20T15:59:59Z", "2024-05-27"),
            // Already the next day in Shanghai.
            (Grade::Weekly, "2024-05-20T16:00:00Z", "2024-05-28"),
            (Grade::Quarterly, "2024-11-30T02:00:00Z", "2025-02-28"),
            (Grade::Quarterly, "2023-11-30T02:00:00Z", "2024-02-29"),
            (Grade::HalfYearly, "2024-08-31T02:00:00Z", "2025-02-28"),
            (Grade::HalfYearly, "2024-05-20T02:00:00Z", "2024-11-20"),
        ];
        for (grade, visited, due) in cases {
            let visit = visit(Condition::Well, visited);
            let visited = somebody(grade).visit(&visit).unwrap();
            assert_eq!(visited.due_date(), Some(date(due)), "{grade:?}");
        }
        // The first is due at once, by the local date.
        let due = somebody(Grade::HalfYearly).due_date();
        assert_eq!(due, Some(date("2024-05-21")));
    }

    #[test]
    fn a_visit_to_nobody_and_one_before_the_last_move_nothing() {
        let visited = somebody(Grade::Weekly)
            .visit(&visit(Condition::Well, "2024-06-03T02:00:00Z"))
            .unwrap();
        for other in [
            visit(Condition::NotMet, "2024-06-10T02:00:00Z"),
            visit(Condition::Urgent, "2024-05-27T02:00:00Z"),
        ] {
            let after = visited.clone().visit(&other).unwrap();
            assert_eq!(after.due_date(), Some(date("2024-06-10")));
        }
    }

    #[test]
    fn whoever_ended_is_due_for_nothing_and_changes_no_more() {
        let now = at("2024-06-01T00:00:00Z");
        let ended = somebody(Grade::Weekly).end(now).unwrap();
        assert_eq!(ended.due_date(), None);
        assert!(ended.clone().end(now).is_err());
        assert!(ended.clone().change(&Change::default(), None).is_err());
        let visit = visit(Condition::Well, "2024-05-27T02:00:00Z");
        assert!(ended.visit(&visit).is_err());
    }

    #[test]
    fn a_stale_revision_is_told_and_no_revision_is_none() {
        let change = Change {
            grade: Some(Grade::Quarterly),
            ..Change::default()
        };
        let changed = somebody(Grade::Weekly).change(&change, Some(1)).unwrap();
        assert_eq!((changed.grade, changed.revision), (Grade::Quarterly, 2));
        assert_eq!(changed.household.as_deref(), Some("12"));
        let stale = RosterRefusal::ConcurrentUpdate {
            beneficiary: changed.id,
        };
        let refused = changed.clone().change(&change, Some(1));
        assert_eq!(refused, Err(stale.into()));
        assert!(changed.change(&change, None).is_ok());
    }

    #[test]
    fn an_erased_one_keeps_number_grade_and_visits_and_nothing_else() {
        let now = at("2024-06-01T00:00:00Z");
        let erased = somebody(Grade::Weekly).erase(now);
        assert_eq!((&erased.household, erased.birth_year), (&None, None));
        assert_eq!(&erased.number, "B000001");
        assert_eq!((erased.due_date(), erased.ended_at), (None, Some(now)));
        assert!(erased.require_person().is_err());
        assert_eq!(erased.clone().erase(now + TimeDelta::days(1)), erased);
    }
}
