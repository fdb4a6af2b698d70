//! What the ledger tells over gRPC: the past, what is to come, and its streams; each on a real Postgres and a real port.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod balances;
mod entries;
mod expiring;
mod importing;
mod proving;
mod statements;
mod watching;
mod world;
