//! Merchants and their agreements: ACTIVE ⇄ SUSPENDED → TERMINATED.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Refusal, Resource};

/// Where a merchant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MerchantState {
    /// Takes part.
    Active,
    /// Stopped for a while.
    Suspended,
    /// Ended for good.
    Terminated,
}

impl MerchantState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Terminated];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Terminated => "terminated",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Where a step leads from here, if it is allowed.
    pub fn after(self, step: MerchantStep) -> Option<Self> {
        match (self, step) {
            (Self::Active, MerchantStep::Suspend) => Some(Self::Suspended),
            (Self::Suspended, MerchantStep::Resume) => Some(Self::Active),
            (Self::Active | Self::Suspended, MerchantStep::Terminate) => Some(Self::Terminated),
            (Self::Active, MerchantStep::Resume)
            | (Self::Suspended, MerchantStep::Suspend)
            | (Self::Terminated, _) => None,
        }
    }
}

/// What can be done with a merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MerchantStep {
    /// Stops new holds and redemptions.
    Suspend,
    /// Lets it go on.
    Resume,
    /// Ends it for good.
    Terminate,
}

/// A partner shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    /// Its community.
    pub community: Uuid,
    /// Its id.
    pub id: Uuid,
    /// The community's number of it.
    pub number: String,
    /// Its name.
    pub display_name: String,
    /// What it deals in; may be empty.
    pub category: String,
    /// Where it stands.
    pub state: MerchantState,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
}

impl Merchant {
    /// Takes a step.
    pub fn step(self, step: MerchantStep) -> Result<Self, Refusal> {
        let state = self.state.after(step).ok_or_else(|| self.wrong_state())?;
        Ok(Self { state, ..self })
    }

    /// Refuses new offers of a merchant that has ended.
    pub fn check_may_offer(&self) -> Result<(), Refusal> {
        match self.state {
            MerchantState::Active | MerchantState::Suspended => Ok(()),
            MerchantState::Terminated => Err(self.wrong_state()),
        }
    }

    fn wrong_state(&self) -> Refusal {
        Refusal::WrongState {
            resource: Resource::Merchant,
            id: self.id,
            state: self.state.as_str().to_owned(),
        }
    }
}

/// The local dates between which a merchant takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Its community.
    pub community: Uuid,
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub merchant: Uuid,
    /// First day, included.
    pub start: NaiveDate,
    /// Last day, included.
    pub end: NaiveDate,
}
