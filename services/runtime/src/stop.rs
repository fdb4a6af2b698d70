//! The server's stop, for calls that would not end by themselves.

use tokio_util::sync::CancellationToken;

/// Is cancelled when the server is to end; a request extension on every call. Whoever streams without end, ends on it.
#[derive(Debug, Clone, Default)]
pub struct Stop(pub CancellationToken);

impl Stop {
    /// The stop of the server that took the request in.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }
}
