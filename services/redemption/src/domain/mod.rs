//! The rules of redeeming, pure and synchronous: values in, a new value or a refusal out. Nothing here reads a clock, a database or
//! another service.

mod book;
mod merchant;
mod offer;
mod redemption;
mod refusal;
mod step;
mod terminal;

#[cfg(test)]
mod tests;

pub use book::{Begun, Book, Changes, Hindrance, Stand, Taking, Undoing};
pub use merchant::{Agreement, Merchant, MerchantState, MerchantStep};
pub use offer::{Audience, Counter, Member, MemberKind, Offer, OfferState, OfferStep, Zone};
pub use redemption::{
    HEAD_START, Kind, LedgerReceipt, LedgerRefusal, Operation, Redemption, RedemptionState,
    Settled, Verdict,
};
pub use refusal::{Inactive, Refusal, Resource};
pub use step::{Order, Origin, Reversal, Step, Way};
pub use terminal::{
    KEY_PREFIX, PAIRING_TIME, PairingCode, Revoked, SecretHash, Store, Terminal, TerminalKey,
};

use uuid::Uuid;

/// Which resource: its community and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The community it belongs to.
    pub community: Uuid,
    /// Its id.
    pub id: Uuid,
}
