//! Grants: decided once, whole or waiting for budget, and later perhaps taken back.
//!
//! AWAITING_BUDGET becomes PENDING once there is budget (`waiting`). EMPTY is final until its record is revoked. PENDING → POSTED once the ledger has it. A revocation takes PENDING and
//! POSTED through REVOKING to REVOKED; a grant of which the ledger has never heard becomes REVOKED at once.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Community, calendar,
    policy::{Arithmetic, Counted, Deed, OutOfRange, Policy, Source},
    programme::{Programme, Totals},
};

/// The most one grant may be: the ledger moves no more at once.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000_000;

/// Where a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum GrantState {
    Empty,
    AwaitingBudget,
    Pending,
    Posted,
    Revoking,
    Revoked,
}

/// What a deed earned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub community: Community,
    pub id: Uuid,
    pub programme: Uuid,
    pub member: Uuid,
    /// The deed: a service record, or, by `source`, a report.
    pub record: Uuid,
    pub revision: Option<Uuid>,
    pub source: Source,
    /// Of the deed: what caps go by.
    pub local_date: NaiveDate,
    pub amount: i64,
    pub expires_at: Option<DateTime<Utc>>,
    pub state: GrantState,
    /// What of it uses up caps and budget now.
    pub counted: i64,
    pub entry_sequence: Option<i64>,
    pub revoked_amount: i64,
    pub created_at: DateTime<Utc>,
    /// When there was budget for it, if it had to wait.
    pub granted_at: Option<DateTime<Utc>>,
    /// How often the ledger's own limit refused it.
    pub posting: i32,
}

/// Which grants a list is of.
#[derive(Debug, Clone, Copy)]
pub struct GrantFilter {
    pub community: Community,
    pub programme: Uuid,
    pub member: Option<Uuid>,
    pub state: Option<GrantState>,
}

/// What is decided about a deed, with the programme's sums after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub state: GrantState,
    pub amount: i64,
    pub expires_at: Option<DateTime<Utc>>,
    pub arithmetic: Arithmetic,
    pub totals: Totals,
}

/// What a deed is decided by: the policy in force, the programme under its lock, the member's earlier grants.
#[derive(Debug, Clone)]
pub struct Basis<'a> {
    pub programme: &'a Programme,
    pub totals: &'a Totals,
    pub policy: Option<&'a Policy>,
    pub earlier: &'a [Counted],
    pub now: DateTime<Utc>,
}

/// Decides what a deed earns: the policy's arithmetic, then the budget. A grant that would pass the budget waits, whole.
pub fn decide(deed: &Deed<'_>, basis: &Basis<'_>) -> Result<Decision, OutOfRange> {
    let arithmetic = match basis.policy {
        Some(policy) => policy.earn(deed, basis.earlier)?,
        None => Arithmetic::without_policy(deed.effort),
    };
    let amount = arithmetic.capped;
    if amount > MAX_AMOUNT {
        return Err(OutOfRange);
    }
    let totals = basis.totals;
    let budget_left = basis
        .programme
        .budget
        .map(|budget| budget.saturating_sub(totals.granted));
    let fits = budget_left.is_none_or(|left| amount <= left);
    let (state, totals) = match (amount, fits) {
        (0, _) => (GrantState::Empty, totals.clone()),
        (_, true) => (GrantState::Pending, totals.plus(amount, 0)?),
        (_, false) => (GrantState::AwaitingBudget, totals.plus(0, amount)?),
    };
    let expires_at = match basis.policy.and_then(|policy| policy.expiry_months) {
        Some(months) if amount > 0 => {
            Some(calendar::expiry(basis.now, months, basis.programme.time_zone).ok_or(OutOfRange)?)
        }
        Some(_) | None => None,
    };
    Ok(Decision {
        state,
        amount,
        expires_at,
        arithmetic: Arithmetic {
            budget_left,
            ..arithmetic
        },
        totals,
    })
}

impl Totals {
    fn plus(&self, granted: i64, awaiting: i64) -> Result<Self, OutOfRange> {
        Ok(Self {
            granted: self.granted.checked_add(granted).ok_or(OutOfRange)?,
            awaiting: self.awaiting.checked_add(awaiting).ok_or(OutOfRange)?,
        })
    }
}

/// Where a grant stands after a step, and what the step takes off the programme's sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub state: GrantState,
    pub counted: i64,
    pub revoked_amount: i64,
    /// Less granted.
    pub granted_less: i64,
    /// Less (or, below 0, more) that waits for budget.
    pub awaiting_less: i64,
}

impl Grant {
    /// The id it is posted under. What the ledger has refused stays refused under its id, so the next posting has another.
    pub fn posting_id(&self) -> Uuid {
        match self.posting {
            0 => self.id,
            posting => Uuid::new_v5(&self.id, format!("posting {posting}").as_bytes()),
        }
    }

    /// When it expires, as far as that is decided: what waits counts its time from when it is granted.
    pub fn expiry(&self) -> Option<DateTime<Utc>> {
        self.expires_at
            .filter(|_| self.state != GrantState::AwaitingBudget)
    }

    /// Its record was revoked. `heard` says whether the ledger may have heard of it; if so, the ledger has to give the
    /// points back first. `None`: nothing changes.
    pub fn revoke(&self, heard: bool) -> Option<Step> {
        match self.state {
            GrantState::Pending if !heard => Some(self.undone()),
            GrantState::Pending | GrantState::Posted => Some(Step {
                state: GrantState::Revoking,
                ..self.standing()
            }),
            GrantState::AwaitingBudget => Some(Step {
                state: GrantState::Revoked,
                awaiting_less: self.amount,
                ..self.standing()
            }),
            GrantState::Empty => Some(Step {
                state: GrantState::Revoked,
                ..self.standing()
            }),
            GrantState::Revoking | GrantState::Revoked => None,
        }
    }

    /// The ledger has posted it. A revocation on its way stays on its way, and needs the entry.
    pub fn posted(&self) -> Option<Step> {
        match self.state {
            GrantState::Pending => Some(Step {
                state: GrantState::Posted,
                ..self.standing()
            }),
            GrantState::Revoking => Some(self.standing()),
            GrantState::Empty
            | GrantState::AwaitingBudget
            | GrantState::Posted
            | GrantState::Revoked => None,
        }
    }

    /// The ledger's own limit refused it: it waits for budget after all.
    pub fn over_limit(&self) -> Option<Step> {
        match self.state {
            GrantState::Pending => Some(Step {
                state: GrantState::AwaitingBudget,
                counted: 0,
                granted_less: self.amount,
                awaiting_less: -self.amount,
                ..self.standing()
            }),
            GrantState::Revoking => Some(self.undone()),
            GrantState::Empty
            | GrantState::AwaitingBudget
            | GrantState::Posted
            | GrantState::Revoked => None,
        }
    }

    /// It expired before the ledger could be told: the points never came to be, so they are all taken back.
    pub fn too_late(&self) -> Option<Step> {
        match self.state {
            GrantState::Pending | GrantState::Revoking => Some(self.undone()),
            GrantState::Empty
            | GrantState::AwaitingBudget
            | GrantState::Posted
            | GrantState::Revoked => None,
        }
    }

    /// The ledger took back `amount` of it.
    pub fn taken_back(&self, amount: i64) -> Option<Step> {
        let amount = amount.clamp(0, self.amount);
        (self.state == GrantState::Revoking).then_some(Step {
            state: GrantState::Revoked,
            counted: self.amount - amount,
            revoked_amount: amount,
            granted_less: amount,
            awaiting_less: 0,
        })
    }

    fn undone(&self) -> Step {
        Step {
            state: GrantState::Revoked,
            counted: 0,
            revoked_amount: self.amount,
            granted_less: self.amount,
            awaiting_less: 0,
        }
    }

    fn standing(&self) -> Step {
        Step {
            state: self.state,
            counted: self.counted,
            revoked_amount: self.revoked_amount,
            granted_less: 0,
            awaiting_less: 0,
        }
    }
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
