//! The rules, pure and synchronous: values in, value or refusal out. Nothing in here knows a database, a clock or a
//! contract.

pub mod adjustment;
pub mod anomaly;
pub mod calendar;
pub mod call;
pub mod comparison;
pub mod event;
pub mod explain;
pub mod grant;
pub mod member;
pub mod money;
pub mod notice;
mod notice_text;
pub mod payout;
pub mod person;
pub mod place;
pub mod policy;
pub mod programme;
pub mod refusal;
pub mod report;
pub mod report_rules;
pub mod report_step;
pub mod revision;
pub mod service_limits;
pub mod service_record;
pub mod simulation;
pub mod waiting;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The community that everything else belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Community(pub Uuid);
