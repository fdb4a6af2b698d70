//! Every SQL statement of the service. Each asks for one community, but for those that pick a community with work to do.
//!
//! Locks are always taken in this order, so that no two calls can wait for each other: answer, offers, redemptions, offline code; each kind in the order of
//! ids. A merchant, an offer, a card, a terminal or a settlement that is changed by itself is locked behind its call's answer. The head of the events comes last of all.

mod answer;
mod book;
mod changes;
mod event;
mod line;
mod member_code;
mod merchant;
mod offer;
mod offline_code;
mod operation;
mod redemption;
mod settlement;
mod statement;
mod telling;
mod terminal;

pub use answer::{
    Answer, Asked, AuditFilter, Call, Closed, Outcome, answer_claim, answer_find,
    answer_insert_refusal, answer_list, answer_set, answer_set_refusal, answers_find,
    answers_insert, answers_set,
};
pub use book::{Needs, load, lock};
pub use changes::write;
pub use event::{event_insert, event_list};
pub use line::{
    LineQuery, dispute_adjusters, dispute_count_open, dispute_insert, dispute_list_unsettled,
    dispute_set_resolution, dispute_settle, line_insert, line_list,
};
pub use member_code::{
    CardSecrets, card_find, card_find_by_number, card_insert, card_list, card_lock,
    card_revoke_all, card_set_pin, card_set_secrets, card_update, handle_find, handle_insert,
    member_code_lock, member_code_put, member_code_sweep, member_code_use,
};
pub use merchant::{
    SummaryRow, agreement_covers, agreement_insert, agreement_list, merchant_find, merchant_insert,
    merchant_list, merchant_lock, merchant_set_state, merchant_summary,
};
pub use offer::{
    NewPrice, offer_find, offer_insert, offer_list, offer_list_active, offer_lock,
    offer_revision_insert, offer_update,
};
pub use offline_code::{
    offer_price_at, offline_code_drop, offline_code_find, offline_code_insert, offline_code_list,
    offline_code_lock, offline_code_return, offline_code_slots, offline_code_unuse,
    offline_code_use,
};
pub use operation::{
    Lease, operation_claim_due, operation_due_community, operation_find_pending, operation_release,
};
pub use redemption::{
    ListFilter, redemption_due_offer, redemption_find, redemption_list, redemption_quantities_of,
};
pub use settlement::{
    operation_list_by_entry, operation_list_pending_at, settlement_claim_due,
    settlement_due_community, settlement_find, settlement_insert, settlement_lock,
    settlement_missing, settlement_set_due, settlement_skip, settlement_update,
};
pub use statement::{
    StatementFilter, statement_balance_before, statement_find, statement_find_closing,
    statement_list, statement_lock, statement_put, statement_set_state,
};
pub use telling::{
    Claimed, telling_claim_due, telling_due_community, telling_insert, telling_set_due,
};
pub use terminal::{
    KeyHolder, NewKey, pairing_code_lock, pairing_code_put, pairing_code_use, store_find,
    store_insert, store_list, terminal_find, terminal_insert, terminal_key_find, terminal_key_put,
    terminal_keys_retire, terminal_list, terminal_lock, terminal_revoke,
};

use crate::domain::LineHash;

/// Which part of a list: what comes after a row, and at most how much.
#[derive(Debug, Clone, Copy)]
pub struct Page<T> {
    /// The last row of the page before.
    pub after: Option<T>,
    /// At most so many rows.
    pub limit: i64,
}

/// Reads a SHA-256.
fn hash(bytes: Vec<u8>) -> sqlx::Result<LineHash> {
    let hash = bytes.try_into().map(LineHash);
    hash.map_err(|_| sqlx::Error::Decode("a hash of another length".into()))
}

/// Reads a value that a constraint keeps to known names.
fn known<T>(parsed: Option<T>, name: &str) -> sqlx::Result<T> {
    parsed.ok_or_else(|| sqlx::Error::Decode(format!("unknown name {name:?}").into()))
}
