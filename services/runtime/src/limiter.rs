//! How often somebody may do something, in this process: the generic cell rate algorithm, on the service's clock.

use std::{hash::Hash, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{self, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::keyed::HashMapStateStore,
};
use tonic::{Code, Status};

use crate::{
    Clock,
    status::{Reason, refusal},
};

/// With so many keys those that have not been seen lately are forgotten.
const MANY: usize = 10_000;

/// Counts what each of many does.
#[derive(Debug)]
pub struct Limiter<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, Time, NoOpMiddleware<Nanos>>,
    time: Time,
}

#[derive(Debug, Clone)]
struct Time(Clock);

impl clock::Clock for Time {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let now = self.0.now().timestamp_nanos_opt().unwrap_or_default();
        Nanos::from(u64::try_from(now).unwrap_or_default())
    }
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// Lets each do `burst` at once, and from then on one more every `every`, which is above zero.
    pub fn new(clock: Clock, every: Duration, burst: NonZeroU32) -> Self {
        let quota = Quota::with_period(every)
            .expect("a limit has a period")
            .allow_burst(burst);
        let time = Time(clock);
        let store = HashMapStateStore::default();
        Self {
            limiter: RateLimiter::new(quota, store, time.clone()),
            time,
        }
    }

    /// Counts one; when it is too many, says how long to wait.
    pub fn count(&self, key: &K) -> Result<(), Duration> {
        if self.limiter.len() > MANY {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|until| {
            let now = clock::Clock::now(&self.time);
            let left = until.earliest_possible().duration_since(now);
            Duration::from(left).max(Duration::from_millis(1))
        })
    }
}

/// RESOURCE_EXHAUSTED: somebody does too much; `wait` says when to try again.
pub fn rate_limited(domain: &'static str, whose: &'static str, wait: Duration) -> Status {
    refusal(Reason {
        domain,
        reason: "RATE_LIMITED",
        code: Code::ResourceExhausted,
        text_en: &format!("too many calls of one {whose}; try again in {wait:.1?}"),
        text_zh: "操作过于频繁,请稍后再试",
        metadata: vec![("limit", whose.to_owned())],
        retry_after: Some(wait),
    })
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_one_at_a_time_for_each() {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let second = Duration::from_secs(1);
        let limiter = Limiter::new(clock.clone(), second, NonZeroU32::new(3).unwrap());
        for _ in 0..3 {
            assert_eq!(limiter.count(&"a"), Ok(()));
        }
        assert_eq!(limiter.count(&"a"), Err(second));
        assert_eq!(limiter.count(&"b"), Ok(()));
        clock.advance(TimeDelta::milliseconds(600));
        assert_eq!(limiter.count(&"a"), Err(Duration::from_millis(400)));
        clock.advance(TimeDelta::milliseconds(400));
        assert_eq!(limiter.count(&"a"), Ok(()));
        assert_eq!(limiter.count(&"a"), Err(second));
    }
}
