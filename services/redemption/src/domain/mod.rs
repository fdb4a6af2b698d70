//! The rules of redeeming, pure and synchronous: values in, a new value or a refusal out. Nothing here reads a clock, a database or
//! another service.

mod merchant;
mod offer;
mod redemption;
mod refusal;

#[cfg(test)]
mod tests;

pub use merchant::{Agreement, Merchant, MerchantState, MerchantStep};
pub use offer::{Audience, Counter, Member, MemberKind, Offer, OfferState, OfferStep, Zone};
pub use redemption::{
    Kind, LedgerReceipt, LedgerRefusal, Operation, Redemption, RedemptionState, Settled, Verdict,
};
pub use refusal::{Inactive, Refusal, Resource};

use uuid::Uuid;

/// Which resource: its community and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The community it belongs to.
    pub community: Uuid,
    /// Its id.
    pub id: Uuid,
}
