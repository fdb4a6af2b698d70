//! Why the ledger says no. A refusal is stored as the answer to its request and told again when the request is repeated.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::AccountId;

/// One reason, with the values it speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Refusal {
    /// No such account in this community.
    #[error("there is no account {account}", account = account.0)]
    AccountNotFound {
        /// Which.
        account: AccountId,
    },
    /// The two accounts are of different assets or programmes.
    #[error("the accounts are of different assets or programmes: {debit} and {credit}")]
    AssetMismatch {
        /// Asset of the debit account.
        debit: String,
        /// Asset of the credit account.
        credit: String,
    },
    /// The debit account has less to give.
    #[error("{available} available, {asked} asked")]
    InsufficientPoints {
        /// What it has.
        available: i64,
        /// What was asked.
        asked: i64,
    },
    /// The credit account may not hold as much.
    #[error("room for {room}, {asked} asked")]
    LimitExceeded {
        /// What it can still take.
        room: i64,
        /// What was asked.
        asked: i64,
    },
    /// The points would have expired before they were there.
    #[error("the points would expire at {expire_time}, it is {now}")]
    LotExpired {
        /// When they would have.
        expire_time: DateTime<Utc>,
        /// When it was asked.
        now: DateTime<Utc>,
    },
    /// Points that expire were sent to an account that keeps no lots.
    #[error("account {account} keeps no lots, so its points can't expire", account = account.0)]
    LotsNotKept {
        /// The credit account.
        account: AccountId,
    },
    /// Both accounts keep lots.
    #[error("both accounts keep lots; points that expire can't be passed on")]
    LotsOnBothSides,
    /// A capture names an account of its own hold.
    #[error("account {account} is one of the hold's own", account = account.0)]
    NotAnotherAccount {
        /// The account.
        account: AccountId,
    },
    /// Another transfer of the linked chain was refused.
    #[error("linked to a transfer that was refused")]
    LinkedTransferFailed,
    /// The id was used for something else.
    #[error("request_id {request_id} was used for another request")]
    RequestIdReused {
        /// The id.
        request_id: Uuid,
    },
    /// No such hold in this community.
    #[error("there is no hold {hold}")]
    HoldNotFound {
        /// Which.
        hold: Uuid,
    },
    /// The hold's time is over.
    #[error("the hold ended at {expire_time}, it is {now}")]
    HoldExpired {
        /// When it ended.
        expire_time: DateTime<Utc>,
        /// When it was asked.
        now: DateTime<Utc>,
    },
    /// The hold's time is not over, so it can't expire.
    #[error("the hold ends at {expire_time}, it is {now}")]
    HoldNotExpired {
        /// When it ends.
        expire_time: DateTime<Utc>,
        /// When it was asked.
        now: DateTime<Utc>,
    },
    /// Nothing is held any more.
    #[error("the hold is closed: {captured} captured, {released} released")]
    HoldClosed {
        /// Captured in all.
        captured: i64,
        /// Released in all.
        released: i64,
    },
    /// More than is still held.
    #[error("{held} held, {asked} asked")]
    AmountExceedsHeld {
        /// Still held.
        held: i64,
        /// What was asked.
        asked: i64,
    },
    /// No such entry in this community.
    #[error("there is no entry {sequence}")]
    EntryNotFound {
        /// Which.
        sequence: i64,
    },
    /// Only transfers and captures can be reversed.
    #[error("entry {sequence} is neither a transfer nor a capture")]
    NotReversible {
        /// Which.
        sequence: i64,
    },
    /// More than is not yet reversed.
    #[error("{reversible} can still be reversed, {asked} asked")]
    AmountExceedsOriginal {
        /// What is left of the original.
        reversible: i64,
        /// What was asked.
        asked: i64,
    },
    /// The code is defined with another exponent.
    #[error("asset {asset} is defined with exponent {exponent}")]
    AssetExists {
        /// Its code.
        asset: String,
        /// The exponent it has.
        exponent: i16,
    },
    /// No such asset in this community.
    #[error("there is no asset {asset}")]
    AssetNotFound {
        /// Its code.
        asset: String,
    },
    /// The id belongs to an account that is defined otherwise.
    #[error("account {account} is there with another definition", account = account.0)]
    AccountExists {
        /// Which.
        account: AccountId,
    },
    /// An account that keeps lots can't go below zero.
    #[error("an account that keeps lots needs a min_balance of 0 or more")]
    LotsNeedMinBalance,
}
