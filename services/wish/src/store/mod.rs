//! Every SQL statement of the service, one file a table. Each has an equality on `community_id`, except those
//! that pick a community with work for a loop.
//!
//! Locks are always taken in this order, so that no two calls can wait for each other: answer, round, wishes by id, pledges by id,
//! operations. A lock is a statement of its own: a read inside it would keep the snapshot from before the wait.

pub mod answer;
pub mod wish;

/// The part of a list from one place on.
#[derive(Debug, Clone, Copy)]
pub struct Window<C> {
    /// The last one before it.
    pub after: C,
    pub limit: i64,
}
