//! Disputes: a merchant objects to a line of a statement, and the staff declines or accepts. OPEN → DECLINED | ACCEPTED.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Refusal, SettlementRefusal, StatementName};

/// That somebody did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Who: `sub` of their token.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What the staff decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Of an accepted dispute: the adjustment, signed; nothing when it was declined.
    pub points: Option<i64>,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub deed: Deed,
}

/// A merchant's objection to a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Why.
    pub reason: String,
    /// Who objected.
    pub opened: Deed,
    /// What was decided; nothing while it is open.
    pub resolution: Option<Resolution>,
}

/// A member of the staff who decides about a merchant's money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    /// Who, and when.
    pub deed: Deed,
    /// Whether their token says that the merchant is their own.
    pub is_merchant: bool,
}

impl Dispute {
    /// The word for where it stands.
    pub fn state(&self) -> &'static str {
        match &self.resolution {
            None => "open",
            Some(Resolution { points: None, .. }) => "declined",
            Some(Resolution {
                points: Some(_), ..
            }) => "accepted",
        }
    }

    /// Ends an open one. Neither who objected nor the merchant decides.
    pub fn resolve(
        self,
        line: (StatementName, i32),
        points: Option<i64>,
        reason: String,
        decider: Decider,
    ) -> Result<Self, Refusal> {
        let (name, line) = line;
        if self.resolution.is_some() {
            return Err(Refusal::Settlement(SettlementRefusal::DisputeState {
                date: name.date,
                line,
                state: self.state().to_owned(),
            }));
        }
        if decider.is_merchant || decider.deed.by == self.opened.by {
            return Err(Refusal::Settlement(SettlementRefusal::SecondPerson {
                date: name.date,
            }));
        }
        let resolution = Resolution {
            points,
            reason,
            deed: decider.deed,
        };
        Ok(Self {
            resolution: Some(resolution),
            ..self
        })
    }
}
