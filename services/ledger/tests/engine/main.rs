//! The posting engine against a model, on a real Postgres: in order, all at once, and while everything breaks.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod asked;
mod books;
mod crowd;
mod faults;
mod history;
mod limits;
mod model;
mod plans;
mod processes;
mod promises;
mod ruling;
mod sequences;
mod wire;

use ledger::domain;
