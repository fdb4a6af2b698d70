//! Policy revisions: DRAFT → ACTIVE → RETIRED, or DRAFT → DISCARDED. Their text never changes, and the times in force of
//! one programme's revisions never overlap.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    policy::Policy,
    refusal::{Refusal, Resource},
};

/// Which revision of which programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionKey {
    pub community: Community,
    pub programme: Uuid,
    pub revision: Uuid,
}

/// Where a revision stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum RevisionState {
    Draft,
    Active,
    Retired,
    Discarded,
}

impl RevisionState {
    /// As the contract writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Active => "ACTIVE",
            Self::Retired => "RETIRED",
            Self::Discarded => "DISCARDED",
        }
    }
}

/// One immutable revision of a programme's earning policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRevision {
    pub community: Community,
    pub id: Uuid,
    pub programme: Uuid,
    pub number: i32,
    pub state: RevisionState,
    pub policy: Policy,
    pub created_at: DateTime<Utc>,
    pub effective_at: Option<DateTime<Utc>>,
    pub retired_at: Option<DateTime<Utc>>,
}

impl PolicyRevision {
    /// Puts a draft into force and retires the one before it, at one instant.
    pub fn activate(
        self,
        active: Option<Self>,
        now: DateTime<Utc>,
    ) -> Result<(Self, Option<Self>), Refusal> {
        self.needs_draft()?;
        // Another replica's clock may have been ahead: time in a policy never runs backwards.
        let at = active
            .as_ref()
            .and_then(|active| active.effective_at)
            .map_or(now, |since| since.max(now));
        let retired = active.map(|active| Self {
            state: RevisionState::Retired,
            retired_at: Some(at),
            ..active
        });
        let activated = Self {
            state: RevisionState::Active,
            effective_at: Some(at),
            ..self
        };
        Ok((activated, retired))
    }

    /// Gives a draft up.
    pub fn discard(self) -> Result<Self, Refusal> {
        self.needs_draft()?;
        Ok(Self {
            state: RevisionState::Discarded,
            ..self
        })
    }

    fn needs_draft(&self) -> Result<(), Refusal> {
        if self.state == RevisionState::Draft {
            return Ok(());
        }
        Err(Refusal::WrongState {
            resource: Resource::PolicyRevision,
            id: self.id,
            state: self.state.word().to_owned(),
            needed: RevisionState::Draft.word().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(state: RevisionState) -> PolicyRevision {
        PolicyRevision {
            community: Community(Uuid::from_u128(1)),
            id: Uuid::from_u128(2),
            programme: Uuid::from_u128(3),
            number: 1,
            state,
            policy: Policy {
                earn_rules: vec![],
                multipliers: vec![],
                caps: vec![],
                expiry_months: None,
            },
            created_at: DateTime::UNIX_EPOCH,
            effective_at: None,
            retired_at: None,
        }
    }

    #[test]
    fn only_a_draft_is_activated_or_discarded() {
        let now = DateTime::UNIX_EPOCH;
        for state in [
            RevisionState::Active,
            RevisionState::Retired,
            RevisionState::Discarded,
        ] {
            assert!(matches!(
                revision(state).activate(None, now),
                Err(Refusal::WrongState { .. })
            ));
            assert!(matches!(
                revision(state).discard(),
                Err(Refusal::WrongState { .. })
            ));
        }
        let discarded = revision(RevisionState::Draft).discard().unwrap();
        assert_eq!(discarded.state, RevisionState::Discarded);
    }

    #[test]
    fn one_revision_ends_where_the_next_begins_even_when_a_clock_is_behind() {
        let now = DateTime::UNIX_EPOCH;
        let later = now + chrono::TimeDelta::hours(1);
        let active = PolicyRevision {
            effective_at: Some(later),
            ..revision(RevisionState::Active)
        };
        let (next, retired) = revision(RevisionState::Draft)
            .activate(Some(active), now)
            .unwrap();
        assert_eq!(
            (next.state, next.effective_at),
            (RevisionState::Active, Some(later))
        );
        let retired = retired.unwrap();
        assert_eq!(
            (retired.state, retired.retired_at),
            (RevisionState::Retired, Some(later))
        );
    }
}
