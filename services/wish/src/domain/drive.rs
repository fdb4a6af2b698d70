//! Donation drives: packs handed over, allotted and left always add up to what was given.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community,
    refusal::{Refusal, Resource, RosterRefusal},
};

/// Where a drive stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DriveState {
    Open,
    Closed,
}

/// Packs of one thing that a company gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drive {
    pub community: Community,
    pub id: Uuid,
    pub donor: String,
    pub title: String,
    /// What is in each.
    pub pack: String,
    pub packs: i64,
    pub repeat_households: bool,
    pub handed_over: i64,
    /// And not yet handed over.
    pub allotted: i64,
    pub state: DriveState,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Where an allotment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AllotmentState {
    Allotted,
    HandedOver,
    TakenBack,
}

/// Who took packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Receiver {
    Beneficiary,
    Household,
    Proxy,
}

/// That packs were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub receiver: Receiver,
    /// Where the signature or photo is kept.
    pub reference: String,
    /// The member who handed over.
    pub by: Uuid,
}

/// Packs for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allotment {
    pub community: Community,
    pub id: Uuid,
    pub drive: Uuid,
    pub beneficiary: Uuid,
    pub household: Option<String>,
    pub packs: i64,
    pub state: AllotmentState,
    pub receipt: Option<Receipt>,
    /// Why it was taken back; empty otherwise.
    pub reason: String,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

impl Drive {
    /// Packs that nobody has and nobody is to get.
    pub fn left(&self) -> i64 {
        self.packs - self.handed_over - self.allotted
    }

    /// Sets packs aside.
    pub fn allot(self, packs: i64) -> Result<Self, Refusal> {
        self.require_open()?;
        let left = self.left();
        if packs > left {
            let drive = self.id;
            return Err(RosterRefusal::PacksShort { drive, left, packs }.into());
        }
        Ok(Self {
            allotted: self.allotted + packs,
            ..self
        })
    }

    /// What was set aside is handed over, also when the drive should not be open any more.
    pub fn hand_over(self, packs: i64) -> Self {
        Self {
            allotted: self.allotted - packs,
            handed_over: self.handed_over + packs,
            ..self
        }
    }

    /// What was set aside is left again.
    pub fn take_back(self, packs: i64) -> Self {
        Self {
            allotted: self.allotted - packs,
            ..self
        }
    }

    /// Ends it, once nothing is set aside.
    pub fn close(self, now: DateTime<Utc>) -> Result<Self, Refusal> {
        self.require_open()?;
        if self.allotted > 0 {
            let (drive, allotted) = (self.id, self.allotted);
            return Err(RosterRefusal::PacksAllotted { drive, allotted }.into());
        }
        Ok(Self {
            state: DriveState::Closed,
            ended_at: Some(now),
            ..self
        })
    }

    fn require_open(&self) -> Result<(), Refusal> {
        match self.state {
            DriveState::Open => Ok(()),
            DriveState::Closed => Err(Refusal::WrongState {
                resource: Resource::DonationDrive,
                id: self.id,
                state: "CLOSED".to_owned(),
                needed: "OPEN".to_owned(),
            }),
        }
    }
}

impl Allotment {
    /// It is received.
    pub fn hand_over(self, receipt: Receipt, now: DateTime<Utc>) -> Result<Self, Refusal> {
        self.require_allotted()?;
        Ok(Self {
            state: AllotmentState::HandedOver,
            receipt: Some(receipt),
            ended_at: Some(now),
            ..self
        })
    }

    /// It is given up.
    pub fn take_back(self, reason: String, now: DateTime<Utc>) -> Result<Self, Refusal> {
        self.require_allotted()?;
        Ok(Self {
            state: AllotmentState::TakenBack,
            reason,
            ended_at: Some(now),
            ..self
        })
    }

    fn require_allotted(&self) -> Result<(), Refusal> {
        let state = match self.state {
            AllotmentState::Allotted => return Ok(()),
            AllotmentState::HandedOver => "HANDED_OVER",
            AllotmentState::TakenBack => "TAKEN_BACK",
        };
        Err(Refusal::WrongState {
            resource: Resource::Allotment,
            id: self.id,
            state: state.to_owned(),
            needed: "ALLOTTED".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drive(packs: i64) -> Drive {
        Drive {
            community: Community(Uuid::nil()),
            id: Uuid::from_u128(1),
            donor: "甲公司".to_owned(),
            title: "冬日送温暖".to_owned(),
            pack: "米五公斤".to_owned(),
            packs,
            repeat_households: false,
            handed_over: 0,
            allotted: 0,
            state: DriveState::Open,
            created_at: DateTime::UNIX_EPOCH,
            ended_at: None,
        }
    }

    proptest! {
        #[test]
        fn packs_always_add_up(packs in 1..50_i64, steps in prop::collection::vec((0..3_u8, 1..9_i64), 0..60)) {
            let mut drive = drive(packs);
            let mut aside: Vec<i64> = Vec::new();
            for (step, count) in steps {
                match (step, aside.pop()) {
                    (0, popped) => {
                        aside.extend(popped);
                        let left = drive.left();
                        match drive.clone().allot(count) {
                            Ok(after) => {
                                aside.push(count);
                                drive = after;
                            }
                            Err(refusal) => {
                                let short = RosterRefusal::PacksShort { drive: drive.id, left, packs: count };
                                prop_assert_eq!(refusal, short.into());
                                prop_assert!(count > left);
                            }
                        }
                    }
                    (1, Some(count)) => drive = drive.hand_over(count),
                    (_, Some(count)) => drive = drive.take_back(count),
                    (_, None) => {}
                }
                prop_assert_eq!(drive.allotted, aside.iter().sum::<i64>());
                prop_assert_eq!(drive.handed_over + drive.allotted + drive.left(), packs);
                prop_assert!(drive.left() >= 0);
            }
        }
    }

    #[test]
    fn a_drive_closes_when_nothing_is_set_aside_and_then_takes_nothing() {
        let now = DateTime::UNIX_EPOCH;
        let busy = drive(3).allot(2).unwrap();
        let refused = RosterRefusal::PacksAllotted {
            drive: busy.id,
            allotted: 2,
        };
        assert_eq!(busy.clone().close(now), Err(refused.into()));
        let closed = busy.hand_over(2).close(now).unwrap();
        assert_eq!((closed.left(), closed.state), (1, DriveState::Closed));
        assert!(closed.clone().allot(1).is_err());
        assert!(closed.close(now).is_err());
    }

    #[test]
    fn an_allotment_is_handed_over_or_taken_back_once() {
        let now = DateTime::UNIX_EPOCH;
        let allotment = Allotment {
            community: Community(Uuid::nil()),
            id: Uuid::from_u128(2),
            drive: Uuid::from_u128(1),
            beneficiary: Uuid::from_u128(3),
            household: None,
            packs: 1,
            state: AllotmentState::Allotted,
            receipt: None,
            reason: String::new(),
            created_at: now,
            ended_at: None,
        };
        let receipt = Receipt {
            receiver: Receiver::Proxy,
            reference: "2024/17".to_owned(),
            by: Uuid::from_u128(4),
        };
        let reason = || "moved away".to_owned();
        let handed = allotment.clone().hand_over(receipt.clone(), now).unwrap();
        let back = allotment.take_back(reason(), now).unwrap();
        for ended in [handed, back] {
            assert!(ended.clone().hand_over(receipt.clone(), now).is_err());
            assert!(ended.take_back(reason(), now).is_err());
        }
    }
}
