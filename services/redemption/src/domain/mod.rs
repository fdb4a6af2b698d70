//! The rules of redeeming, pure and synchronous: values in, a new value or a refusal out. Nothing here reads a clock, a database or
//! another service.

mod book;
mod business_day;
mod dispute;
mod event;
mod line;
mod member_code;
mod merchant;
mod news;
mod offer;
mod offline_code;
mod operation;
mod redemption;
mod refusal;
mod statement;
mod step;
mod telling;
mod terminal;

#[cfg(test)]
mod tests;

pub use book::{Begun, Book, Changes, Hindrance, Stand, Taking, Undoing};
pub use dispute::{Decider, Deed, Dispute, Resolution};
pub use event::{Event, EventFilter, Happened, NewEvent};
pub use line::{CELLS, Line, LineHash, LineKind, Origin};
pub use member_code::{
    CODE_TIME, Card, CardState, HANDLE_TIME, Handle, MemberCode, Pin, PinHash, Shown, band,
};
pub use merchant::{Agreement, Merchant, MerchantState, MerchantStep};
pub use news::News;
pub use offer::{
    Audience, Counter, Member, MemberKind, Offer, OfferState, OfferStep, Zone, check_spendable,
};
pub use offline_code::{
    FORWARD_TIME, KeptOfflineCode, MOST_CODES, OFFLINE_TIME, OfflineCode, OfflineKeys,
    OfflineState, has_come,
};
pub use operation::{HEAD_START, Kind, LedgerReceipt, LedgerRefusal, Operation, Verdict};
pub use redemption::{MAX_QUANTITY, OfflineUse, Redemption, RedemptionState, Settled};
pub use refusal::{Inactive, Refusal, Resource, SettlementRefusal};
pub use statement::{
    Adjustment, KnownStep, MerchantAccount, Payment, Posting, Settlement, Statement, StatementName,
    StatementState, Totals,
};
pub use step::{Cause, KnownBy, Order, Reversal, Step, Till, Way};
pub use telling::{CardChange, Content, Telling};
pub use terminal::{
    KEY_PREFIX, PAIRING_TIME, PairingCode, Revoked, SecretHash, Store, Terminal, TerminalKey,
    Thumbprint, Unbound,
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
