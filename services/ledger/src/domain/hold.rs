//! Holds: points reserved for a purchase.

use chrono::{DateTime, Utc};

use super::{AccountId, RequestId};

/// Where a hold stands. The numbers are those of the contract and the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum HoldState {
    /// Something is still held.
    Open = 1,
    /// Everything was captured, or the last capture was final.
    Captured = 2,
    /// The rest was given back on request.
    Released = 3,
    /// The rest went back when the time was over.
    Expired = 4,
}

impl TryFrom<i16> for HoldState {
    type Error = i16;

    fn try_from(number: i16) -> Result<Self, i16> {
        [Self::Open, Self::Captured, Self::Released, Self::Expired]
            .into_iter()
            .find(|state| *state as i16 == number)
            .ok_or(number)
    }
}

/// An amount reserved on one account for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The request that made it.
    pub id: RequestId,
    /// Its entry.
    pub sequence: i64,
    /// The account it is held on.
    pub debit: AccountId,
    /// The account captures pay.
    pub credit: AccountId,
    /// Reserved at first.
    pub amount: i64,
    /// Captured so far.
    pub captured: i64,
    /// Given back so far.
    pub released: i64,
    /// Where it stands.
    pub state: HoldState,
    /// From this instant on it can't be captured.
    pub expires_at: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Hold {
    /// What is still held.
    pub fn left(&self) -> i64 {
        self.amount - self.captured - self.released
    }
}
