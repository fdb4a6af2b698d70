//! Background loops: a relay, a sweep, a recovery. A loop runs when it is nudged and every so often on the service's
//! clock. It outlives errors and panics in its work, and ends between two runs, never inside one.

use std::{future::Future, sync::Arc, time::Duration};

use rand::Rng;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Clock, panics};

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// What a run of the work found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is due: wait.
    Idle,
    /// There may be more: run again at once.
    More,
}

/// Wakes one loop before its time. A nudge during a run is kept for the next.
#[derive(Clone, Debug, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Asks the loop to run soon.
    pub fn nudge(&self) {
        self.0.notify_one();
    }
}

/// Starts a loop that runs `work` at once, after each nudge and every `every`, until `stop`.
///
/// After an error it waits 50 ms, then twice as long each time up to 5 s, in real time whatever the clock is.
pub fn spawn_worker<F, Fut>(
    tasks: &TaskTracker,
    stop: CancellationToken,
    clock: Clock,
    every: Duration,
    nudge: Nudge,
    name: &'static str,
    mut work: F,
) where
    F: FnMut() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Progress, anyhow::Error>> + Send + 'static,
{
    tasks.spawn(async move {
        let mut failures = 0;
        while !stop.is_cancelled() {
            // A manual clock may be moved while the work runs, which then has seen only the time before.
            let seen = clock.now();
            // The call itself is inside, for `work` may panic before it has a future.
            let pause = match panics::caught(async { work().await }).await {
                Ok(Ok(Progress::More)) => {
                    failures = 0;
                    // A loop that always has more must not starve the others of its thread.
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(Ok(Progress::Idle)) => {
                    failures = 0;
                    None
                }
                Ok(Err(error)) => {
                    tracing::warn!(
                        worker = name,
                        "Worker {name} failed, will try again: {error:#}"
                    );
                    Some(backoff(failures))
                }
                Err(panic) => {
                    tracing::error!(
                        worker = name,
                        "Worker {name} panicked, will try again: {panic}"
                    );
                    Some(backoff(failures))
                }
            };
            let rest = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => tokio::select! {
                        () = nudge.0.notified() => {}
                        () = clock.sleep_since(seen, every) => {}
                    },
                }
            };
            if pause.is_some() {
                failures += 1;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = rest => {}
            }
        }
        tracing::debug!(worker = name, "Worker {name} ended");
    });
}

/// Doubles from the first to the last, less up to half by chance so that replicas do not march in step.
fn backoff(failures: u32) -> Duration {
    let full = FIRST_BACKOFF
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LAST_BACKOFF);
    full.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use tokio::sync::mpsc;

    use super::*;

    /// A worker whose runs report here, and what moves it.
    struct Loop {
        runs: mpsc::UnboundedReceiver<u32>,
        clock: Clock,
        nudge: Nudge,
        stop: CancellationToken,
        tasks: TaskTracker,
    }

    impl Loop {
        fn start(outcome: fn(u32) -> Result<Progress, anyhow::Error>) -> Self {
            let (report, runs) = mpsc::unbounded_channel();
            let it = Self {
                runs,
                clock: Clock::manual(DateTime::UNIX_EPOCH),
                nudge: Nudge::default(),
                stop: CancellationToken::new(),
                tasks: TaskTracker::new(),
            };
            let mut run = 0;
            spawn_worker(
                &it.tasks,
                it.stop.clone(),
                it.clock.clone(),
                Duration::from_secs(60),
                it.nudge.clone(),
                "test",
                move || {
                    run += 1;
                    let report = report.clone();
                    let number = run;
                    async move {
                        report.send(number)?;
                        outcome(number)
                    }
                },
            );
            it
        }

        async fn next(&mut self) -> u32 {
            let run = tokio::time::timeout(Duration::from_secs(10), self.runs.recv());
            run.await.expect("a run in time").unwrap()
        }

        async fn rests(&mut self) -> bool {
            tokio::time::timeout(Duration::from_millis(100), self.runs.recv())
                .await
                .is_err()
        }
    }

    #[tokio::test]
    async fn a_move_of_the_clock_during_a_run_is_not_missed() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let (report, mut runs) = mpsc::unbounded_channel();
        let (moved, stop) = (clock.clone(), CancellationToken::new());
        spawn_worker(
            &TaskTracker::new(),
            stop.clone(),
            clock,
            Duration::from_secs(60),
            Nudge::default(),
            "test",
            move || {
                let _ = report.send(moved.now());
                if moved.now() == DateTime::UNIX_EPOCH {
                    moved.advance(TimeDelta::minutes(1));
                }
                async { Ok(Progress::Idle) }
            },
        );
        assert_eq!(runs.recv().await, Some(DateTime::UNIX_EPOCH));
        let minute = DateTime::UNIX_EPOCH + TimeDelta::minutes(1);
        assert_eq!(runs.recv().await, Some(minute));
        stop.cancel();
    }

    #[tokio::test]
    async fn it_runs_at_the_start_after_a_nudge_and_when_the_clock_says_so() {
        let mut it = Loop::start(|_| Ok(Progress::Idle));
        assert_eq!(it.next().await, 1);
        assert!(it.rests().await);

        it.nudge.nudge();
        assert_eq!(it.next().await, 2);
        assert!(it.rests().await);

        it.clock.advance(TimeDelta::seconds(60));
        assert_eq!(it.next().await, 3);
    }

    #[tokio::test]
    async fn it_goes_on_while_there_is_more() {
        let mut it = Loop::start(|run| match run {
            3 => Ok(Progress::Idle),
            _ => Ok(Progress::More),
        });
        assert_eq!(
            [it.next().await, it.next().await, it.next().await],
            [1, 2, 3]
        );
        assert!(it.rests().await);
    }

    #[tokio::test]
    async fn it_outlives_errors_and_panics_though_the_clock_stands_still() {
        let mut it = Loop::start(|run| match run {
            1 => Err(anyhow::anyhow!("the ledger is away")),
            2 => panic!("our bug"),
            _ => Ok(Progress::Idle),
        });
        assert_eq!(
            [it.next().await, it.next().await, it.next().await],
            [1, 2, 3]
        );
    }

    #[tokio::test]
    async fn it_ends_when_told_to() {
        let mut it = Loop::start(|_| Ok(Progress::Idle));
        it.next().await;
        it.stop.cancel();
        it.tasks.close();
        tokio::time::timeout(Duration::from_secs(10), it.tasks.wait())
            .await
            .unwrap();
    }

    #[test]
    fn the_backoff_is_capped() {
        assert!(backoff(0) <= FIRST_BACKOFF);
        assert!(backoff(3) >= FIRST_BACKOFF * 4);
        assert!(backoff(u32::MAX) <= LAST_BACKOFF);
    }
}
