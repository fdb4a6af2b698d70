//! The points ledger: one serial journal for each community.
//!
//! What it promises, each with its test:
//!
//! - Every change is one [`domain::Entry`] with the next `sequence`: dense, in commit order, in time that never runs backwards.
//! - The sum of an asset over a community's accounts is zero; an account's balance is the sum of its entries.
//! - What an account can give is checked and taken under the same lock, so limits hold under any concurrency.
//! - In an account that keeps lots, remaining and held summed over its lots are its balance. The lot that expires first pays first; from its
//!   instant on a lot pays nothing, unless a hold reserved it before.
//! - A hold only moves forward; captured and released never pass its amount. Reversals of an entry never pass its amount, and give back
//!   to the lots that paid.
//! - The same `request_id` with the same content gets the first answer, a refusal included, and has at most one effect.
//! - A refusal leaves nothing behind but its answer. A batch does what its requests would do one by one.
//!
//! What it will not do: change or delete an entry, or know what the points are for.

mod accounts;
pub mod domain;
mod error;
mod journal;
pub mod rpc;
mod store;
mod sweeper;

use runtime::Clock;
use sqlx::PgPool;

pub use error::Error;
pub use store::{AccountQuery, EntryQuery};

/// The role the service works under in the database.
pub const ROLE: &str = "linli_ledger";

/// The ledger service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    pool: PgPool,
    clock: Clock,
}

impl Ledger {
    /// A ledger on a migrated database whose connections work as [`ROLE`].
    pub fn new(pool: PgPool, clock: Clock) -> Self {
        Self { pool, clock }
    }
}
