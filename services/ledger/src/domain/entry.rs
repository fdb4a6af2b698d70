//! Entries of the journal.

use chrono::{DateTime, Utc};

use super::{AccountId, Allocation, Fingerprint, Hold, HoldState, RequestId};

/// What an entry did. The numbers are those of the contract and the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum EntryKind {
    /// Moved an amount.
    Transfer = 1,
    /// Reserved an amount.
    Hold = 2,
    /// Moved a reserved amount.
    Capture = 3,
    /// Gave a reserved amount back.
    Release = 4,
    /// Gave a reserved amount back because its time was over.
    HoldExpiry = 5,
    /// Moved an expired lot.
    LotExpiry = 6,
    /// Undid a transfer or a capture.
    Reversal = 7,
}

impl TryFrom<i16> for EntryKind {
    type Error = i16;

    fn try_from(number: i16) -> Result<Self, i16> {
        use EntryKind::{Capture, Hold, HoldExpiry, LotExpiry, Release, Reversal, Transfer};
        [
            Transfer, Hold, Capture, Release, HoldExpiry, LotExpiry, Reversal,
        ]
        .into_iter()
        .find(|kind| *kind as i16 == number)
        .ok_or(number)
    }
}

impl EntryKind {
    /// Whether it changes the credit account as well; if not, it only reserves or gives back on the debit account.
    pub fn moves(self) -> bool {
        match self {
            Self::Transfer | Self::Capture | Self::LotExpiry | Self::Reversal => true,
            Self::Hold | Self::Release | Self::HoldExpiry => false,
        }
    }
}

/// One change of the journal; never changed itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// 1, 2, 3 … within the community.
    pub sequence: i64,
    /// What it did.
    pub kind: EntryKind,
    /// Of a capture: the last one of its hold.
    pub is_final: bool,
    /// The caller's id and the fingerprint of what was asked; `None` for what the ledger posts by itself.
    pub request: Option<(RequestId, Fingerprint)>,
    /// The account the amount left, or was reserved on.
    pub debit: AccountId,
    /// The account the amount reached, or is meant for.
    pub credit: AccountId,
    /// Above 0.
    pub amount: i64,
    /// Balance of the debit account afterwards.
    pub debit_balance: i64,
    /// Balance of the credit account afterwards.
    pub credit_balance: i64,
    /// The entry that changed the debit account before this one; 0 when there is none.
    pub debit_previous: i64,
    /// The same for the credit account; 0 also when this entry does not change it.
    pub credit_previous: i64,
    /// Of the credited lot, the expired lot, or the hold.
    pub expires_at: Option<DateTime<Utc>>,
    /// The hold's entry, or the entry that is reversed.
    pub related: Option<i64>,
    /// The lots it took from or gave back to, in order.
    pub allocations: Vec<Allocation>,
    /// What it was for.
    pub description: String,
    /// When it was posted.
    pub recorded_at: DateTime<Utc>,
}

impl Hold {
    /// A hold as its own entry left it; `None` for another entry.
    pub fn as_made(entry: &Entry) -> Option<Self> {
        if entry.kind != EntryKind::Hold {
            return None;
        }
        let (id, _) = entry.request?;
        Some(Self {
            id,
            sequence: entry.sequence,
            debit: entry.debit,
            credit: entry.credit,
            amount: entry.amount,
            captured: 0,
            released: 0,
            state: HoldState::Open,
            expires_at: entry.expires_at?,
            created_at: entry.recorded_at,
        })
    }
}

/// A hold's entry with all entries about it, from which the hold can be told as it stood at any sequence.
pub struct RecordedHold {
    /// The hold as it stands now.
    pub hold: Hold,
    /// The captures, releases and the expiry of it, by sequence.
    pub entries: Vec<Entry>,
}

impl RecordedHold {
    /// The hold as the request that posted `sequence` left it.
    pub fn as_answered(&self, sequence: i64) -> Hold {
        let mut hold = Hold {
            captured: 0,
            released: 0,
            state: HoldState::Open,
            ..self.hold.clone()
        };
        let mut last_is_final = false;
        for entry in &self.entries {
            // The remainder that a final capture released has no request of its own: it belongs to the capture's answer.
            let remainder =
                last_is_final && entry.kind == EntryKind::Release && entry.sequence == sequence + 1;
            if entry.sequence > sequence && !remainder {
                break;
            }
            match entry.kind {
                EntryKind::Capture => hold.captured += entry.amount,
                _ => hold.released += entry.amount,
            }
            last_is_final = entry.is_final;
            hold.state = match entry.kind {
                EntryKind::Release if entry.request.is_none() => HoldState::Captured,
                EntryKind::Release => HoldState::Released,
                EntryKind::HoldExpiry => HoldState::Expired,
                _ if hold.left() == 0 => HoldState::Captured,
                _ => HoldState::Open,
            };
        }
        hold
    }
}
