//! Dispatches: somebody is asked to see to a wish, and answers in time or not. The clock ends one whether or not that was written down.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    refusal::{Refusal, Resource, RosterRefusal},
};

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assignee {
    Member(Uuid),
    Team {
        id: Uuid,
        /// What its pledge is shown as.
        organisation: String,
    },
}

/// Where a dispatch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DispatchState {
    Issued,
    Accepted,
    Declined,
    Expired,
    Withdrawn,
}

impl DispatchState {
    /// As the contract calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Issued => "ISSUED",
            Self::Accepted => "ACCEPTED",
            Self::Declined => "DECLINED",
            Self::Expired => "EXPIRED",
            Self::Withdrawn => "WITHDRAWN",
        }
    }
}

/// That somebody is asked to see to a wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    pub community: Community,
    pub id: Uuid,
    pub wish: Uuid,
    pub assignee: Assignee,
    /// Of the wish, in its unit.
    pub quantity: i64,
    pub note: String,
    pub state: DispatchState,
    /// Why declined or withdrawn; empty otherwise.
    pub reason: String,
    /// What accepting made.
    pub pledge: Option<Uuid>,
    /// From this instant on it can't be answered.
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

impl Dispatch {
    /// The dispatch by the clock.
    pub fn at(self, now: DateTime<Utc>) -> Self {
        if self.state != DispatchState::Issued || now < self.expires_at {
            return self;
        }
        Self {
            state: DispatchState::Expired,
            ended_at: Some(self.expires_at),
            ..self
        }
    }

    /// They see to it, by a pledge.
    pub fn accept(self, pledge: Uuid, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let open = self.require_issued(now)?;
        Ok(Self {
            state: DispatchState::Accepted,
            pledge: Some(pledge),
            ended_at: Some(now),
            ..open
        })
    }

    /// They do not.
    pub fn decline(self, reason: String, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let open = self.require_issued(now)?;
        Ok(Self {
            state: DispatchState::Declined,
            reason,
            ended_at: Some(now),
            ..open
        })
    }

    /// Staff take it back.
    pub fn withdraw(self, reason: String, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let open = self.require_issued(now)?;
        Ok(Self {
            state: DispatchState::Withdrawn,
            reason,
            ended_at: Some(now),
            ..open
        })
    }

    /// Refuses what is for dispatches that wait for their answer, unless this one does.
    pub fn require_issued(self, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let by_clock = self.at(now);
        match by_clock.state {
            DispatchState::Issued => Ok(by_clock),
            DispatchState::Expired => Err(RosterRefusal::DispatchExpired {
                dispatch: by_clock.id,
                expires_at: by_clock.expires_at,
            }
            .into()),
            DispatchState::Accepted | DispatchState::Declined | DispatchState::Withdrawn => {
                Err(Refusal::WrongState {
                    resource: Resource::Dispatch,
                    id: by_clock.id,
                    state: by_clock.state.word().to_owned(),
                    needed: "ISSUED".to_owned(),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn issued() -> Dispatch {
        Dispatch {
            community: Community(Uuid::nil()),
            id: Uuid::from_u128(1),
            wish: Uuid::from_u128(2),
            assignee: Assignee::Member(Uuid::from_u128(3)),
            quantity: 1,
            note: String::new(),
            state: DispatchState::Issued,
            reason: String::new(),
            pledge: None,
            expires_at: DateTime::UNIX_EPOCH + TimeDelta::days(1),
            created_at: DateTime::UNIX_EPOCH,
            ended_at: None,
        }
    }

    #[test]
    fn a_dispatch_is_answered_before_its_time_and_not_at_it() {
        let dispatch = issued();
        let last = dispatch.expires_at - TimeDelta::microseconds(1);
        let pledge = Uuid::from_u128(4);
        let accepted = dispatch.clone().accept(pledge, last).unwrap();
        assert_eq!(accepted.pledge, Some(pledge));

        let expires_at = dispatch.expires_at;
        let over: Refusal = RosterRefusal::DispatchExpired {
            dispatch: dispatch.id,
            expires_at,
        }
        .into();
        let late = dispatch.clone().accept(pledge, expires_at);
        assert_eq!(late, Err(over.clone()));
        let late = dispatch.clone().decline("away".to_owned(), expires_at);
        assert_eq!(late, Err(over));
        let expired = dispatch.at(expires_at);
        assert_eq!(expired.state, DispatchState::Expired);
        assert_eq!(expired.ended_at, Some(expires_at));
        // What was answered in time does not expire.
        assert_eq!(accepted.clone().at(expires_at), accepted);
    }

    #[test]
    fn a_dispatch_is_answered_once() {
        let now = DateTime::UNIX_EPOCH;
        let reason = || "away".to_owned();
        let answered = [
            issued().accept(Uuid::from_u128(4), now).unwrap(),
            issued().decline(reason(), now).unwrap(),
            issued().withdraw(reason(), now).unwrap(),
        ];
        for dispatch in answered {
            assert!(dispatch.clone().accept(Uuid::from_u128(5), now).is_err());
            assert!(dispatch.clone().decline(reason(), now).is_err());
            assert!(dispatch.withdraw(reason(), now).is_err());
        }
    }
}
