//! Activity: who takes part, what they did, and what it earned.
//!
//! Promises:
//! - Hours and points are two books. Verified minutes are entered here and never spent; points are granted here and
//!   spent in the ledger.
//! - A grant is decided once, in the transaction that verifies its record or accepts its report, under locks on the member and the
//!   programme: never above a cap, never above the budget, whatever comes in at once. Its arithmetic is kept and never redone. What
//!   waits for budget is granted as it was decided, once, when there is some.
//! - A grant that was decided reaches the ledger, once, however often either side is down. Verification waits for nobody.
//! - The same `request_id` gets the same answer, and a refused call leaves nothing behind but its refusal.
//! - Money-like changes take two people: who proposes one can't approve it, and who records a service late can't verify it.
//! - No caller records more than their quota, and no local day of a member holds more than it may, whatever comes in at once.
//! - Every change says who asked for it.
//! - No fen is on two payouts, and none is captured that two people did not stand for; whatever dies in between, list and ledger agree in the end.
//! - Names and phone numbers are sealed under keys that the database does not hold, and leave masked, or whole to someone who said why and is in the
//!   audit log with it; no log line, error, answer kept or outbox row has any. Who is erased can't be found again; the books stay.
//!
//! It keeps no balances and knows no prices: what a member has is the ledger's to say.
//!
//! Find a feature by the method of [`Activity`] that is named like its RPC. What it calls is `domain::` (a rule) or
//! `store::` (a statement); `relay` tells the ledger, `seal` makes persons unreadable.

mod adjustment;
mod answer;
mod audit;
mod domain;
mod event;
mod expiry;
mod grant;
mod ledger;
mod member;
mod notice;
mod oversight;
mod payout;
mod payout_relay;
mod person;
mod policy;
mod programme;
mod public;
mod relay;
mod report;
mod report_rules;
mod report_view;
mod rpc;
mod seal;
mod sealer;
mod service_record;
mod simulation;
mod store;
mod team;
#[cfg(test)]
mod tests;
mod waiting;

use proto::ledger::v1::ledger_service_client::LedgerServiceClient;
use runtime::{Client, Clock, Heads, Ids, KeyRing, Nudge, Problem, Unreadable};
use sqlx::PgPool;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use domain::refusal::Refusal;
pub use domain::report_rules::EmergencyNumbers;
pub(crate) use runtime::Page;

/// The database role the service works under.
pub const ROLE: &str = "linli_activity";

/// The activity service; clones share everything.
#[derive(Clone)]
pub struct Activity {
    pool: PgPool,
    clock: Clock,
    ids: Ids,
    ledger: LedgerServiceClient<Client>,
    /// What persons are sealed under.
    keys: KeyRing,
    /// Members' ledger accounts that are known to be open.
    accounts: ledger::KnownAccounts,
    /// Wakes the relay after a commit.
    relay: Nudge,
    /// Wakes what takes adjustments to the ledger.
    adjuster: Nudge,
    /// Wakes what grants that which waits for budget.
    budget: Nudge,
    /// What to call where a programme says nothing else.
    emergency_numbers: EmergencyNumbers,
    /// Wakes what takes payouts to the ledger.
    payer: Nudge,
    /// Wakes who watches the events.
    heads: Heads,
}

impl Activity {
    /// Makes the service. `pool` works under [`ROLE`]; `ledger` may be unreachable for any time; `keys` seal who the members are.
    pub fn new(pool: PgPool, clock: Clock, ids: Ids, ledger: Client, keys: KeyRing) -> Self {
        Self {
            pool,
            clock,
            ids,
            ledger: LedgerServiceClient::new(ledger),
            keys,
            accounts: ledger::KnownAccounts::default(),
            relay: Nudge::default(),
            adjuster: Nudge::default(),
            budget: Nudge::default(),
            payer: Nudge::default(),
            heads: Heads::default(),
            emergency_numbers: EmergencyNumbers::default(),
        }
    }

    /// The same with other numbers to call than the national ones.
    pub fn with_emergency_numbers(self, emergency_numbers: EmergencyNumbers) -> Self {
        Self {
            emergency_numbers,
            ..self
        }
    }

    /// Fails when the database has persons that its keys can't open, and says which key is missing or wrong.
    pub async fn check_keys(&self) -> Result<(), Problem> {
        sealer::check(self).await
    }

    /// Starts the loops that tell the ledger what was decided, the ones that grant what waited for budget and tell members what expires, and the one that seals who is not sealed under the current key. They end with `stop`.
    pub fn spawn_workers(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        relay::spawn(self.clone(), tasks, stop.clone());
        adjustment::spawn(self.clone(), tasks, stop.clone());
        waiting::spawn(self.clone(), tasks, stop.clone());
        expiry::spawn(self.clone(), tasks, stop.clone());
        payout_relay::spawn(self.clone(), tasks, stop.clone());
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
    /// A person can't be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A frozen payout was changed in the database.
    #[error("payout {0} is not what it was when it was frozen")]
    PayoutAltered(Uuid),
    /// The database failed.
    #[error("activity store: {0}")]
    Store(#[from] sqlx::Error),
    /// The ledger failed, or did not answer.
    #[error("ledger: {0}")]
    Ledger(Box<tonic::Status>),
}
