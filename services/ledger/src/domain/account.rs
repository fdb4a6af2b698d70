//! Assets and accounts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Lots, Refusal};

/// A community; everything in the ledger lives in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommunityId(pub Uuid);

/// An account within its community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId(pub Uuid);

/// A unit of account; amounts are whole numbers of its smallest part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Unique within the community.
    pub code: String,
    /// Decimal places of the unit people speak of, 0 to 9.
    pub exponent: i16,
    /// When it was defined.
    pub created_at: DateTime<Utc>,
}

/// What an account is for. The numbers are those of the contract and the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum AccountKind {
    /// Where a programme's points come from.
    Issuing = 1,
    /// Where a programme's expired points go.
    Expired = 2,
    /// A member's points.
    Member = 3,
    /// What a merchant has taken.
    Merchant = 4,
    /// What a programme's members were paid in money.
    PaidOut = 5,
    /// What members gave to wishes.
    Wish = 6,
}

impl TryFrom<i16> for AccountKind {
    type Error = i16;

    fn try_from(number: i16) -> Result<Self, i16> {
        [
            Self::Issuing,
            Self::Expired,
            Self::Member,
            Self::Merchant,
            Self::PaidOut,
            Self::Wish,
        ]
        .into_iter()
        .find(|kind| *kind as i16 == number)
        .ok_or(number)
    }
}

/// The bounds of an account; `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// The least that balance − held may be.
    pub min_balance: Option<i64>,
    /// The most that the balance may be.
    pub max_balance: Option<i64>,
}

/// What makes an account the account it is; it never changes, but for the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDefinition {
    /// Chosen by the caller.
    pub id: AccountId,
    /// The programme it belongs to.
    pub programme: Uuid,
    /// Code of its asset.
    pub asset: String,
    /// What it is for.
    pub kind: AccountKind,
    /// The member or merchant it belongs to.
    pub owner: Option<Uuid>,
    /// Where its expired points go; set means that it keeps lots.
    pub expiry_account: Option<AccountId>,
    /// Its bounds.
    pub limits: AccountLimits,
}

impl AccountDefinition {
    /// Whether it defines the same account. Limits may have been set since and do not count.
    pub fn is_same(&self, other: &Self) -> bool {
        let limits = other.limits;
        Self {
            limits,
            ..self.clone()
        } == *other
    }

    /// Accepts the account that this one's expired points are to go to: of the same asset and programme, itself without lots.
    pub fn accept_expiry_account(&self, expired: &Self) -> Result<(), Refusal> {
        if (self.programme, &self.asset) != (expired.programme, &expired.asset) {
            return Err(Refusal::AssetMismatch {
                debit: self.asset.clone(),
                credit: expired.asset.clone(),
            });
        }
        if expired.expiry_account.is_some() {
            return Err(Refusal::LotsOnBothSides);
        }
        Ok(())
    }
}

/// An account with what is on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What it is.
    pub definition: AccountDefinition,
    /// Credits less debits; includes what is held.
    pub balance: i64,
    /// Reserved by open holds.
    pub held: i64,
    /// Sequence of the last entry that changed it, 0 at first.
    pub last_sequence: i64,
    /// How many entries changed it.
    pub entries: i64,
    /// Counts every change, limits included.
    pub revision: i64,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// Empty unless the account keeps lots.
    pub lots: Lots,
}

impl Account {
    /// An account that nothing has happened to yet.
    pub fn opened(definition: AccountDefinition, at: DateTime<Utc>) -> Self {
        Self {
            definition,
            balance: 0,
            held: 0,
            last_sequence: 0,
            entries: 0,
            revision: 1,
            created_at: at,
            lots: Lots::default(),
        }
    }

    /// Its id.
    pub fn id(&self) -> AccountId {
        self.definition.id
    }

    /// Whether its points are kept by the time they expire.
    pub fn keeps_lots(&self) -> bool {
        self.definition.expiry_account.is_some()
    }

    /// What can be taken from it at `now`; expired points can't, whether or not they were swept.
    pub fn available(&self, now: DateTime<Utc>) -> i64 {
        let Some(min) = self.definition.limits.min_balance else {
            return i64::MAX;
        };
        self.balance
            .saturating_sub(self.held)
            .saturating_sub(self.lots.expired(now))
            .saturating_sub(min)
            .max(0)
    }

    /// What can still be paid into it.
    pub fn room(&self, now: DateTime<Utc>) -> i64 {
        let max = self.definition.limits.max_balance.unwrap_or(i64::MAX);
        max.saturating_sub(self.balance - self.lots.expired(now))
    }

    /// Sets the limits, unless what is on the account breaks them.
    pub fn set_limits(&mut self, limits: AccountLimits) -> Result<(), Refusal> {
        if self.keeps_lots() && limits.min_balance.is_none_or(|min| min < 0) {
            return Err(Refusal::LotsNeedMinBalance);
        }
        let free = self.balance - self.held;
        if let Some(asked) = limits.min_balance.filter(|min| *min > free) {
            return Err(Refusal::LimitExceeded { room: free, asked });
        }
        if let Some(asked) = limits.max_balance.filter(|max| *max < self.balance) {
            return Err(Refusal::LimitExceeded {
                room: self.balance,
                asked,
            });
        }
        self.definition.limits = limits;
        self.revision += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Allocation, NEVER};

    fn limits(min_balance: Option<i64>, max_balance: Option<i64>) -> AccountLimits {
        AccountLimits {
            min_balance,
            max_balance,
        }
    }

    fn definition(number: u128, expiry_account: Option<u128>) -> AccountDefinition {
        AccountDefinition {
            id: AccountId(Uuid::from_u128(number)),
            programme: Uuid::from_u128(99),
            asset: "points".to_owned(),
            kind: AccountKind::Member,
            owner: None,
            expiry_account: expiry_account.map(|number| AccountId(Uuid::from_u128(number))),
            limits: limits(Some(0), None),
        }
    }

    /// With 50 points that never expire, 20 of them held.
    fn account(expiry_account: Option<u128>) -> Account {
        let mut lots = Lots::default();
        let part = |amount| Allocation {
            expires_at: NEVER,
            amount,
        };
        lots.put(part(50));
        lots.hold(part(20));
        Account {
            definition: definition(1, expiry_account),
            balance: 50,
            held: 20,
            last_sequence: 1,
            entries: 1,
            revision: 2,
            created_at: DateTime::UNIX_EPOCH,
            lots,
        }
    }

    #[test]
    fn numbers_are_those_of_the_contract() {
        use AccountKind::{Expired, Issuing, Member, Merchant, PaidOut, Wish};
        let kinds = [Issuing, Expired, Member, Merchant, PaidOut, Wish];
        for (kind, number) in kinds.into_iter().zip(1..) {
            assert_eq!(kind as i16, number);
            assert_eq!(AccountKind::try_from(number), Ok(kind));
        }
        assert_eq!(AccountKind::try_from(7), Err(7));
    }

    #[test]
    fn limits_make_no_other_account_and_anything_else_does() {
        let one = definition(1, Some(2));
        let raised = AccountDefinition {
            limits: limits(None, Some(7)),
            ..one.clone()
        };
        assert!(one.is_same(&raised));
        assert!(!one.is_same(&definition(1, None)));
    }

    #[test]
    fn expired_points_go_to_an_account_of_their_kind_that_keeps_no_lots() {
        let (member, expired) = (definition(1, Some(2)), definition(2, None));
        assert_eq!(member.accept_expiry_account(&expired), Ok(()));
        let keeps_lots = definition(2, Some(3));
        assert_eq!(
            member.accept_expiry_account(&keeps_lots),
            Err(Refusal::LotsOnBothSides)
        );
        let mismatch = Err(Refusal::AssetMismatch {
            debit: "points".to_owned(),
            credit: "CNY".to_owned(),
        });
        let cash = AccountDefinition {
            asset: "CNY".to_owned(),
            ..expired.clone()
        };
        assert_eq!(member.accept_expiry_account(&cash), mismatch);
        let elsewhere = AccountDefinition {
            programme: Uuid::from_u128(98),
            ..expired
        };
        assert!(member.accept_expiry_account(&elsewhere).is_err());
    }

    #[test]
    fn limits_may_be_what_is_there_and_not_tighter() {
        let mut account = account(None);
        assert_eq!(account.set_limits(limits(Some(30), Some(50))), Ok(()));
        assert_eq!(
            (account.revision, account.definition.limits.min_balance),
            (3, Some(30))
        );
        let too_high = Refusal::LimitExceeded {
            room: 30,
            asked: 31,
        };
        assert_eq!(account.set_limits(limits(Some(31), None)), Err(too_high));
        let too_low = Refusal::LimitExceeded {
            room: 50,
            asked: 49,
        };
        assert_eq!(account.set_limits(limits(None, Some(49))), Err(too_low));
        assert_eq!(account.set_limits(limits(None, None)), Ok(()));
    }

    #[test]
    fn an_account_with_lots_never_goes_below_zero() {
        let mut account = account(Some(2));
        for min_balance in [None, Some(-1)] {
            let refused = account.set_limits(limits(min_balance, None));
            assert_eq!(refused, Err(Refusal::LotsNeedMinBalance));
        }
        assert_eq!(account.set_limits(limits(Some(0), None)), Ok(()));
    }

    #[test]
    fn what_has_expired_can_not_be_spent_and_takes_no_room() {
        let mut account = account(Some(2));
        let expires_at = DateTime::UNIX_EPOCH;
        account.lots.put(Allocation {
            expires_at,
            amount: 15,
        });
        account.balance += 15;
        account.definition.limits = limits(Some(5), Some(100));
        let before = expires_at - chrono::TimeDelta::seconds(1);
        assert_eq!((account.available(before), account.room(before)), (40, 35));
        assert_eq!(
            (account.available(expires_at), account.room(expires_at)),
            (25, 50)
        );
    }
}
