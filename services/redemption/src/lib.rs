//! Redemption: merchants, their offers, and what members take of them for points.
//!
//! It promises that a redemption and the ledger never disagree for long: each step is written down before the ledger is asked, and
//! whatever interrupts it, a repeated call or the recovery loop takes it to its end. It promises that stock and a member's quota are
//! never passed, and that a call can be repeated with the same `request_id`. It moves no points itself and keeps no balances: the
//! ledger does.
//!
//! One method a use case, named like its RPC: merchants and agreements in `merchant`, offers in `offer`, `hold_redemption` and `redeem`
//! in `take`, everything after that in `redemption`, statements in `settlement`. Offers are taken many at a time, by the `engine`. What happens
//! between a decision and the ledger's answer is in `settle`; what goes on without a call is in `recovery`, `closing` and `telling`. Every transaction
//! that makes something happen ends in `event`.

mod audit;
mod call;
mod closing;
pub mod domain;
mod engine;
mod error;
mod event;
mod limits;
mod member_code;
mod members;
mod merchant;
mod offer;
mod offline_code;
mod open_day;
mod owners;
mod recovery;
mod redemption;
mod remote;
mod rpc;
mod settle;
mod settlement;
mod store;
mod take;
mod telling;
mod terminal;

#[cfg(test)]
mod tests;

pub use domain::{KnownBy, OfflineKeys, Order, Reversal, Till};
pub use error::Error;
pub use limits::Limits;
pub use member_code::{Presented, Resolved, Usable};
pub use merchant::{NewAgreement, NewMerchant};
pub use offer::NewOffer;
pub use offline_code::{Forwarded, NewOfflineCodes, Offline};
pub use settlement::{Decision, Download};
pub use store::{Call, ListFilter, Page, StatementFilter, SummaryRow};
pub use terminal::{KeyRefused, NewStore, NewTerminal, Rotation};

use runtime::{Client, Clock, Ids, Nudge};
use sqlx::PgPool;

use engine::Engine;
use event::Publisher;
use limits::Counters;
use members::Members;
use owners::KnownOwners;
use remote::{Activity, Ledger};

/// The database role of this service.
pub const ROLE: &str = "linli_redemption";

/// The redemption service; clones share everything.
#[derive(Clone)]
pub struct Redemption {
    pool: PgPool,
    clock: Clock,
    ids: Ids,
    ledger: Ledger,
    activity: Activity,
    members: Members,
    owners: KnownOwners,
    engine: Engine,
    recovery: Nudge,
    publisher: Publisher,
    counters: Counters,
    offline: Offline,
}

impl Redemption {
    /// Makes the service from what it needs.
    pub fn new(pool: PgPool, clock: Clock, ids: Ids, ledger: Client, activity: Client) -> Self {
        let counters = Counters::new(Limits::default(), &clock);
        let (recovery, publisher) = (Nudge::default(), Publisher::default());
        Self {
            engine: Engine::new(
                pool.clone(),
                clock.clone(),
                ids.clone(),
                recovery.clone(),
                publisher.clone(),
            ),
            members: Members::default(),
            owners: KnownOwners::default(),
            pool,
            clock,
            ids,
            ledger: Ledger::new(ledger),
            activity: Activity::new(activity),
            recovery,
            publisher,
            counters,
            offline: Offline::default(),
        }
    }

    /// Limits what one till and one member may do; without it there is none but on codes.
    pub fn with_limits(self, limits: Limits) -> Self {
        let counters = Counters::new(limits, &self.clock);
        Self { counters, ..self }
    }

    /// Makes and takes offline codes; without it there are none.
    pub fn with_offline(self, offline: Offline) -> Self {
        Self { offline, ..self }
    }
}
