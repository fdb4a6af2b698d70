//! The rules of the ledger: pure, synchronous, without a database or a clock.
//!
//! [`Book`] holds what a batch of requests touches, applies them one after another, each with a verdict of its own, and keeps what
//! must be written. Everything that may be refused is decided here; the database's constraints are the second line.

mod account;
#[cfg(test)]
mod agreement;
mod book;
mod entry;
mod hold;
mod lots;
mod moves;
mod refusal;
mod request;
#[cfg(test)]
mod tests;

pub use account::{
    Account, AccountDefinition, AccountId, AccountKind, AccountLimits, Asset, CommunityId,
};
pub use book::{Answer, Book, Changes, Known, Map, Original, STATEMENT_PAGE};
pub use entry::{Entry, EntryKind, RecordedHold};
pub use hold::{Hold, HoldState};
pub use lots::{Allocation, Lot, Lots, NEVER};
pub use refusal::Refusal;
pub use request::{
    CaptureHold, Command, CreateHold, Fingerprint, MAX_AMOUNT, Posting, ReleaseHold, Request,
    RequestId, ReverseEntry, Transfer, whole_chains,
};
