//! Every SQL statement of the ledger.

mod account;
mod batch;
mod entry;
mod hold;
mod journal;
mod sweep;

pub use account::{
    AccountQuery, TrialBalanceRow, account_find, account_insert, account_list, account_set_limits,
    asset_find, asset_insert, trial_balance,
};
pub use batch::{Needs, load, write};
pub use entry::{EntryQuery, entry_find, entry_list};
pub use hold::{hold_find, hold_recorded};
pub use journal::{journal_lock, journal_open, journal_sequence};
pub use sweep::{communities_list, holds_due, lots_delete_empty, lots_due};

/// A number in the database that the code does not know.
fn unknown(what: &'static str) -> impl FnOnce(i16) -> sqlx::Error {
    move |number| sqlx::Error::Decode(format!("{what} {number} is unknown to this version").into())
}
