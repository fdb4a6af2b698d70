//! The whole of Linli in one crate: puts the services together and drives them.
//!
//! The commands of the binary are [`cli`]'s. [`system`] starts every service inside this process, which `up`, `demo` and
//! the whole-system tests share; [`role`] is one service as it runs in production. [`programme`] reads a community's
//! scheme from spreadsheets and replays it through the public contracts. No rule of the domain is decided here.

pub mod cli;

mod bench;
mod call;
mod contract;
mod demo;
mod receipt;
mod sample;
mod serve;
mod up;
mod verify;

pub mod key;
pub mod programme;
pub mod progress;
pub mod role;
pub mod rpc;
pub mod system;

mod signals;
mod terminal;
mod token;
