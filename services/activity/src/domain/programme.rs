//! A programme and its budget: the sum of what is granted never passes what may be granted.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    money::{CASH, Money},
    refusal::Refusal,
};

/// A scheme of one community, with one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programme {
    pub community: Community,
    pub id: Uuid,
    pub display_name: String,
    pub asset: String,
    pub exponent: i16,
    pub time_zone: Tz,
    /// The most it may ever grant; `None`: no limit.
    pub budget: Option<i64>,
    /// A service that is recorded later than so many days after its end takes two people.
    #[serde(default = "usual_second_person_days")]
    pub second_person_days: i32,
    /// How many times 24 hours before points expire their member is told; largest first.
    #[serde(default = "usual_expiry_notice_days")]
    pub expiry_notice_days: Vec<i32>,
    pub created_at: DateTime<Utc>,
}

fn usual_second_person_days() -> i32 {
    Programme::USUAL_SECOND_PERSON_DAYS
}

fn usual_expiry_notice_days() -> Vec<i32> {
    Programme::USUAL_EXPIRY_NOTICE_DAYS.to_vec()
}

impl Programme {
    /// When a programme says nothing else.
    pub const USUAL_EXPIRY_NOTICE_DAYS: [i32; 3] = [30, 7, 1];
    /// When a programme says nothing else.
    pub const USUAL_SECOND_PERSON_DAYS: i32 = 7;

    /// Refuses a programme whose rewards are not money.
    pub fn require_cash(&self) -> Result<(), Refusal> {
        if self.asset == CASH {
            return Ok(());
        }
        Err(Refusal::NotCash {
            programme: self.id,
            asset: self.asset.clone(),
        })
    }

    /// An amount of its asset.
    pub fn money(&self, amount: i64) -> Money<'_> {
        Money {
            amount,
            asset: &self.asset,
            exponent: self.exponent,
        }
    }
}

/// A programme's sums at one moment, under its lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Made, less what was taken back.
    pub granted: i64,
    /// Waits for budget.
    pub awaiting: i64,
}

/// What a programme stands at, for its staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub granted: i64,
    pub awaiting: i64,
    pub grants: i64,
    pub service_minutes: i64,
    pub unposted_grants: i64,
}
