//! Drives calls, always the same number in flight, and sums up what came of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use runtime::Problem;
use tokio::{sync::Semaphore, task::JoinSet};

/// How many calls there are at once where nothing is measured.
const AT_ONCE: usize = 64;

/// How long a figure is measured.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// What is done but not counted: connections, caches and the pipeline fill up.
    pub warm_up: Duration,
    /// What is counted.
    pub measured: Duration,
}

/// A call that ended.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    at: Instant,
    took: Duration,
    made: u64,
}

/// What a figure is made of; runs of the same figure add up.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Of what was made, transfers or redemptions, in `window`.
    counted: u64,
    window: Duration,
    took: Vec<Duration>,
    /// All that were made, counted or not.
    pub made: u64,
}

impl Timing {
    /// So long, and a quarter of that goes before.
    pub fn of(measured: Duration) -> Self {
        Self {
            warm_up: measured / 4,
            measured,
        }
    }
}

impl Sample {
    /// What the calls of one run that started at `start` amount to.
    ///
    /// The window goes from one end of a call to another: calls that are answered together, or bring thousands of transfers
    /// each, would make a window of fixed length catch one more or one less by chance.
    fn of(mut done: Vec<Done>, start: Instant, timing: Timing) -> Self {
        done.sort_unstable_by_key(|done| done.at);
        let warm = start + timing.warm_up;
        let end = warm + timing.measured;
        let last_before = |limit: Instant| done.iter().rev().find(|done| done.at <= limit);
        let from = last_before(warm).map_or(start, |done| done.at);
        let to = last_before(end).map_or(start, |done| done.at);
        let counted = || done.iter().filter(|done| done.at > from && done.at <= to);
        Self {
            counted: counted().map(|done| done.made).sum(),
            window: to - from,
            took: counted().map(|done| done.took).collect(),
            made: done.iter().map(|done| done.made).sum(),
        }
    }

    /// Adds another run of the same figure.
    pub fn add(&mut self, other: Self) {
        self.counted += other.counted;
        self.window += other.window;
        self.took.extend(other.took);
        self.made += other.made;
    }

    /// How much a second.
    pub fn rate(&self) -> f64 {
        let seconds = self.window.as_secs_f64();
        if seconds == 0.0 {
            return 0.0;
        }
        // Such a count is far below 2^53.
        #[expect(clippy::cast_precision_loss)]
        let counted = self.counted as f64;
        counted / seconds
    }

    /// How long the calls took that were not among the slowest `100 - percent` %, in milliseconds.
    pub fn percentile_ms(&self, percent: usize) -> f64 {
        let mut took = self.took.clone();
        took.sort_unstable();
        percentile(&took, percent).as_secs_f64() * 1000.0
    }
}

/// The least value that `percent` % of the sorted values do not pass; zero when there are none.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Keeps `in_flight` calls going. `call` is told which of them it is, and answers with how much it made.
pub async fn drive<F, Fut>(in_flight: usize, timing: Timing, call: F) -> Result<Sample, Problem>
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<u64, Problem>> + Send,
{
    let start = Instant::now();
    let end = start + timing.warm_up + timing.measured;
    let mut callers = JoinSet::new();
    for caller in 0..in_flight {
        let call = call.clone();
        callers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let begun = Instant::now();
                if begun >= end {
                    return Ok::<_, Problem>(done);
                }
                let made = call(caller).await?;
                let at = Instant::now();
                let took = at - begun;
                done.push(Done { at, took, made });
            }
        });
    }
    let mut all = Vec::new();
    while let Some(done) = callers.join_next().await {
        let done = done.map_err(|error| Problem::new(format!("a caller broke down: {error}")))?;
        all.extend(done?);
    }
    Ok(Sample::of(all, start, timing))
}

/// Makes one call for each of them, a fixed number at once.
pub async fn all_at_once<T, F, Fut>(
    items: impl IntoIterator<Item = T>,
    call: F,
) -> Result<(), Problem>
where
    F: Fn(T) -> Fut,
    Fut: Future<Output = Result<(), Problem>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut calls = JoinSet::new();
    for item in items {
        let place = places.clone().acquire_owned().await;
        let call = call(item);
        calls.spawn(async move {
            let _place = place;
            call.await
        });
    }
    while let Some(called) = calls.join_next().await {
        called.map_err(|error| Problem::new(format!("a call broke down: {error}")))??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(values: &[u64]) -> Vec<Duration> {
        values.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let sorted = millis(&(1..=200).collect::<Vec<u64>>());
        assert_eq!(percentile(&sorted, 50), Duration::from_millis(100));
        assert_eq!(percentile(&sorted, 99), Duration::from_millis(198));
        assert_eq!(percentile(&sorted, 100), Duration::from_millis(200));
        assert_eq!(percentile(&millis(&[7]), 1), Duration::from_millis(7));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn a_window_opens_and_closes_with_a_call() {
        let start = Instant::now();
        let done = |at: u64| Done {
            at: start + Duration::from_millis(at),
            took: Duration::from_millis(10),
            made: 100,
        };
        let timing = Timing {
            warm_up: Duration::from_millis(100),
            measured: Duration::from_millis(1000),
        };
        let sample = Sample::of(
            [90, 290, 490, 690, 890, 1090, 1290].map(done).to_vec(),
            start,
            timing,
        );
        assert_eq!((sample.counted, sample.made), (500, 700));
        assert_eq!(sample.window, Duration::from_millis(1000));
        assert!((sample.rate() - 500.0).abs() < 1e-9);
    }

    #[test]
    fn runs_of_one_figure_add_up() {
        let run = |counted, seconds| Sample {
            counted,
            window: Duration::from_secs(seconds),
            took: millis(&[counted]),
            made: counted,
        };
        let mut sample = Sample::default();
        assert!(sample.rate().abs() < 1e-9);
        sample.add(run(100, 1));
        sample.add(run(500, 3));
        assert!((sample.rate() - 150.0).abs() < 1e-9);
        assert!((sample.percentile_ms(50) - 100.0).abs() < 1e-9);
    }

    #[tokio::test]
    async fn as_many_calls_as_asked_for_are_in_flight() {
        use std::sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        };
        let timing = Timing {
            warm_up: Duration::ZERO,
            measured: Duration::from_millis(20),
        };
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let seen = most.clone();
        let sample = drive(5, timing, move |_| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(1)
            }
        })
        .await
        .unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), 5);
        assert!(sample.made >= 5);
    }
}
