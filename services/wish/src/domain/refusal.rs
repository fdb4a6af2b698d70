//! Why a well-formed call is refused. A refusal is stored as the call's answer, so it carries values only.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::wish::MOST_OPEN_PLEDGES;

/// A refusal by a rule; its `Display` is the English text for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// The resource is not there.
    #[error("{} {id} not found", resource.word())]
    NotFound { resource: Resource, id: Uuid },
    /// The chosen id is taken.
    #[error("{} {id} exists already", resource.word())]
    Exists { resource: Resource, id: Uuid },
    /// The resource's state does not allow this.
    #[error("{} {id} is {state}, not {needed}", resource.word())]
    WrongState {
        resource: Resource,
        id: Uuid,
        state: String,
        needed: String,
    },
    /// Money is paid out and never spent.
    #[error("programme {programme} is of cash rewards, which are paid out, not spent")]
    CashProgramme { programme: Uuid },
    /// A part of the wish is delivered.
    #[error("a part of wish {wish} is delivered: {delivered}")]
    DeliveryBegun { wish: Uuid, delivered: i64 },
    /// A wish is in one round at most.
    #[error("wish {wish} is in round {round}")]
    InAnotherRound { wish: Uuid, round: Uuid },
    /// Nobody can pledge it yet.
    #[error("wish {wish} is not published: {state}")]
    NotPublished { wish: Uuid, state: String },
    /// Nobody can pledge it any more.
    #[error("wish {wish} is closed: {state}")]
    WishClosed { wish: Uuid, state: String },
    /// All of it is pledged.
    #[error("wish {wish} is covered: all {target} are pledged")]
    Covered { wish: Uuid, target: i64 },
    /// More than what is not pledged.
    #[error("wish {wish} wants {uncovered} more, {quantity} were pledged")]
    ExceedsUncovered {
        wish: Uuid,
        uncovered: i64,
        quantity: i64,
    },
    /// As many pledges stand as may at once.
    #[error("wish {wish} has {MOST_OPEN_PLEDGES} open pledges, which is as many as it may")]
    TooManyPledges { wish: Uuid },
    /// Organisations and companies have no points.
    #[error("wish {wish} is in points, which only members pledge")]
    OnlyMembersPledgePoints { wish: Uuid },
    /// Nobody can tell any more who the member was.
    #[error("member {member} was erased")]
    MemberErased { member: Uuid },
    /// The member has less than was pledged.
    #[error("{needed} points were pledged, {} are there", shown(*available))]
    InsufficientPoints { needed: i64, available: Option<i64> },
    /// The ledger will not do it, for a reason of its own.
    #[error("the ledger refused: {reason}")]
    LedgerRefused { reason: String },
    /// Nobody confirms what they delivered themselves.
    #[error("whoever pledged {pledge} can't confirm it")]
    PledgerConfirms { pledge: Uuid },
    /// Its points are on their way to the wish.
    #[error("pledge {pledge} is being confirmed")]
    ConfirmationBegun { pledge: Uuid },
    /// A wish can't be closed before it is begun.
    #[error("close_time {closes_at} is over")]
    CloseTimeOver { closes_at: DateTime<Utc> },
    /// Nobody gives themself back what they gave.
    #[error("whoever pledged {pledge} can't reverse it")]
    PledgerReverses { pledge: Uuid },
    /// Only points go to whoever supplies.
    #[error("merchant {merchant} supplies a wish that is not in points")]
    SupplierWithoutPoints { merchant: Uuid },
    /// Points would have nowhere to go.
    #[error(
        "merchant {merchant} has no account in programme {programme}, which their first offer there opens"
    )]
    SupplierWithoutAccount { merchant: Uuid, programme: Uuid },
    /// Nobody knows whether it is within the ceiling.
    #[error("wish {wish} has no estimated value, and the ceiling is {ceiling} fen")]
    ValueRequired { wish: Uuid, ceiling: i64 },
    /// It is worth more than wishes of its programme may be.
    #[error("wish {wish} is worth {value} fen, and the ceiling is {ceiling} fen")]
    ValueAboveCeiling {
        wish: Uuid,
        ceiling: i64,
        value: i64,
    },
    /// About the roster, dispatches or donation drives.
    #[error(transparent)]
    Roster(#[from] RosterRefusal),
}

/// A refusal about the roster, dispatches or donation drives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum RosterRefusal {
    /// The chosen number is taken.
    #[error("number {number:?} is taken by another beneficiary")]
    NumberTaken { number: String },
    /// It was changed since the caller saw it.
    #[error("beneficiary {beneficiary} was changed since it was read")]
    ConcurrentUpdate { beneficiary: Uuid },
    /// Nobody can tell any more who it was.
    #[error("beneficiary {beneficiary} was erased")]
    BeneficiaryErased { beneficiary: Uuid },
    /// A lost answer is given again for some minutes only.
    #[error("request_id {request_id} was for one look, which is over")]
    RevealOver { request_id: Uuid },
    /// Nobody has to go there for this, or not any more.
    #[error("{task} is not an active task of the caller")]
    NoActiveTask { task: Uuid },
    /// Points are pledged by whoever has them.
    #[error("wish {wish} is in points, which nobody can be asked to see to")]
    WishInPoints { wish: Uuid },
    /// Somebody was asked before and has not answered.
    #[error("wish {wish} has the open dispatch {dispatch}")]
    DispatchOpen { wish: Uuid, dispatch: Uuid },
    /// The time to answer is over.
    #[error("dispatch {dispatch} expired at {expires_at}")]
    DispatchExpired {
        dispatch: Uuid,
        expires_at: DateTime<Utc>,
    },
    /// Nobody could answer in time.
    #[error("expire_time {expires_at} is over")]
    ExpireTimeOver { expires_at: DateTime<Utc> },
    /// There are not so many left.
    #[error("donation drive {drive} has {left} packs left, {packs} are asked for")]
    PacksShort { drive: Uuid, left: i64, packs: i64 },
    /// Some are set aside for somebody.
    #[error("donation drive {drive} has {allotted} packs allotted and not handed over")]
    PacksAllotted { drive: Uuid, allotted: i64 },
    /// One household gets packs of a drive once.
    #[error("the household of beneficiary {beneficiary} has packs of donation drive {drive}")]
    HouseholdServed { drive: Uuid, beneficiary: Uuid },
}

/// What kind of thing a refusal speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    Programme,
    Member,
    Wish,
    Round,
    Pledge,
    Beneficiary,
    Visit,
    Dispatch,
    DonationDrive,
    Allotment,
}

impl Resource {
    /// The English word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Programme => "programme",
            Self::Member => "member",
            Self::Wish => "wish",
            Self::Round => "round",
            Self::Pledge => "pledge",
            Self::Beneficiary => "beneficiary",
            Self::Visit => "visit",
            Self::Dispatch => "dispatch",
            Self::DonationDrive => "donation drive",
            Self::Allotment => "allotment",
        }
    }
}

fn shown(available: Option<i64>) -> String {
    available.map_or("too few".to_owned(), |available| available.to_string())
}
