//! Statements of a merchant's day: OPEN → CLOSED ⇄ DISPUTED, CLOSED → CONFIRMED → PAID; and how a day's lines add up.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Decider, Deed, Line, LineHash, LineKind, Offer, Origin, Refusal, SettlementRefusal, Zone,
};

/// A merchant in a programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MerchantAccount {
    /// The community.
    pub community: Uuid,
    /// The programme.
    pub programme: Uuid,
    /// The merchant.
    pub merchant: Uuid,
}

impl MerchantAccount {
    /// The hash before its first line.
    pub fn seed(self) -> LineHash {
        let Self {
            community,
            programme,
            merchant,
        } = self;
        LineHash::seed(&format!(
            "communities/{community}/merchants/{merchant}/programmes/{programme}"
        ))
    }
}

/// Which statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementName {
    /// Whose.
    pub of: MerchantAccount,
    /// Of which day.
    pub date: NaiveDate,
}

/// How far a merchant is settled in a programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Whose.
    pub of: MerchantAccount,
    /// The programme's asset.
    pub asset: String,
    /// The programme's time zone.
    pub time_zone: Zone,
    /// The first day that is not closed.
    pub next_date: NaiveDate,
    /// The ledger's last entry in a closed statement; 0 when there is none.
    pub last_sequence: i64,
    /// In the ledger after it.
    pub balance: i64,
    /// Of the last closed line.
    pub hash: LineHash,
}

impl Settlement {
    /// A merchant in the programme of an offer of theirs, before the first day is closed.
    pub fn begin(offer: &Offer) -> Self {
        let of = MerchantAccount {
            community: offer.community,
            programme: offer.programme,
            merchant: offer.merchant,
        };
        Self {
            of,
            asset: offer.asset.clone(),
            time_zone: offer.time_zone,
            next_date: offer.time_zone.business_date(offer.created_at),
            last_sequence: 0,
            balance: 0,
            hash: of.seed(),
        }
    }

    /// The day of the next statement, if this is when its first line happened. What comes late for a closed day is of the first one that is not.
    pub fn day_of(&self, first: DateTime<Utc>) -> NaiveDate {
        self.time_zone.business_date(first).max(self.next_date)
    }
}

/// Where a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementState {
    /// Not closed yet.
    Open,
    /// Over, and nothing happened.
    Empty,
    /// Frozen.
    Closed,
    /// Frozen, with open disputes.
    Disputed,
    /// The merchant agrees.
    Confirmed,
    /// Paid.
    Paid,
}

impl StatementState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::Empty,
        Self::Closed,
        Self::Disputed,
        Self::Confirmed,
        Self::Paid,
    ];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Empty => "empty",
            Self::Closed => "closed",
            Self::Disputed => "disputed",
            Self::Confirmed => "confirmed",
            Self::Paid => "paid",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// What a day's lines add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Of captures.
    pub captured: i64,
    /// Of reversals, above 0.
    pub reversed: i64,
    /// Of what is unknown here, signed.
    pub other: i64,
    /// Of adjustments, signed; in no balance.
    pub adjusted: i64,
}

impl Totals {
    /// Adds a line; nothing when the sum can't be told.
    fn with(self, line: &Line) -> Option<Self> {
        let Line { kind, points, .. } = *line;
        Some(match kind {
            LineKind::Capture => Self {
                captured: self.captured.checked_add(points)?,
                ..self
            },
            LineKind::Reversal => Self {
                reversed: self.reversed.checked_sub(points)?,
                ..self
            },
            LineKind::Other => Self {
                other: self.other.checked_add(points)?,
                ..self
            },
            LineKind::Adjustment => Self {
                adjusted: self.adjusted.checked_add(points)?,
                ..self
            },
        })
    }
}

/// That a statement was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Who paid it.
    pub deed: Deed,
    /// Where the payment is found.
    pub reference: String,
}

/// A merchant's day in a programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Whose, and of which day.
    pub name: StatementName,
    /// The programme's asset.
    pub asset: String,
    /// The programme's time zone.
    pub time_zone: Zone,
    /// Where it stands.
    pub state: StatementState,
    /// In the ledger before the first line.
    pub opening_balance: i64,
    /// In the ledger after the last line.
    pub closing_balance: i64,
    /// What its lines add up to.
    pub totals: Totals,
    /// How many lines.
    pub line_count: i32,
    /// The ledger's last entry in it, or before it.
    pub last_sequence: i64,
    /// Of the line before the first.
    pub previous_hash: LineHash,
    /// Of the last line.
    pub hash: LineHash,
    /// When it was frozen.
    pub closed_at: Option<DateTime<Utc>>,
    /// That the merchant agreed.
    pub confirmed: Option<Deed>,
    /// That it was paid.
    pub paid: Option<Payment>,
}

/// Something that the ledger posted to a merchant's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// The entry.
    pub sequence: i64,
    /// Above 0 in favour of the merchant.
    pub points: i64,
    /// Of the merchant after it.
    pub balance: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// What the ledger says it was for.
    pub description: String,
}

/// What is known here of an entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownStep {
    /// The entry.
    pub sequence: i64,
    /// Whether it gave points back.
    pub is_reversal: bool,
    /// The redemption.
    pub redemption: Uuid,
    /// What was taken.
    pub offer: Uuid,
    /// The title at the time.
    pub title: String,
    /// How many.
    pub quantity: i64,
}

/// An accepted dispute that is in no statement yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// The disputed line's statement.
    pub date: NaiveDate,
    /// The disputed line.
    pub line: i32,
    /// What it was about.
    pub redemption: Option<Uuid>,
    /// What it was an order of.
    pub offer: Option<Uuid>,
    /// Signed.
    pub points: i64,
    /// Why.
    pub reason: String,
    /// When it was accepted.
    pub at: DateTime<Utc>,
}

impl Statement {
    /// The next statement, before its first line.
    pub fn begin(settlement: &Settlement, date: NaiveDate) -> Self {
        Self {
            name: StatementName {
                of: settlement.of,
                date,
            },
            asset: settlement.asset.clone(),
            time_zone: settlement.time_zone,
            state: StatementState::Open,
            opening_balance: settlement.balance,
            closing_balance: settlement.balance,
            totals: Totals::default(),
            line_count: 0,
            last_sequence: settlement.last_sequence,
            previous_hash: settlement.hash,
            hash: settlement.hash,
            closed_at: None,
            confirmed: None,
            paid: None,
        }
    }

    /// What the merchant is owed for the day, if that can be told.
    pub fn payable(&self) -> Option<i64> {
        let moved = self.closing_balance.checked_sub(self.opening_balance)?;
        moved.checked_add(self.totals.adjusted)
    }

    /// Adds what the ledger has posted; nothing when it does not follow what is there.
    pub fn post(&mut self, posting: Posting, known: Option<KnownStep>) -> Option<Line> {
        let follows = posting.sequence > self.last_sequence
            && self.closing_balance.checked_add(posting.points) == Some(posting.balance);
        if !follows {
            return None;
        }
        let origin = Origin::Entry(posting.sequence);
        let line = match known {
            Some(step) => Line {
                kind: if step.is_reversal {
                    LineKind::Reversal
                } else {
                    LineKind::Capture
                },
                redemption: Some(step.redemption),
                offer: Some(step.offer),
                title: step.title,
                quantity: step.quantity,
                ..self.bare(origin, &posting)
            },
            None => self.bare(origin, &posting),
        };
        self.last_sequence = posting.sequence;
        self.closing_balance = posting.balance;
        self.append(line)
    }

    /// Adds the adjustment of an accepted dispute; nothing when the sum can't be told.
    pub fn adjust(&mut self, adjustment: Adjustment) -> Option<Line> {
        let line = Line {
            date: self.name.date,
            number: self.line_count.checked_add(1)?,
            kind: LineKind::Adjustment,
            origin: Origin::Dispute {
                date: adjustment.date,
                line: adjustment.line,
            },
            redemption: adjustment.redemption,
            offer: adjustment.offer,
            title: adjustment.reason,
            quantity: 0,
            points: adjustment.points,
            balance: self.closing_balance,
            at: adjustment.at,
            dispute: None,
        };
        self.append(line)
    }

    fn bare(&self, origin: Origin, posting: &Posting) -> Line {
        Line {
            date: self.name.date,
            number: self.line_count.saturating_add(1),
            kind: LineKind::Other,
            origin,
            redemption: None,
            offer: None,
            // A cell is one line of text.
            title: posting.description.replace(char::is_control, " "),
            quantity: 0,
            points: posting.points,
            balance: posting.balance,
            at: posting.at,
            dispute: None,
        }
    }

    fn append(&mut self, line: Line) -> Option<Line> {
        self.totals = self.totals.with(&line)?;
        self.line_count = self.line_count.checked_add(1)?;
        self.hash = self.hash.then(&line);
        self.payable()?;
        Some(line)
    }

    /// Freezes it.
    pub fn close(self, at: DateTime<Utc>) -> Self {
        Self {
            state: StatementState::Closed,
            closed_at: Some(at),
            ..self
        }
    }

    /// The merchant agrees.
    pub fn confirm(self, deed: Deed) -> Result<Self, Refusal> {
        if self.state != StatementState::Closed {
            return Err(self.wrong_state());
        }
        Ok(Self {
            state: StatementState::Confirmed,
            confirmed: Some(deed),
            ..self
        })
    }

    /// The merchant objects to one of its lines.
    pub fn dispute(self) -> Result<Self, Refusal> {
        match self.state {
            StatementState::Closed | StatementState::Disputed => Ok(Self {
                state: StatementState::Disputed,
                ..self
            }),
            StatementState::Confirmed | StatementState::Paid => {
                Err(Refusal::Settlement(SettlementRefusal::StatementClosed {
                    date: self.name.date,
                    state: self.state,
                }))
            }
            StatementState::Open | StatementState::Empty => Err(self.wrong_state()),
        }
    }

    /// One of its disputes has ended and `open` are left.
    pub fn resolved(self, open: i64) -> Self {
        let state = match (self.state, open) {
            (StatementState::Disputed, 0) => StatementState::Closed,
            (state, _) => state,
        };
        Self { state, ..self }
    }

    /// The staff has paid it. `adjusters` have accepted the disputes whose adjustments are in it: they do not pay it, nor does who confirmed it, nor the
    /// merchant.
    pub fn pay(
        self,
        payer: Decider,
        reference: String,
        adjusters: &[String],
    ) -> Result<Self, Refusal> {
        let Some(confirmed) = self.confirmed.as_ref().filter(|_| self.paid.is_none()) else {
            return Err(self.wrong_state());
        };
        let by = &payer.deed.by;
        if payer.is_merchant || *by == confirmed.by || adjusters.contains(by) {
            return Err(Refusal::Settlement(SettlementRefusal::SecondPerson {
                date: self.name.date,
            }));
        }
        Ok(Self {
            state: StatementState::Paid,
            paid: Some(Payment {
                deed: payer.deed,
                reference,
            }),
            ..self
        })
    }

    fn wrong_state(&self) -> Refusal {
        Refusal::Settlement(SettlementRefusal::StatementState {
            date: self.name.date,
            state: self.state,
        })
    }
}
