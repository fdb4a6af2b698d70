//! Whole-system journeys, over gRPC only: what residents, shops, staff and operators can rely on.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod resident;
mod setup;

mod access;
mod certificate;
mod personal;
mod terminal;
mod two_people;

mod earning;
mod expiring;
mod fake_hours;
mod hours;
mod policies;
mod waiting;

mod report;
mod report_race;
mod report_view;

mod cancel;
mod refusal;
mod reversal;

mod supplying;
mod wish_reversal;
mod wishing;

mod race;
mod twins;

mod cash;
mod disputing;
mod payouts;
mod settlement;
mod year;

mod chaos;
mod crash;
mod outage;
mod replicas;

mod reversal_told;
mod taken_told;
mod watching;
mod wish_told;

mod dispatch;
mod drive;
mod roster;

mod listing;
mod member_code;
mod offline_code;
mod sample;
mod serving;
mod web;
mod wrong_input;
