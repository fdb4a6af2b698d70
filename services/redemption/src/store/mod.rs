//! Every SQL statement of the service. Each asks for one community, but for those that pick a community with work to do.

mod answer;
mod book;
mod changes;
mod merchant;
mod offer;
mod operation;
mod redemption;
mod terminal;

pub use answer::{
    Answer, Asked, AuditFilter, Call, Closed, Outcome, answer_claim, answer_find,
    answer_insert_refusal, answer_list, answer_set, answers_find, answers_insert, answers_set,
};
pub use book::{Needs, begin, load, lock};
pub use changes::write;
pub use merchant::{
    SummaryRow, agreement_insert, agreement_list, merchant_find, merchant_insert, merchant_list,
    merchant_lock, merchant_set_state, merchant_summary,
};
pub use offer::{
    NewPrice, offer_find, offer_insert, offer_list, offer_lock, offer_revision_insert, offer_update,
};
pub use operation::{
    Lease, operation_claim_due, operation_due_community, operation_find_pending,
    operation_refused_count, operation_release,
};
pub use redemption::{ListFilter, redemption_due_offer, redemption_find, redemption_list};
pub use terminal::{
    pairing_code_lock, pairing_code_put, pairing_code_use, store_find, store_insert, store_list,
    terminal_find, terminal_insert, terminal_key_find, terminal_key_put, terminal_keys_retire,
    terminal_list, terminal_lock, terminal_revoke,
};

/// Which part of a list: what comes after a row, and at most how much.
#[derive(Debug, Clone, Copy)]
pub struct Page<T> {
    /// The last row of the page before.
    pub after: Option<T>,
    /// At most so many rows.
    pub limit: i64,
}

/// Reads a value that a constraint keeps to known names.
fn known<T>(parsed: Option<T>, name: &str) -> sqlx::Result<T> {
    parsed.ok_or_else(|| sqlx::Error::Decode(format!("unknown name {name:?}").into()))
}
