//! What every service needs and no service should write again: time, ids, identity, the database, the gRPC server and client,
//! errors, request fields, background loops and telemetry. It knows no word of the domain.

mod access;
mod call;
mod client;
mod clock;
mod connection;
mod database;
mod deadline;
mod fields;
mod gathered;
mod ids;
mod limiter;
mod mask;
mod page;
mod panics;
mod postgres;
mod problem;
mod seal;
mod sealer;
mod server;
mod sheet;
mod status;
mod stop;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
mod testing;
mod tls;
mod trace;
mod watch;
mod web;
mod worker;
mod writer;

pub use access::{
    Access, Actor, Authority, Bearer, Callers, Holder, Issuer, KeyRefusal, Keys, Minter, Role,
    Roles, read_issuers,
};
pub use client::{Client, Roots, channel, channel_trusting, request};
pub use clock::Clock;
pub use connection::Thumbprint;
pub use database::{
    MIGRATIONS, connect, constraint, create_database, is_retryable, is_unavailable, migrate,
};
pub use deadline::Deadline;
pub use fields::{Fields, duration, from_duration, timestamp};
pub use gathered::Gathered;
pub use ids::{Ids, secret};
pub use limiter::{Limiter, rate_limited};
pub use mask::{masked_name, masked_phone};
pub use page::{Page, Place, Window, decode_page_token, encode_page_token};
pub use postgres::{Durability, Postgres};
pub use problem::Problem;
pub use seal::{KeyRing, KeyRingError, Sealed, SealedFor, SealedKind, Unreadable};
pub use sealer::{Due, SEALER_EVERY, SealedRows, Sealer, Share, check_sealed};
pub use server::{Server, listen};
pub use sheet::{FileForm, Sheet, write_sheets};
pub use status::{
    Reason, Violation, aborted, deadline_exceeded, internal, invalid, reason_of, refusal, stopping,
    unavailable,
};
pub use stop::Stop;
pub use telemetry::{Telemetry, current_traceparent, init, init_quiet, span_with_parent};
#[cfg(any(test, feature = "testing"))]
pub use testing::{TestDatabase, acquainted, asked, asked_by};
pub use tls::{Tls, TlsFiles};
pub use watch::{Heads, Messages, Watch};
pub use worker::{Nudge, Progress, spawn_worker};
pub use writer::{Writer, Writers, begin_by_key};
