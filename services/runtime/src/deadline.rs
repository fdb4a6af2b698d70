//! The caller's deadline, from the `grpc-timeout` header: services pass the time that is left on to those they call.

use std::time::{Duration, Instant};

use http::HeaderMap;

tokio::task_local! {
    static CURRENT: Deadline;
}

/// When the caller stops waiting; a request extension on every call, and known to what runs in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadline(pub Option<Instant>);

impl Deadline {
    /// The deadline of a request that the server took in.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().copied().unwrap_or_default()
    }

    /// The deadline of the call in which this runs; none outside a call, and in tasks that a call starts.
    pub fn current() -> Self {
        CURRENT.try_with(|deadline| *deadline).unwrap_or_default()
    }

    /// Runs work as part of a call with this deadline.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// Whether nobody waits any longer.
    pub fn has_passed(&self) -> bool {
        self.0.is_some_and(|at| at <= Instant::now())
    }

    /// The time that is left, at most `limit`.
    pub fn remaining(&self, limit: Duration) -> Duration {
        match self.0 {
            None => limit,
            Some(at) => limit.min(at.saturating_duration_since(Instant::now())),
        }
    }

    /// A header that makes no sense is no deadline, as in tonic itself.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Self {
        let timeout = headers
            .get("grpc-timeout")
            .and_then(|value| value.to_str().ok())
            .and_then(parse);
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }
}

/// At most eight digits and a unit: `100m` is 100 milliseconds.
fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_as_the_grpc_specification_says() {
        assert_eq!(parse("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse("1S"), Some(Duration::from_secs(1)));
        assert_eq!(parse("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for wrong in ["", "5", "m", "-1S", "1.5S", "123456789S", "5x", "5秒"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_remains_shrinks_to_nothing() {
        let past = Deadline(Some(Instant::now()));
        assert!(past.has_passed());
        assert_eq!(past.remaining(Duration::from_secs(1)), Duration::ZERO);
        assert!(!Deadline(None).has_passed());
        assert_eq!(
            Deadline(None).remaining(Duration::from_secs(1)),
            Duration::from_secs(1)
        );
    }
}
