//! The rules, pure and synchronous: values in, value or refusal out. Nothing in here knows a database, a clock or a
//! contract.

pub mod beneficiary;
pub mod call;
pub mod dispatch;
pub mod drive;
pub mod event;
pub mod operation;
pub mod person;
pub mod pledge;
pub mod refusal;
pub mod round;
pub mod telling;
pub mod value;
pub mod visit;
pub mod wish;
#[cfg(test)]
mod wish_tests;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The community that everything else belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Community(pub Uuid);
