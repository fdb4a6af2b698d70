//! Why a well-formed call is refused. A refusal is stored as the call's answer, so it carries values only.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A refusal by a rule; its `Display` is the English text for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// The resource is not there.
    #[error("{} {id} not found", resource.word())]
    NotFound { resource: Resource, id: Uuid },
    /// The chosen id is taken.
    #[error("{} {id} exists already", resource.word())]
    Exists { resource: Resource, id: Uuid },
    /// The chosen number is taken.
    #[error("number {number:?} is taken by another {}", resource.word())]
    NumberTaken { resource: Resource, number: String },
    /// The asset is defined in the community with another exponent.
    #[error("asset {asset:?} exists with another exponent than {exponent}")]
    AssetExists { asset: String, exponent: i16 },
    /// The resource's state does not allow this.
    #[error("{} {id} is {state}, not {needed}", resource.word())]
    WrongState {
        resource: Resource,
        id: Uuid,
        state: String,
        needed: String,
    },
    /// The volunteer can't decide on their own record.
    #[error("the verifier of service record {record} is the volunteer")]
    SelfVerification { record: Uuid },
    /// It takes another person than the one who asked for it first.
    #[error("{} {id} needs a second person", resource.word())]
    SecondPersonRequired { resource: Resource, id: Uuid },
    /// Nobody decides on their own points.
    #[error("adjustment {adjustment} is about points of whoever decides")]
    SelfAdjustment { adjustment: Uuid },
    /// More than the budget has left.
    #[error("adjustment {adjustment} gives {amount}, the budget has {left} left")]
    BudgetExceeded {
        adjustment: Uuid,
        left: i64,
        amount: i64,
    },
    /// Less than is granted already.
    #[error("adjustment {adjustment} sets the budget to {budget}, {granted} is granted already")]
    BudgetBelowGranted {
        adjustment: Uuid,
        budget: i64,
        granted: i64,
    },
    /// One change of a budget at a time is on its way to the ledger, or they could get there in another order.
    #[error("adjustment {other} changes the same budget and is not applied yet")]
    BudgetChanging { adjustment: Uuid, other: Uuid },
    /// A verified record of the member covers a part of the same time.
    #[error("service record {record} overlaps the member's verified record {verified}")]
    ServiceOverlap { record: Uuid, verified: Uuid },
    /// Whoever records has recorded enough for a day or a month.
    #[error("{limit_minutes} minutes may be recorded in a {}, {left_minutes} are left, not {minutes}", period.word())]
    RecorderQuotaExceeded {
        programme: Uuid,
        period: QuotaPeriod,
        limit_minutes: i64,
        left_minutes: i64,
        minutes: i64,
        reset_at: DateTime<Utc>,
    },
    /// The member's day is full.
    #[error(
        "the member's {date} may hold {limit_minutes} minutes, {left_minutes} are left for service record {record}"
    )]
    MemberDayExceeded {
        record: Uuid,
        date: NaiveDate,
        limit_minutes: i64,
        left_minutes: i64,
    },
    /// Nothing shows that it took place.
    #[error("service record {record} is {} and needs evidence", why.word())]
    EvidenceRequired { record: Uuid, why: EvidenceReason },
    /// There is enough evidence.
    #[error("service record {record} can have {limit} pieces of evidence")]
    EvidenceLimit { record: Uuid, limit: usize },
    /// Nobody can tell any more who the member was.
    #[error("member {member} was erased")]
    MemberErased { member: Uuid },
    /// A lost answer is given again for some minutes only.
    #[error("request_id {request_id} was for one look, which is over")]
    RevealOver { request_id: Uuid },
    /// Too much for one look.
    #[error("{deeds} verified services in these days, a simulation takes at most {most}")]
    TooManyDeeds { deeds: i64, most: i64 },
    /// Everyone has to be told of this.
    #[error("notices of class {class} can't be muted")]
    NoticeClassNotMutable { class: String },
    /// The arithmetic leaves the range of amounts.
    #[error("the grant of service record {record} would be out of range")]
    AmountOutOfRange { record: Uuid },
    /// What is asked is asked of cash programmes only.
    #[error("programme {programme} is of {asset}, which is no money")]
    NotCash { programme: Uuid, asset: String },
    /// A list would have no line.
    #[error("programme {programme} owes nobody {minimum} or more")]
    NothingOwed { programme: Uuid, minimum: i64 },
    /// Lines wait for the ledger.
    #[error("payout {payout} has lines that are not held yet")]
    PayoutNotReady { payout: Uuid },
    /// It can't be paid any more.
    #[error("the time of payout {payout} was over at {expired_at}")]
    PayoutExpired {
        payout: Uuid,
        expired_at: DateTime<Utc>,
    },
    /// What was paid is another list.
    #[error("the hash of payout {payout} is {hash}")]
    PayoutHashMismatch { payout: Uuid, hash: String },
    /// Nobody confirms their own payment.
    #[error("line {line} of payout {payout} pays whoever confirms it")]
    SelfPayout { payout: Uuid, line: i32 },
    /// Every line has an outcome.
    #[error("line {line} of payout {payout} has no outcome")]
    OutcomeMissing { payout: Uuid, line: i32 },
    /// Every outcome has a line.
    #[error("payout {payout} has no line {line} to be paid")]
    OutcomeOfNoLine { payout: Uuid, line: i32 },
    /// A rule about problem reports says no.
    #[error(transparent)]
    Report(#[from] ReportRefusal),
}

/// A refusal by a rule about problem reports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ReportRefusal {
    /// The arithmetic leaves the range of amounts.
    #[error("the grant of report {report} would be out of range")]
    AmountOutOfRange { report: Uuid },
    /// The programme has a list of what can be reported.
    #[error("category {category:?} is not on the programme's list")]
    CategoryUnknown { category: String },
    /// Too many abusive reports.
    #[error("member {member} can't report until {}", until.to_rfc3339())]
    ReportingSuspended { member: Uuid, until: DateTime<Utc> },
    /// Nobody looks first at what they reported themselves.
    #[error("whoever decides on report {report} is its reporter")]
    SelfTriage { report: Uuid },
    /// The first reporter keeps the reward.
    #[error("report {other} was not submitted before report {report}")]
    NotEarlier { report: Uuid, other: Uuid },
    /// Only a report that stands by itself can have duplicates.
    #[error("report {other} is {state} itself")]
    NotAnOriginal { other: Uuid, state: String },
    /// One that nobody has decided on may turn out to be no original.
    #[error("report {other} is SUBMITTED: decide on that one first")]
    OriginalUndecided { other: Uuid },
    /// It was reopened too late.
    #[error("report {report} could be reopened until {}", until.to_rfc3339())]
    ReopenWindowClosed { report: Uuid, until: DateTime<Utc> },
    /// Enough was added.
    #[error("report {report} has {limit} additions already")]
    DetailLimit { report: Uuid, limit: i32 },
}

/// Over what a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuotaPeriod {
    Day,
    Month,
}

impl QuotaPeriod {
    /// The English word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// Why a service needs evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EvidenceReason {
    Long,
    Late,
}

impl EvidenceReason {
    /// The English word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Long => "long",
            Self::Late => "late",
        }
    }
}

/// What kind of thing a refusal speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    Programme,
    PolicyRevision,
    Team,
    Member,
    ServiceRecord,
    Grant,
    Adjustment,
    Notice,
    Report,
    Payout,
}

impl Resource {
    /// The English word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Programme => "programme",
            Self::PolicyRevision => "policy revision",
            Self::Team => "team",
            Self::Member => "member",
            Self::ServiceRecord => "service record",
            Self::Grant => "grant",
            Self::Adjustment => "adjustment",
            Self::Notice => "notice",
            Self::Report => "report",
            Self::Payout => "payout",
        }
    }
}
