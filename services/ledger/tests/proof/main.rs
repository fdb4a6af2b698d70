//! The proofs: encodings, trees, notes, sealing, receipts and verification.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod format;
mod receipt;
mod seal;
mod tamper;
mod tree;
mod world;
