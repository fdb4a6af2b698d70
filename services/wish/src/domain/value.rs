//! Up to what value wishes of a programme are published.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    refusal::Refusal,
    wish::{Scope, Wish},
};

/// The ceilings of a programme, in fen of CNY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueCeilings {
    pub community: Community,
    pub programme: Uuid,
    /// Of wishes for one person or household.
    pub individual: Option<i64>,
    /// Of wishes for many.
    pub common: Option<i64>,
    /// Nothing when they were never set.
    pub updated_at: Option<DateTime<Utc>>,
}

impl ValueCeilings {
    /// Those of a programme that has none.
    pub fn none(community: Community, programme: Uuid) -> Self {
        Self {
            community,
            programme,
            individual: None,
            common: None,
            updated_at: None,
        }
    }

    /// Whether a wish is within them.
    pub fn require_within(&self, wish: &Wish) -> Result<(), Refusal> {
        let ceiling = match wish.scope {
            Scope::Individual => self.individual,
            Scope::Common => self.common,
        };
        let (wish, value) = (wish.id, wish.estimated_value);
        match (ceiling, value) {
            (None, _) => Ok(()),
            (Some(ceiling), None) => Err(Refusal::ValueRequired { wish, ceiling }),
            (Some(ceiling), Some(value)) if value > ceiling => Err(Refusal::ValueAboveCeiling {
                wish,
                ceiling,
                value,
            }),
            (Some(_), Some(_)) => Ok(()),
        }
    }
}
