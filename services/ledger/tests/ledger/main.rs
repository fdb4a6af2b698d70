//! The ledger's use cases on a real Postgres.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod books;
mod posting;
mod world;
