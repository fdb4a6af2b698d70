//! Payouts: DRAFT → EXPORTED → CONFIRMED, DRAFT and EXPORTED → CANCELLED; and where each line stands with the ledger.

use std::{collections::HashMap, fmt};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    Community,
    refusal::{Refusal, Resource},
};

/// How long a list can be confirmed: a bank pays within days and sends back within weeks, and nobody's reward should hang on a forgotten list for ever.
pub const LIFE: TimeDelta = TimeDelta::days(90);
/// How much longer its holds last, so that the ledger may be away after a confirmation at the last moment: it is the list that decides when its time is over.
const HOLD_MARGIN: TimeDelta = TimeDelta::days(30);
/// The most lines of one list.
pub const MOST_LINES: usize = 5_000;

/// Where a payout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum PayoutState {
    /// Being held, or frozen and not exported.
    Draft,
    /// Somebody has the file.
    Exported,
    /// What became of every line is known.
    Confirmed,
    /// Nothing is paid by it.
    Cancelled,
}

impl PayoutState {
    /// Its word in the contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Exported => "EXPORTED",
            Self::Confirmed => "CONFIRMED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A hash over a list up to a line.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListHash(pub [u8; 32]);

impl ListHash {
    fn seed(community: Community, payout: Uuid) -> Self {
        let name = format!("communities/{}/payouts/{payout}", community.0);
        Self(Sha256::digest(name).into())
    }

    /// The hash after one more line.
    fn then(self, community: Community, line: &Line) -> Self {
        let (member, community) = (line.member, community.0);
        let text = format!(
            "{self}\t{}\tcommunities/{community}/members/{member}\t{}",
            line.number, line.amount
        );
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Display for ListHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for ListHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ListHash({self})")
    }
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Empty: nobody, its time was over.
    pub by: String,
    pub at: DateTime<Utc>,
}

/// That nothing of a list changes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    pub at: DateTime<Utc>,
    pub hash: ListHash,
}

/// A list of members and what each is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    pub community: Community,
    pub id: Uuid,
    pub programme: Uuid,
    /// The programme's.
    pub asset: String,
    pub exponent: i16,
    pub state: PayoutState,
    pub cutoff_at: DateTime<Utc>,
    pub minimum: i64,
    /// More members are owed than the list has.
    pub more_owed: bool,
    pub created: Deed,
    pub expires_at: DateTime<Utc>,
    pub frozen: Option<Frozen>,
    /// The first time.
    pub exported: Option<Deed>,
    /// Confirmed or cancelled.
    pub decided: Option<Deed>,
    /// Why it was cancelled.
    pub reason: Option<String>,
}

/// What a payout's lines add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Without those that were not held.
    pub lines: i64,
    pub amount: i64,
    /// On their way to the ledger.
    pub moving: i64,
    /// Paid, or on the way there.
    pub paid: i64,
    /// Failed, or on the way there.
    pub failed: i64,
}

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum LineState {
    /// The hold is on its way to the ledger.
    Pending,
    Held,
    /// The money was not there any more.
    NotHeld,
    /// Was paid; the capture is on its way.
    Paying,
    Paid,
    /// Could not be paid; the release is on its way.
    Failing,
    Failed,
    /// The list was cancelled; the release is on its way.
    Cancelling,
    Cancelled,
}

impl LineState {
    /// Whether the ledger has to be told something.
    pub fn is_moving(self) -> bool {
        match self {
            Self::Pending | Self::Paying | Self::Failing | Self::Cancelling => true,
            Self::Held | Self::NotHeld | Self::Paid | Self::Failed | Self::Cancelled => false,
        }
    }
}

/// What one member is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub number: i32,
    pub member: Uuid,
    pub amount: i64,
    pub state: LineState,
    /// The ledger's, of the payment.
    pub entry: Option<i64>,
    /// Of a payment where it is found, of a failure why.
    pub note: String,
    /// What its ids in the ledger are made of. Nobody is told, for whoever knew one could use it up first.
    pub steps: Uuid,
}

/// What the ledger said to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Held,
    NotHeld,
    Captured(i64),
    Returned,
}

impl Line {
    /// The id of the ledger's hold.
    pub fn hold(&self) -> Uuid {
        Uuid::new_v5(&self.steps, b"hold")
    }

    /// The id of its capture.
    pub fn capture(&self) -> Uuid {
        Uuid::new_v5(&self.steps, b"capture")
    }

    /// The id of its release.
    pub fn release(&self) -> Uuid {
        Uuid::new_v5(&self.steps, b"release")
    }

    /// The line as the ledger has it now; nothing when it has moved on meanwhile.
    pub fn settle(self, said: Said) -> Option<Self> {
        let (state, entry) = match (self.state, said) {
            (LineState::Pending, Said::Held) => (LineState::Held, None),
            (LineState::Pending, Said::NotHeld) => (LineState::NotHeld, None),
            (LineState::Paying, Said::Captured(entry)) => (LineState::Paid, Some(entry)),
            (LineState::Failing, Said::Returned) => (LineState::Failed, None),
            (LineState::Cancelling, Said::Returned) => (LineState::Cancelled, None),
            _ => return None,
        };
        Some(Self {
            state,
            entry,
            ..self
        })
    }
}

/// What became of one line at the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub line: i32,
    pub is_paid: bool,
    pub note: String,
}

/// What somebody says became of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Of the list that was paid.
    pub hash: String,
    pub outcomes: Vec<Outcome>,
}

impl Payout {
    /// When the holds of its lines end.
    pub fn holds_until(&self) -> DateTime<Utc> {
        self.expires_at + HOLD_MARGIN
    }

    /// The hash over lines of it that are or were held, with the hash after each.
    pub fn hashes<'a>(
        &self,
        lines: impl Iterator<Item = &'a Line>,
    ) -> impl Iterator<Item = (&'a Line, ListHash)> {
        let community = self.community;
        lines.scan(self.seed(), move |hash, line| {
            *hash = hash.then(community, line);
            Some((line, *hash))
        })
    }

    /// The hash before the first line.
    pub fn seed(&self) -> ListHash {
        ListHash::seed(self.community, self.id)
    }

    /// Freezes it, once no line waits to be held.
    pub fn freeze(self, lines: &[Line], at: DateTime<Utc>) -> Self {
        let waits = lines.iter().any(|line| line.state == LineState::Pending);
        if waits || self.frozen.is_some() || self.state != PayoutState::Draft {
            return self;
        }
        let hash = self.hashes(held(lines)).last();
        let hash = hash.map_or(self.seed(), |(_, hash)| hash);
        let frozen = Some(Frozen { at, hash });
        Self { frozen, ..self }
    }

    /// Lets somebody have the file.
    pub fn export(self, deed: Deed) -> Result<Self, Refusal> {
        match self.state {
            PayoutState::Confirmed => return Ok(self),
            PayoutState::Cancelled => return Err(self.wrong_state("DRAFT, EXPORTED or CONFIRMED")),
            PayoutState::Draft | PayoutState::Exported => self.check_time(deed.at)?,
        }
        if self.frozen.is_none() {
            return Err(Refusal::PayoutNotReady { payout: self.id });
        }
        Ok(Self {
            state: PayoutState::Exported,
            exported: self.exported.or(Some(deed)),
            ..self
        })
    }

    /// Takes what became of every line. `is_own` says whether a member is who confirms.
    pub fn confirm(
        self,
        lines: Vec<Line>,
        confirmation: Confirmation,
        deed: Deed,
        is_own: impl Fn(Uuid) -> bool,
    ) -> Result<(Self, Vec<Line>), Refusal> {
        let payout = self.id;
        if self.state != PayoutState::Exported {
            return Err(self.wrong_state("EXPORTED"));
        }
        self.check_time(deed.at)?;
        self.check_second_person(&deed)?;
        let hash = self.frozen.map(|frozen| frozen.hash.to_string());
        if hash.as_ref() != Some(&confirmation.hash) {
            return Err(Refusal::PayoutHashMismatch {
                payout,
                hash: hash.unwrap_or_default(),
            });
        }
        let outcomes = confirmation.outcomes.into_iter();
        let mut outcomes: HashMap<i32, Outcome> =
            outcomes.map(|outcome| (outcome.line, outcome)).collect();
        let mut decided = Vec::new();
        for line in lines {
            if line.state != LineState::Held {
                continue;
            }
            if is_own(line.member) {
                return Err(Refusal::SelfPayout {
                    payout,
                    line: line.number,
                });
            }
            let missing = Refusal::OutcomeMissing {
                payout,
                line: line.number,
            };
            let outcome = outcomes.remove(&line.number).ok_or(missing)?;
            let state = match outcome.is_paid {
                true => LineState::Paying,
                false => LineState::Failing,
            };
            decided.push(Line {
                state,
                note: outcome.note,
                ..line
            });
        }
        if let Some(line) = outcomes.into_keys().min() {
            return Err(Refusal::OutcomeOfNoLine { payout, line });
        }
        let confirmed = Self {
            state: PayoutState::Confirmed,
            decided: Some(deed),
            ..self
        };
        Ok((confirmed, decided))
    }

    /// Gives everything back, with why somebody wants it.
    pub fn cancel(
        self,
        lines: Vec<Line>,
        deed: Deed,
        reason: String,
    ) -> Result<(Self, Vec<Line>), Refusal> {
        match self.state {
            PayoutState::Draft => {}
            // It may be at the bank already.
            PayoutState::Exported => self.check_second_person(&deed)?,
            PayoutState::Confirmed | PayoutState::Cancelled => {
                return Err(self.wrong_state("DRAFT or EXPORTED"));
            }
        }
        Ok(self.end(lines, deed, Some(reason)))
    }

    /// Gives everything back because its time is over; nothing to do when somebody has decided, or has time yet.
    pub fn expire(self, lines: Vec<Line>, at: DateTime<Utc>) -> Option<(Self, Vec<Line>)> {
        let is_open = matches!(self.state, PayoutState::Draft | PayoutState::Exported);
        let by = String::new();
        (is_open && at >= self.expires_at).then(|| self.end(lines, Deed { by, at }, None))
    }

    fn end(self, lines: Vec<Line>, deed: Deed, reason: Option<String>) -> (Self, Vec<Line>) {
        let lines = lines.into_iter();
        let open = lines.filter(|line| matches!(line.state, LineState::Pending | LineState::Held));
        let back = open.map(|line| Line {
            state: LineState::Cancelling,
            ..line
        });
        let back = back.collect();
        let cancelled = Self {
            state: PayoutState::Cancelled,
            decided: Some(deed),
            reason,
            ..self
        };
        (cancelled, back)
    }

    fn check_time(&self, at: DateTime<Utc>) -> Result<(), Refusal> {
        if at < self.expires_at {
            return Ok(());
        }
        Err(Refusal::PayoutExpired {
            payout: self.id,
            expired_at: self.expires_at,
        })
    }

    fn check_second_person(&self, deed: &Deed) -> Result<(), Refusal> {
        if deed.by != self.created.by {
            return Ok(());
        }
        Err(Refusal::SecondPersonRequired {
            resource: Resource::Payout,
            id: self.id,
        })
    }

    fn wrong_state(&self, needed: &str) -> Refusal {
        Refusal::WrongState {
            resource: Resource::Payout,
            id: self.id,
            state: self.state.word().to_owned(),
            needed: needed.to_owned(),
        }
    }
}

/// The lines of a frozen list.
pub fn held(lines: &[Line]) -> impl Iterator<Item = &Line> {
    lines.iter().filter(|line| line.state != LineState::NotHeld)
}

/// What a member has in the ledger to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Available {
    pub member: Uuid,
    pub amount: i64,
}

/// The lines of a new list, in order of members, and whether more are owed: what each has less what came after the cut-off, where that is enough.
pub fn lines(
    available: Vec<Available>,
    since_cutoff: &HashMap<Uuid, i64>,
    minimum: i64,
    mut next_id: impl FnMut() -> Uuid,
) -> (Vec<Line>, bool) {
    let mut owed: Vec<Available> = available
        .into_iter()
        .map(|Available { member, amount }| {
            let since = since_cutoff.get(&member).copied().unwrap_or(0);
            let amount = amount.saturating_sub(since);
            Available { member, amount }
        })
        .filter(|owed| owed.amount >= minimum.max(1))
        .collect();
    owed.sort_by_key(|owed| owed.member);
    let more = owed.len() > MOST_LINES;
    owed.truncate(MOST_LINES);
    let lines = (1..).zip(owed).map(|(number, owed)| Line {
        number,
        member: owed.member,
        amount: owed.amount,
        state: LineState::Pending,
        entry: None,
        note: String::new(),
        steps: next_id(),
    });
    (lines.collect(), more)
}

#[cfg(test)]
#[path = "payout_tests.rs"]
mod tests;
