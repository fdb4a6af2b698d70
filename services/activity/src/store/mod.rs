//! Every SQL statement of the service, one file a table. Each has an equality on `community_id`, except those
//! that pick a community with work for a loop, and those that ask which keys are in use.
//!
//! Locks are always taken in this order, so that no two calls can wait for each other: answer, payout, payout lines, recorder, service record, report or
//! adjustment, member,
//! person, programme, grants by id, outbox, event head. A lock is a statement of its own: a read inside it would keep the snapshot from
//! before the wait. Rows are locked `for no key update`, which leaves new rows that refer to them alone.

pub mod adjustment;
pub mod anomaly;
pub mod answer;
pub mod event;
pub mod grant;
pub mod member;
pub mod notice;
pub mod outbox;
pub mod oversight;
pub mod payout;
pub mod payout_line;
pub mod person;
pub mod policy;
pub mod programme;
pub mod public;
pub mod report;
pub mod report_rules;
pub mod service_record;
pub mod simulation;
pub mod team;
pub mod waiting;

pub use runtime::Window;
