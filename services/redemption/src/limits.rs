//! How much one till, one member, and those who try pairing codes may do.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use runtime::{Clock, Limiter};
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
/// A till may do as much at once as in so many seconds: after an hour offline it has something to send.
const TERMINAL_BURST_SECONDS: u32 = 5;
/// How often a pairing code may be tried in a community, a minute: enough for a market hall, and nothing for who guesses.
const PAIRINGS: NonZeroU32 = NonZeroU32::new(20).expect("above 0");

/// How many member codes are tried at one till a minute: one every two seconds, as long as a queue lasts.
const RESOLVINGS: NonZeroU32 = NonZeroU32::new(30).expect("above 0");
/// How many codes a member's app makes a minute: it needs one, and one after each use.
const MEMBER_CODES: NonZeroU32 = NonZeroU32::new(12).expect("above 0");

/// What is configured; `None`: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Calls of one terminal a second; five times as many at once.
    pub terminal_rate: Option<NonZeroU32>,
    /// Holds and redemptions for one member a minute, and at once.
    pub member_rate: Option<NonZeroU32>,
}

/// What has been done lately, in this process.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    terminals: Option<Arc<Limiter<Uuid>>>,
    members: Option<Arc<Limiter<Uuid>>>,
    pairings: Arc<Limiter<Uuid>>,
    resolvings: Arc<Limiter<Uuid>>,
    member_codes: Arc<Limiter<Uuid>>,
}

impl Counters {
    pub fn new(limits: Limits, clock: &Clock) -> Self {
        let limiter = |period: Duration, rate: NonZeroU32, burst| {
            Arc::new(Limiter::new(clock.clone(), period / rate.get(), burst))
        };
        let terminals = limits.terminal_rate.map(|rate| {
            let burst =
                rate.saturating_mul(NonZeroU32::MIN.saturating_add(TERMINAL_BURST_SECONDS - 1));
            limiter(Duration::from_secs(1), rate, burst)
        });
        Self {
            terminals,
            members: limits.member_rate.map(|rate| limiter(MINUTE, rate, rate)),
            pairings: limiter(MINUTE, PAIRINGS, PAIRINGS),
            resolvings: limiter(MINUTE, RESOLVINGS, RESOLVINGS),
            member_codes: limiter(MINUTE, MEMBER_CODES, MEMBER_CODES),
        }
    }

    /// Counts a call of a terminal; when it is too much, says how long to wait.
    pub fn terminal(&self, terminal: Uuid) -> Result<(), Duration> {
        count(self.terminals.as_deref(), terminal)
    }

    /// Counts a hold or redemption for a member.
    pub fn member(&self, member: Uuid) -> Result<(), Duration> {
        count(self.members.as_deref(), member)
    }

    /// Counts a try of a pairing code in a community.
    pub fn pairing(&self, community: Uuid) -> Result<(), Duration> {
        self.pairings.count(&community)
    }

    /// Counts a member code tried at a till.
    pub fn resolving(&self, till: Uuid) -> Result<(), Duration> {
        self.resolvings.count(&till)
    }

    /// Counts a code that a member's app makes.
    pub fn member_code(&self, member: Uuid) -> Result<(), Duration> {
        self.member_codes.count(&member)
    }
}

fn count(limiter: Option<&Limiter<Uuid>>, of: Uuid) -> Result<(), Duration> {
    limiter.map_or(Ok(()), |limiter| limiter.count(&of))
}
