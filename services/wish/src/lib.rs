//! Wishes: what people in need wish for, who pledges it, and whether it came.
//!
//! Promises:
//! - No more is ever pledged of a wish than it wants, whatever comes in at once.
//! - A wish lapses by the clock, exactly, whether or not a loop has run.
//! - A pledge of points and the ledger never disagree for long: each step is written down before the ledger is asked, and whatever interrupts
//!   it, a repeated call or the recovery loop takes it to its end. A pledge of things or work touches no points.
//! - The same `request_id` gets the same answer, and a refused call leaves nothing behind but its refusal.
//! - Every change says who asked for it. Whose a wish is leaves this service to staff alone.
//!
//! - Who the people on the roster are, and what visits found, is sealed under keys that the database does not hold, and leaves masked, or whole to
//!   someone who said why and is in the audit log with it. Who is erased can't be found again; the books stay.
//! - Of a donation drive never more packs are given out than there are.
//!
//! It keeps no balances.
//!
//! Find a feature by the method of [`Wishes`] that is named like its RPC. What it calls is `domain::` (a rule) or
//! `store::` (a statement); `settle` takes steps to the ledger, `lapse` writes down what the clock has ended.

mod allotment;
mod answer;
mod audit;
mod beneficiary;
mod dispatch;
mod domain;
mod drive;
mod event;
mod lapse;
mod person;
mod pledge;
mod remote;
mod reversal;
mod round;
mod rpc;
mod seal;
mod sealer;
mod settle;
mod store;
mod telling;
#[cfg(test)]
mod tests;
mod value;
mod visit;
mod wish;

use runtime::{Client, Clock, Heads, Ids, KeyRing, Nudge, Problem, Unreadable};
use sqlx::PgPool;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use domain::refusal::Refusal;
use remote::{Activity, Ledger};
pub(crate) use runtime::Page;

/// The database role the service works under.
pub const ROLE: &str = "linli_wish";

/// The wish service; clones share everything.
#[derive(Clone)]
pub struct Wishes {
    pool: PgPool,
    clock: Clock,
    ids: Ids,
    ledger: Ledger,
    activity: Activity,
    /// What persons are sealed under.
    keys: KeyRing,
    /// Wakes what takes steps to the ledger.
    recovery: Nudge,
    /// Wakes what ends wishes.
    lapser: Nudge,
    /// Wakes what tells members how it goes on.
    teller: Nudge,
    /// Wakes who watches the events.
    heads: Heads,
}

impl Wishes {
    /// Makes the service. `pool` works under [`ROLE`]; `ledger` and `activity` may be unreachable for any time; `keys` seal who the people on the
    /// roster are.
    pub fn new(
        pool: PgPool,
        clock: Clock,
        ids: Ids,
        (ledger, activity): (Client, Client),
        keys: KeyRing,
    ) -> Self {
        Self {
            pool,
            clock,
            ids,
            ledger: Ledger::new(ledger),
            activity: Activity::new(activity),
            keys,
            recovery: Nudge::default(),
            lapser: Nudge::default(),
            teller: Nudge::default(),
            heads: Heads::default(),
        }
    }

    /// Fails when the database has persons that its keys can't open, and says which key is missing or wrong.
    pub async fn check_keys(&self) -> Result<(), Problem> {
        sealer::check(self).await
    }

    /// Starts the loops: one ends what the clock has ended, one takes steps to the ledger that were left half done, one tells members, one seals under the current key.
    /// They end with `stop`.
    pub fn spawn_workers(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        lapse::spawn(self, tasks, stop);
        settle::spawn(self, tasks, stop);
        telling::spawn(self, tasks, stop);
        sealer::spawn(self.clone(), tasks, stop.clone());
    }
}

/// Why a use case has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A rule says no. For a mutating call this is its answer for ever.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request id belongs to another call.
    #[error("request_id {0} was used before with other content")]
    RequestIdReused(Uuid),
    /// The call was decided and waits for the ledger; the same call may be made again.
    #[error("the call waits for the ledger")]
    Unsettled,
    /// Another service does not answer; the same call may be made again.
    #[error("the {0} service does not answer")]
    Unavailable(&'static str),
    /// A person can't be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The person that a task leads to can't be read.
    #[error("the address of task {task} is damaged")]
    AddressUnreadable { task: Uuid },
    /// The database failed.
    #[error("wish store: {0}")]
    Store(#[from] sqlx::Error),
    /// Something is as it never should be.
    #[error("{0}")]
    Broken(String),
}
