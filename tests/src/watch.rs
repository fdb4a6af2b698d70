//! Reading streams that go on for ever.

use tonic::Streaming;

use crate::PATIENCE;

/// The next messages of a stream.
pub async fn heard<T>(messages: &mut Streaming<T>, count: usize) -> Vec<T> {
    let mut heard = Vec::with_capacity(count);
    while heard.len() < count {
        let next = tokio::time::timeout(PATIENCE, messages.message()).await;
        heard.push(next.expect("nothing is heard").unwrap().unwrap());
    }
    heard
}
