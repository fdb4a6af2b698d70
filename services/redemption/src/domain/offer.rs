//! Offers: DRAFT → IN_REVIEW → ACTIVE ⇄ PAUSED → ENDED, and who may take what of them when.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Inactive, MAX_QUANTITY, MerchantState, Refusal, Resource};

/// The most that can ever be put in stock: far from what an i64 holds.
const MAX_STOCK: i64 = 1_000_000_000_000_000;
/// The age from which a member is a senior.
const SENIOR_YEARS: i32 = 60;

/// A time zone, written as its IANA name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(pub Tz);

impl TryFrom<String> for Zone {
    type Error = chrono_tz::ParseError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse().map(Self)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0.name().to_owned()
    }
}

/// Where an offer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferState {
    /// Being written.
    Draft,
    /// Waits for staff.
    InReview,
    /// Can be redeemed between its dates.
    Active,
    /// Stopped for a while.
    Paused,
    /// Ended for good.
    Ended,
}

impl OfferState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Draft,
        Self::InReview,
        Self::Active,
        Self::Paused,
        Self::Ended,
    ];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::InReview => "in_review",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Where a step leads from here, if it is allowed.
    pub fn after(self, step: OfferStep) -> Option<Self> {
        let (from, to): (&[Self], Self) = match step {
            OfferStep::Submit => (&[Self::Draft], Self::InReview),
            OfferStep::Return => (&[Self::InReview], Self::Draft),
            OfferStep::Activate => (&[Self::Draft, Self::InReview], Self::Active),
            OfferStep::Pause => (&[Self::Active], Self::Paused),
            OfferStep::Resume => (&[Self::Paused], Self::Active),
            OfferStep::End => (
                &[Self::Draft, Self::InReview, Self::Active, Self::Paused],
                Self::Ended,
            ),
        };
        from.contains(&self).then_some(to)
    }
}

/// What can be done with an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferStep {
    /// Hands it in for review.
    Submit,
    /// Returns it to be written anew.
    Return,
    /// Puts it in force.
    Activate,
    /// Stops it for a while.
    Pause,
    /// Lets it go on.
    Resume,
    /// Ends it for good.
    End,
}

/// Whom an offer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Every member.
    All,
    /// Couriers, riders and drivers.
    Gig,
    /// Those who turn 60 in or before the local year.
    Senior,
}

impl Audience {
    /// Every audience.
    pub const ALL: [Self; 3] = [Self::All, Self::Gig, Self::Senior];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Gig => "gig",
            Self::Senior => "senior",
        }
    }

    /// The audience of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|audience| audience.as_str() == name)
    }

    /// Whether a member belongs to it in a local year.
    pub fn includes(self, member: &Member, year: i32) -> bool {
        match self {
            Self::All => true,
            Self::Gig => match member.kind {
                MemberKind::Courier | MemberKind::Rider | MemberKind::Driver => true,
                MemberKind::Resident | MemberKind::Staff => false,
            },
            Self::Senior => member
                .birth_year
                .is_some_and(|born| year - born >= SENIOR_YEARS),
        }
    }
}

/// How a member takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// Lives in the community.
    Resident,
    /// Delivers parcels.
    Courier,
    /// Delivers meals.
    Rider,
    /// Drives for hire.
    Driver,
    /// Works for the community.
    Staff,
}

/// What is asked of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// How they take part.
    pub kind: MemberKind,
    /// Their year of birth, when known.
    pub birth_year: Option<i32>,
    /// Whether the person behind it was erased.
    pub is_erased: bool,
}

/// Code of the asset that is money.
const CASH: &str = "CNY";

/// Refuses an asset that is paid out and never spent.
pub fn check_spendable(asset: &str) -> Result<(), Refusal> {
    match asset {
        CASH => Err(Refusal::CashProgramme),
        _ => Ok(()),
    }
}

/// Something a merchant gives for points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its community.
    pub community: Uuid,
    /// Its id.
    pub id: Uuid,
    /// Who gives it.
    pub merchant: Uuid,
    /// Whose points it takes.
    pub programme: Uuid,
    /// What it is.
    pub title: String,
    /// Price of one, now.
    pub points: i64,
    /// Number of that price, from 1.
    pub revision: i32,
    /// How many were ever put in stock, less what was taken out unsold.
    pub stock: i64,
    /// How many are neither reserved nor taken.
    pub stock_left: i64,
    /// The most one member may take.
    pub per_member_limit: Option<i64>,
    /// Whom it is for.
    pub audience: Audience,
    /// First local day, included.
    pub start: NaiveDate,
    /// Last local day, included.
    pub end: NaiveDate,
    /// How many times 24 h after its capture a redemption can be reversed.
    pub reversal_days: i32,
    /// Where it stands.
    pub state: OfferState,
    /// The programme's asset.
    pub asset: String,
    /// The programme's time zone.
    pub time_zone: Zone,
    /// When it was drafted.
    pub created_at: DateTime<Utc>,
}

/// What else a decision about an offer rests on.
#[derive(Debug, Clone, Copy)]
pub struct Counter<'a> {
    /// Where the merchant stands.
    pub merchant: MerchantState,
    /// Whether an agreement of the merchant covers the local date.
    pub agreed: bool,
    /// Who takes.
    pub member: &'a Member,
    /// What the member has of this offer, net of reversals.
    pub taken: i64,
    /// How many are asked for.
    pub quantity: i64,
    /// The time of the decision.
    pub now: DateTime<Utc>,
}

impl Offer {
    /// Takes a step.
    pub fn step(self, step: OfferStep) -> Result<Self, Refusal> {
        let state = self.state.after(step).ok_or_else(|| self.wrong_state())?;
        Ok(Self { state, ..self })
    }

    /// Sets a new price, as the next revision.
    pub fn revise(self, points: i64) -> Result<Self, Refusal> {
        self.check_not_ended()?;
        let revision = self.revision + 1;
        Ok(Self {
            points,
            revision,
            ..self
        })
    }

    /// Adds to the stock, or takes from what is unsold.
    pub fn adjust_stock(self, delta: i64) -> Result<Self, Refusal> {
        self.check_not_ended()?;
        let too_large = Refusal::StockTooLarge { most: MAX_STOCK };
        let (Some(stock), Some(stock_left)) = (
            self.stock.checked_add(delta),
            self.stock_left.checked_add(delta),
        ) else {
            return Err(too_large);
        };
        if stock_left < 0 {
            return Err(Refusal::OfferSoldOut {
                left: self.stock_left,
                asked: delta.saturating_neg(),
            });
        }
        if stock > MAX_STOCK {
            return Err(too_large);
        }
        Ok(Self {
            stock,
            stock_left,
            ..self
        })
    }

    /// The date at the programme.
    pub fn local_date(&self, now: DateTime<Utc>) -> NaiveDate {
        now.with_timezone(&self.time_zone.0).date_naive()
    }

    /// Says whether a member may take some of it now, but for their points: the first reason why not.
    pub fn admit(&self, counter: &Counter<'_>) -> Result<(), Refusal> {
        if counter.member.is_erased {
            return Err(Refusal::MemberErased);
        }
        check_spendable(&self.asset)?;
        match counter.merchant {
            MerchantState::Active => {}
            state @ (MerchantState::Suspended | MerchantState::Terminated) => {
                return Err(Refusal::MerchantSuspended { state });
            }
        }
        let today = self.local_date(counter.now);
        self.check_active(today, counter.agreed)
            .map_err(Refusal::OfferNotActive)?;
        if !self.audience.includes(counter.member, today.year()) {
            return Err(Refusal::AudienceNotMatched {
                audience: self.audience,
            });
        }
        let asked = counter.quantity;
        if self.stock_left < asked {
            return Err(Refusal::OfferSoldOut {
                left: self.stock_left,
                asked,
            });
        }
        let taken = counter.taken;
        match self.per_member_limit {
            Some(limit) if taken.saturating_add(asked) > limit => {
                Err(Refusal::MemberLimitReached {
                    limit,
                    taken,
                    asked,
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// How many a member who has taken some can still take, points aside.
    pub fn most_for(&self, taken: i64) -> i64 {
        let limit = self
            .per_member_limit
            .map(|limit| limit.saturating_sub(taken));
        let most = self.stock_left.min(MAX_QUANTITY);
        limit.unwrap_or(most).clamp(0, most)
    }

    fn check_active(&self, today: NaiveDate, agreed: bool) -> Result<(), Inactive> {
        if self.state != OfferState::Active {
            return Err(Inactive::State(self.state));
        }
        if today < self.start || today > self.end {
            return Err(Inactive::Date {
                today,
                start: self.start,
                end: self.end,
            });
        }
        if !agreed {
            return Err(Inactive::Agreement { today });
        }
        Ok(())
    }

    fn check_not_ended(&self) -> Result<(), Refusal> {
        match self.state {
            OfferState::Ended => Err(self.wrong_state()),
            OfferState::Draft | OfferState::InReview | OfferState::Active | OfferState::Paused => {
                Ok(())
            }
        }
    }

    fn wrong_state(&self) -> Refusal {
        Refusal::WrongState {
            resource: Resource::Offer,
            id: self.id,
            state: self.state.as_str().to_owned(),
        }
    }
}
