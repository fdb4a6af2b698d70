//! What members are told, by the activity service that keeps their notices: how it goes on with what they promised or are asked to do, when somebody
//! else did it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    dispatch::{Assignee, Dispatch, DispatchState},
    pledge::{Pledge, PledgeState, Pledger},
};

/// What somebody is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTelling {
    pub member: Uuid,
    pub telling: Telling,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Telling {
    Pledge {
        pledge: Uuid,
        wish: Uuid,
        title: String,
        what: PledgeTold,
        /// Programme and amount of the points that came back.
        back: Option<(Uuid, i64)>,
    },
    Dispatch {
        dispatch: Uuid,
        wish: Uuid,
        title: String,
        what: DispatchTold,
    },
    /// What a later release is to tell.
    #[serde(other)]
    Unknown,
}

/// What became of a pledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PledgeTold {
    Confirmed,
    Refused,
    Revoked,
    Lapsed,
    Reversed,
}

/// What became of a dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchTold {
    Issued,
    Expired,
    Withdrawn,
}

impl NewTelling {
    /// Of a pledge that was just written: nothing, when its maker did it themselves or is no member. Points that are on their way back are told of
    /// when they are there, by [`NewTelling::of_return`].
    pub fn of_pledge(pledge: &Pledge, title: &str) -> Option<Self> {
        let what = match pledge.state {
            PledgeState::Active if pledge.delivered_at.is_some() => PledgeTold::Refused,
            PledgeState::Confirmed => PledgeTold::Confirmed,
            PledgeState::Revoked if !pledge.in_points => PledgeTold::Revoked,
            PledgeState::Lapsed if !pledge.in_points => PledgeTold::Lapsed,
            PledgeState::Reversed => PledgeTold::Reversed,
            PledgeState::Pending
            | PledgeState::Active
            | PledgeState::Delivered
            | PledgeState::Withdrawn
            | PledgeState::Revoked
            | PledgeState::Lapsed => return None,
        };
        let is_back = what == PledgeTold::Reversed && pledge.in_points;
        let back = is_back.then_some((pledge.programme, pledge.quantity));
        Self::pledge(pledge, title, what, back)
    }

    /// Of a pledge whose points are its maker's again.
    pub fn of_return(pledge: &Pledge, title: &str) -> Option<Self> {
        let what = match pledge.state {
            PledgeState::Revoked => PledgeTold::Revoked,
            PledgeState::Lapsed => PledgeTold::Lapsed,
            PledgeState::Pending
            | PledgeState::Active
            | PledgeState::Delivered
            | PledgeState::Confirmed
            | PledgeState::Withdrawn
            | PledgeState::Reversed => return None,
        };
        Self::pledge(
            pledge,
            title,
            what,
            Some((pledge.programme, pledge.quantity)),
        )
    }

    fn pledge(
        pledge: &Pledge,
        title: &str,
        what: PledgeTold,
        back: Option<(Uuid, i64)>,
    ) -> Option<Self> {
        match pledge.pledger {
            Pledger::Member(member) => Some(Self {
                member,
                telling: Telling::Pledge {
                    pledge: pledge.id,
                    wish: pledge.wish,
                    title: title.to_owned(),
                    what,
                    back,
                },
            }),
            Pledger::Organisation(_) | Pledger::Company(_) => None,
        }
    }

    /// Of a dispatch that was just written: nothing, when whom it asks did it themselves or is a team.
    pub fn of_dispatch(dispatch: &Dispatch, title: &str) -> Option<Self> {
        let what = match dispatch.state {
            DispatchState::Issued => DispatchTold::Issued,
            DispatchState::Expired => DispatchTold::Expired,
            DispatchState::Withdrawn => DispatchTold::Withdrawn,
            DispatchState::Accepted | DispatchState::Declined => return None,
        };
        match dispatch.assignee {
            Assignee::Member(member) => Some(Self {
                member,
                telling: Telling::Dispatch {
                    dispatch: dispatch.id,
                    wish: dispatch.wish,
                    title: title.to_owned(),
                    what,
                },
            }),
            Assignee::Team { .. } => None,
        }
    }
}
