//! When to end: Ctrl-C and SIGTERM ask for an orderly end, a second one ends at once.

use runtime::Problem;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How a process ends that a signal ended, as shells count it.
const INTERRUPTED: i32 = 130;

/// The signals that ask for an end, caught from its creation on.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts to catch them. Needs a Tokio runtime.
    pub fn catch() -> Result<Self, Problem> {
        let caught = |kind| {
            signal(kind).map_err(|error| Problem::new(format!("can't catch signals: {error}")))
        };
        Ok(Self {
            interrupt: caught(SignalKind::interrupt())?,
            terminate: caught(SignalKind::terminate())?,
        })
    }

    /// Waits for one.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Ends the process at once when another one comes: whoever asks twice does not want to wait.
    pub fn end_at_once_from_now_on(mut self) {
        tokio::spawn(async move {
            self.wait().await;
            std::process::exit(INTERRUPTED);
        });
    }
}
