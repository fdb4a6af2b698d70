//! The rules, pure and synchronous: values in, value or refusal out. Nothing in here knows a database, a clock or a
//! contract.

pub mod call;
pub mod refusal;
pub mod wish;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The community that everything else belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Community(pub Uuid);
