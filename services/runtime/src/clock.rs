//! The only source of now. A service runs on the system's clock; tests and replays move a manual one by hand.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::sync::watch;

/// Tells the time and waits for it; clones share the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<watch::Sender<DateTime<Utc>>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is moved.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(start))))
    }

    /// The time now, cut to the microseconds that Postgres keeps.
    pub fn now(&self) -> DateTime<Utc> {
        let now = match &self.0 {
            Source::System => system_now(),
            Source::Manual(time) => *time.borrow(),
        };
        now.trunc_subsecs(6)
    }

    /// Moves a manual clock forward to `at` and wakes its sleepers; an earlier time changes nothing.
    ///
    /// # Panics
    /// On the system's clock.
    pub fn advance_to(&self, at: DateTime<Utc>) {
        self.time().send_if_modified(|now| {
            let later = at > *now;
            if later {
                *now = at;
            }
            later
        });
    }

    /// Moves a manual clock forward by `by` and wakes its sleepers.
    ///
    /// # Panics
    /// On the system's clock.
    pub fn advance(&self, by: TimeDelta) {
        // One step, so that two callers at once both count.
        self.time().send_if_modified(|now| {
            let later = by > TimeDelta::zero();
            if later {
                *now += by;
            }
            later
        });
    }

    /// Waits for `duration` on this clock.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_since(self.now(), duration).await;
    }

    /// Waits for `duration` on this clock; moves of a manual one since `since` count, so none is missed in between.
    pub async fn sleep_since(&self, since: DateTime<Utc>, duration: Duration) {
        match &self.0 {
            Source::System => tokio::time::sleep(duration).await,
            Source::Manual(time) => {
                let mut moves = time.subscribe();
                let until = TimeDelta::from_std(duration)
                    .ok()
                    .and_then(|duration| since.checked_add_signed(duration))
                    .unwrap_or(DateTime::<Utc>::MAX_UTC);
                // `time` is borrowed from self, so the sender outlives the wait.
                let _ = moves.wait_for(|now| *now >= until).await;
            }
        }
    }

    fn time(&self) -> &watch::Sender<DateTime<Utc>> {
        match &self.0 {
            Source::System => panic!("the system's clock can't be moved"),
            Source::Manual(time) => time,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn system_now() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_and_never_goes_back() {
        let start = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
        let clock = Clock::manual(start);
        let other = clock.clone();

        assert_eq!(clock.now().timestamp_subsec_nanos(), 123_456_000);
        clock.advance(TimeDelta::hours(1));
        other.advance_to(start);
        other.advance(TimeDelta::hours(-1));

        assert_eq!(other.now(), start.trunc_subsecs(6) + TimeDelta::hours(1));
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let start = DateTime::UNIX_EPOCH;
        let clock = Clock::manual(start);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(Duration::from_secs(60)).await;
                clock.now()
            }
        });
        tokio::task::yield_now().await;

        clock.advance(TimeDelta::seconds(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(TimeDelta::seconds(1));

        assert_eq!(sleeper.await.unwrap(), start + TimeDelta::seconds(60));
    }

    #[tokio::test]
    async fn a_sleep_without_end_is_no_overflow() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let sleep = clock.sleep(Duration::MAX);
        assert!(
            tokio::time::timeout(Duration::from_millis(5), sleep)
                .await
                .is_err()
        );
    }

    #[test]
    #[should_panic(expected = "can't be moved")]
    fn the_system_clock_is_not_moved() {
        Clock::system().advance(TimeDelta::seconds(1));
    }
}
