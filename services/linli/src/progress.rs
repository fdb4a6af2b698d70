//! How far a replay has come, on stderr: one line that rewrites itself on a terminal, a line now and then elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

const REWRITE_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of one programme.
pub struct Progress {
    title: String,
    total: usize,
    rewrites: bool,
    hidden: bool,
    shown: Option<Instant>,
}

impl Progress {
    /// Starts with nothing done.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            total: 0,
            rewrites: io::stderr().is_terminal(),
            hidden: false,
            shown: None,
        }
    }

    /// One that nobody wants to see.
    pub fn hidden() -> Self {
        let mut hidden = Self::new("");
        (hidden.rewrites, hidden.hidden) = (false, true);
        hidden
    }

    /// Says what is going on before or after the events.
    pub fn stage(&mut self, what: &str) {
        self.show(&format!("{}: {what}", self.title));
    }

    /// Says how many events there are.
    pub fn expect(&mut self, total: usize) {
        self.total = total;
    }

    /// Says that `done` events have been applied, the last one at `at`.
    pub fn advance(&mut self, done: usize, at: DateTime<Utc>) {
        let pause = if self.rewrites {
            REWRITE_EVERY
        } else {
            LINE_EVERY
        };
        if self.shown.is_some_and(|shown| shown.elapsed() < pause) {
            return;
        }
        let percent = done * 100 / self.total.max(1);
        self.show(&format!(
            "{}: {percent:3} %  {done} of {} events  {}",
            self.title,
            self.total,
            at.format("%Y-%m-%d")
        ));
    }

    /// Leaves the terminal as it was.
    pub fn finish(&mut self) {
        if self.rewrites {
            write(b"\r\x1b[2K");
        }
    }

    fn show(&mut self, line: &str) {
        self.shown = Some(Instant::now());
        if self.hidden {
            return;
        }
        if self.rewrites {
            write(format!("\r\x1b[2K{line}").as_bytes());
        } else {
            write(format!("{line}\n").as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Progress that nobody can read is no failure.
fn write(bytes: &[u8]) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(bytes).and_then(|()| err.flush());
}
