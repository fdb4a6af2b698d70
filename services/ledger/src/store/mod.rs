//! Every SQL statement of the ledger.

mod account;
mod batch;
mod changes;
mod copy;
mod entry;
mod expiry;
mod hold;
mod journal;
mod proof;
mod request;
mod statement;
mod sweep;
mod verify;

pub use account::{
    AccountQuery, TrialBalanceRow, account_find, account_insert, account_list, account_set_limits,
    asset_find, asset_insert, trial_balance,
};
pub use batch::{Needs, load, lock};
pub use changes::write;
pub use entry::{EntryPage, EntryQuery, Span, entry_find, entry_list, entry_page};
pub use expiry::{
    ExpiringLot, LotQuery, ScheduleQuery, ScheduledExpiry, expiry_schedule, lot_list,
};
pub use hold::{hold_find, hold_recorded};
pub use journal::{Fence, journal_lock, journal_open, journal_sequence, journal_sequence_at};
pub use proof::{
    CheckpointRow, JournalEnds, account_log, asset_log, checkpoint_find, checkpoint_insert,
    checkpoints_after, communities_unsealed, community_after, definitions_after, journal_ends,
    limits_log, refusals_after, sealer_lock, tile_from, tiles_find, tiles_upsert,
};
pub use statement::balance_at;
pub use sweep::{communities_list, holds_due, lots_delete_empty, lots_due};
pub use verify::{
    allocations_stray, assets_list, holds_after, lots_stray, originals_find, pages_after,
};

use crate::domain::Fingerprint;

/// A number in the database that the code does not know.
fn unknown(what: &'static str) -> impl FnOnce(i16) -> sqlx::Error {
    move |number| sqlx::Error::Decode(format!("{what} {number} is unknown to this version").into())
}

fn fingerprint(bytes: Vec<u8>) -> sqlx::Result<Fingerprint> {
    bytes.try_into().map_err(|bytes: Vec<u8>| {
        sqlx::Error::Decode(format!("a fingerprint of {} bytes", bytes.len()).into())
    })
}

/// One column of rows, for an array parameter.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
