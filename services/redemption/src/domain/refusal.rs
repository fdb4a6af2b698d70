//! Why a call is refused, with the numbers behind it. A refusal is kept and given again when the call is repeated.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Audience, MerchantState, OfferState, StatementState};

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A merchant.
    Merchant,
    /// An agreement.
    Agreement,
    /// An offer.
    Offer,
    /// A redemption.
    Redemption,
    /// A member, of the activity service.
    Member,
    /// A programme, of the activity service.
    Programme,
    /// A store.
    Store,
    /// A terminal.
    Terminal,
    /// A member's card.
    MemberCard,
    /// What stands for a member at a counter.
    MemberHandle,
    /// A merchant's account in a programme, by the programme's id.
    Settlement,
}

/// Why an offer can't be redeemed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inactive {
    /// It is not active.
    State(OfferState),
    /// The local date is outside its dates.
    Date {
        /// The date at the programme.
        today: NaiveDate,
        /// The offer's first day.
        start: NaiveDate,
        /// The offer's last day.
        end: NaiveDate,
    },
    /// No agreement of its merchant covers the local date.
    Agreement {
        /// The date at the programme.
        today: NaiveDate,
    },
}

/// Why a step of settlement is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettlementRefusal {
    /// The statement's state does not allow this.
    StatementState {
        /// The statement's date.
        date: NaiveDate,
        /// Where it stands.
        state: StatementState,
    },
    /// The statement takes no disputes any more.
    StatementClosed {
        /// The statement's date.
        date: NaiveDate,
        /// Where it stands.
        state: StatementState,
    },
    /// The statement has no such line.
    NoLine {
        /// The statement's date.
        date: NaiveDate,
        /// The line.
        line: i32,
    },
    /// The line is not disputed.
    NoDispute {
        /// The statement's date.
        date: NaiveDate,
        /// The line.
        line: i32,
    },
    /// The line was disputed before.
    DisputedBefore {
        /// The statement's date.
        date: NaiveDate,
        /// The line.
        line: i32,
    },
    /// The dispute has ended.
    DisputeState {
        /// The statement's date.
        date: NaiveDate,
        /// The line.
        line: i32,
        /// Where the dispute stands.
        state: String,
    },
    /// Somebody else has to do this.
    SecondPerson {
        /// The statement's date.
        date: NaiveDate,
    },
    /// A file can't take so many lines.
    TooLong {
        /// The most it takes.
        most: i64,
    },
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The resource is not there.
    NotFound {
        /// What kind.
        resource: Resource,
        /// Its id.
        id: Uuid,
    },
    /// The programme's rewards are money, which is paid out and spent nowhere.
    CashProgramme,
    /// The chosen id is taken.
    Exists {
        /// What kind.
        resource: Resource,
        /// The id.
        id: Uuid,
    },
    /// Another merchant has this number.
    NumberTaken {
        /// The number.
        number: String,
    },
    /// The state does not allow this.
    WrongState {
        /// What kind.
        resource: Resource,
        /// Its id.
        id: Uuid,
        /// The state it is in.
        state: String,
    },
    /// No till can be paired with this code.
    PairingCodeInvalid,
    /// The code's time is over.
    PairingCodeExpired {
        /// Since when.
        expired_at: DateTime<Utc>,
    },
    /// Another till was paired with it.
    PairingCodeUsed,
    /// The terminal is shut out.
    TerminalRevoked,
    /// A till without a client certificate can't be paired with this store.
    CertificateRequired {
        /// The store.
        store: Uuid,
    },
    /// No member shows this code, and no card has this number.
    MemberCodeInvalid,
    /// The code's time is over.
    MemberCodeExpired {
        /// Since when.
        expired_at: DateTime<Utc>,
    },
    /// A till has used the code.
    MemberCodeUsed,
    /// It is not the card's PIN.
    PinWrong {
        /// How often it can still be tried.
        left: i32,
    },
    /// Too many wrong PINs came in a row.
    CardBlocked,
    /// The card counts no more.
    CardRevoked,
    /// The handle's time is over.
    HandleExpired {
        /// Since when.
        expired_at: DateTime<Utc>,
    },
    /// The handle is of another merchant than the offer.
    NotYourStore,
    /// No key is set to sign offline codes with.
    OfflineCodesOff,
    /// The member has as many offline codes as they may.
    TooManyOfflineCodes {
        /// How many they may have.
        most: i16,
        /// How many they have.
        have: i16,
    },
    /// It is no offline code of ours, or not one of the offer's programme.
    OfflineCodeInvalid,
    /// The code has paid another sale.
    OfflineCodeUsed {
        /// When that was, by its till's clock.
        sold_at: DateTime<Utc>,
    },
    /// The sale was outside the code's time, or comes too late.
    OfflineCodeExpired {
        /// When a till had to refuse it.
        expired_at: DateTime<Utc>,
    },
    /// The sale comes to more than the code is worth.
    AmountExceedsCode {
        /// What it is worth.
        worth: i64,
        /// What the sale comes to.
        asked: i64,
    },
    /// The sale's time has not come: the till's clock is wrong.
    SaleInFuture,
    /// The person behind the member was erased.
    MemberErased,
    /// The merchant is suspended or terminated.
    MerchantSuspended {
        /// Where it stands.
        state: MerchantState,
    },
    /// The offer can't be redeemed now.
    OfferNotActive(Inactive),
    /// The member is not of those the offer is for.
    AudienceNotMatched {
        /// Whom it is for.
        audience: Audience,
    },
    /// Fewer are left than asked for.
    OfferSoldOut {
        /// How many are left.
        left: i64,
        /// How many were asked for.
        asked: i64,
    },
    /// The member would pass the offer's limit.
    MemberLimitReached {
        /// The limit.
        limit: i64,
        /// What the member has taken of it.
        taken: i64,
        /// How many were asked for.
        asked: i64,
    },
    /// The member has too few points.
    InsufficientPoints {
        /// What it costs.
        needed: i64,
        /// What the member can spend, when the ledger said so.
        available: Option<i64>,
    },
    /// The hold's time is over.
    HoldExpired {
        /// When it ended.
        expired_at: DateTime<Utc>,
    },
    /// The hold was captured before.
    AlreadyCaptured,
    /// More is to be captured than is held.
    AmountExceedsHeld {
        /// How many are held.
        held: i64,
        /// How many were asked for.
        asked: i64,
    },
    /// It is too late for a reversal.
    ReversalWindowClosed {
        /// The last instant at which it could be reversed.
        until: DateTime<Utc>,
    },
    /// More is to be given back than is captured and not yet given back.
    QuantityExceedsCaptured {
        /// How many there are to give back.
        left: i64,
        /// How many were asked for.
        asked: i64,
    },
    /// The call's id was cancelled before the call came.
    Cancelled {
        /// The id.
        request_id: Uuid,
    },
    /// The id belongs to a call with other content.
    RequestIdReused {
        /// The id.
        request_id: Uuid,
    },
    /// So much can't be in stock.
    StockTooLarge {
        /// The most there can be.
        most: i64,
    },
    /// The ledger refused for a reason that has no name here.
    LedgerRefused {
        /// The ledger's own reason.
        reason: String,
    },
    /// A step of settlement is refused.
    Settlement(SettlementRefusal),
}
