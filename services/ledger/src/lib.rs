//! The points ledger: one serial journal for each community.
//!
//! What it promises, each with the tests that look for the opposite:
//!
//! - **I1** Over a community's accounts an asset's balances sum to zero: `a_trial_balance_sums_to_zero`.
//! - **I2** An account's balance is the sum of its entries: `a_balance_of_any_sequence_is_the_sum_of_the_entries_up_to_it`.
//! - **I3** Every change is one [`domain::Entry`] with the next `sequence`: dense, in commit order, in time that never runs backwards:
//!   `parallel_spenders_never_spend_more_than_there_is_and_sequences_stay_dense`, `time_in_a_journal_never_runs_backwards`.
//! - **I4** What an account can give (balance − held − expired − minimum) is checked and taken under one lock, so limits hold after
//!   every commit under any concurrency: `what_many_clients_are_told_at_once_is_what_the_journal_says_in_order`.
//! - **I5** In an account that keeps lots, remaining and held summed over its lots are its balance:
//!   `whatever_is_asked_the_books_stay_sound`.
//! - **I6** The lots that paid an entry sum to its amount: `the_book_says_what_the_model_says`.
//! - **I7** A hold only moves forward; captured and released never pass its amount:
//!   `several_captures_take_a_hold_and_no_more_than_it`, `a_hold_reserves_is_captured_once_and_every_answer_is_told_again_as_it_was`.
//! - **I8** The lot that expires first pays first; from its instant on a lot pays nothing, unless a hold reserved it before:
//!   `the_lot_that_expires_first_pays_first`, `expired_points_are_unspendable_before_any_sweep_and_swept_once`,
//!   `held_points_do_not_expire_and_can_be_captured_after_their_lot_ended`.
//! - **I9** No limit or budget is passed; expired points take no room, swept or not, and leave whatever the minimum:
//!   `a_budget_is_the_floor_of_the_issuing_account_and_can_be_raised`,
//!   `expired_points_leave_their_room_at_their_instant_swept_or_not`,
//!   `what_has_expired_leaves_also_an_account_that_must_keep_a_minimum`.
//! - **I10** The same `request_id` with the same content gets the first answer, a refusal included, and has at most one effect; with other
//!   content it is refused: `the_same_transfer_sent_20_times_in_parallel_has_one_effect_and_20_equal_answers`,
//!   `another_content_under_a_known_id_is_refused_whatever_became_of_the_first`.
//! - **I11** Reversals of an entry never pass its amount, and give back to the lots that paid:
//!   `reversals_return_to_old_lots_and_never_pass_the_original`.
//! - **I12** A batch does what its requests would do one by one in the same order: `calls_in_one_batch_get_the_answers_they_get_one_by_one`.
//! - **I13** A refusal leaves nothing behind but its answer: `a_refusal_leaves_nothing_but_its_answer_also_after_a_restart`.
//! - **I14** Every entry is in the signed log, once: `every_entry_has_a_receipt_that_holds_and_fails_when_any_byte_is_changed`,
//!   `a_checkpoint_covers_everything_and_each_continues_the_one_before`.
//! - **I15** The journal is the outbox: whoever watches it gets every entry, in order and once:
//!   `a_watcher_gets_history_then_what_comes_without_a_gap_and_none_twice`,
//!   `a_watcher_misses_nothing_while_several_processes_post_at_once`.
//! - **I16** What is stored is what the entries give when recomputed, at any sequence or instant and in bounded work:
//!   `verification_is_clean_after_random_lives`, `a_balance_of_any_instant_is_that_of_the_last_entry_by_then`.
//!
//! A model that keeps a list of entries and nothing else predicts every answer, word for word: to random sequences of calls over
//! several replicas (`any_sequence_of_calls_over_replicas_gets_the_answers_of_the_model`), to crowds (I4), and while connections break
//! (`connections_that_break_around_a_commit_lose_nothing_and_double_nothing`) or the process is killed
//! (`a_ledger_killed_at_any_moment_has_lost_nothing_and_doubled_nothing`; `LINLI_KILLS=200` kills it that often). `PROPTEST_CASES`
//! makes the random ones longer. How well the tests watch the rules, in mutants of `domain` that they catch:
//! `cargo mutants -p ledger -f 'services/ledger/src/domain/*.rs' -- --lib`: all of the 242 that compile.
//!
//! What it will not do: change or delete an entry, or know what the points are for.

mod accounts;
pub mod domain;
mod engine;
mod error;
mod journal;
pub mod proof;
mod reading;
pub mod rpc;
mod store;
mod sweeper;
pub mod verify;
mod watch;

use std::sync::Arc;

use runtime::{Clock, Heads, Nudge};
use sqlx::PgPool;

use engine::Engine;
pub use engine::Outcome;
pub use error::Error;
use proof::FreshLeaves;
pub use reading::{AccountBalance, EntrySearch, Point};
pub use store::{
    AccountQuery, EntryPage, EntryQuery, ExpiringLot, LotQuery, ScheduleQuery, ScheduledExpiry,
};

/// The role the service works under in the database.
pub const ROLE: &str = "linli_ledger";

/// The ledger service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    pool: PgPool,
    clock: Clock,
    engine: Engine,
    heads: Heads,
    fresh: FreshLeaves,
    signer: Option<Arc<proof::Signer>>,
    unsealed: Nudge,
}

impl Ledger {
    /// A ledger on a migrated database whose connections work as [`ROLE`].
    pub fn new(pool: PgPool, clock: Clock) -> Self {
        let heads = Heads::default();
        let fresh = FreshLeaves::default();
        let engine = Engine::new(pool.clone(), clock.clone(), heads.clone(), fresh.clone());
        Self {
            pool,
            clock,
            engine,
            heads,
            fresh,
            signer: None,
            unsealed: Nudge::default(),
        }
    }
}
