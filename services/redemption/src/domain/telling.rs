//! What members are told of what happened to their points and cards. It is kept as values; activity, which keeps their notices, makes the text.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Kind, Operation, Redemption, RedemptionState};

/// Something to tell a member, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// Its id, and the notice's.
    pub id: Uuid,
    /// Who is told.
    pub member: Uuid,
    /// What.
    pub content: Content,
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// A purchase was given back, in whole or in part.
    RedemptionReversed {
        /// Which.
        redemption: Uuid,
        /// Title of its offer.
        title: String,
        /// Whose points.
        programme: Uuid,
        /// How many were given back.
        quantity: i64,
        /// What the ledger gave back for them.
        amount: i64,
        /// Whether nothing of the purchase is left.
        is_whole: bool,
    },
    /// A purchase that somebody made by naming the member.
    RedemptionAssisted {
        /// Which.
        redemption: Uuid,
        /// Title of its offer.
        title: String,
        /// Whose points.
        programme: Uuid,
        /// What was paid.
        amount: i64,
    },
    /// Something became of a card.
    CardChanged {
        /// Which.
        card: Uuid,
        /// What.
        change: CardChange,
    },
    /// What a later release is to tell.
    #[serde(other)]
    Unknown,
}

/// What becomes of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardChange {
    /// It was made.
    Created,
    /// It has a new PIN.
    PinReset,
    /// Its PIN was wrong too often.
    Blocked,
    /// It was ended for good.
    Revoked,
}

impl Content {
    /// What the member is told of a step that has led a redemption to a state; mostly nothing, for they were there.
    pub fn of_transition(
        step: &Operation,
        to: RedemptionState,
        redemption: &Redemption,
    ) -> Option<Self> {
        let (quantity, amount) = (step.quantity, redemption.points(step.quantity));
        match step.kind {
            Kind::Reverse => Some(Self::RedemptionReversed {
                redemption: redemption.id,
                title: redemption.title.clone(),
                programme: redemption.programme,
                quantity,
                amount,
                is_whole: to == RedemptionState::Reversed,
            }),
            Kind::Redeem | Kind::Capture | Kind::Forward => {
                let is_told = to == RedemptionState::Captured && redemption.assisted_by.is_some();
                is_told.then(|| Self::RedemptionAssisted {
                    redemption: redemption.id,
                    title: redemption.title.clone(),
                    programme: redemption.programme,
                    amount,
                })
            }
            Kind::Hold | Kind::Release | Kind::Expire => None,
        }
    }
}
