//! Connections that write the answers of many calls at once.
//!
//! Calls that are answered together, as those of one commit are, would each cost a system call, for an HTTP/2 connection writes as soon
//! as it has one frame. Here it first lets the tasks run that are ready, and so finds their frames too.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// Writes of this size and more do not wait: nothing is won.
const LARGE: usize = 8 << 10;

/// A connection whose small writes wait for one round of the scheduler. It is not vectored, so that h2 copies small frames next to
/// each other.
#[derive(Debug)]
pub struct Gathered<T> {
    io: T,
    has_waited: bool,
}

impl<T> Gathered<T> {
    /// Wraps a connection.
    pub fn new(io: T) -> Self {
        Self {
            io,
            has_waited: false,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gathered<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.has_waited && bytes.len() < LARGE {
            self.has_waited = true;
            // Goes to the end of the queue, behind all that can add to this write.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        self.has_waited = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gathered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: Connected> Connected for Gathered<T> {
    type ConnectInfo = T::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Keeps what each write brought.
    #[derive(Default)]
    struct Written(Vec<usize>);

    impl AsyncWrite for Written {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.len());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Writes `bytes` and tells which of two tasks that are ready at the same time came first.
    async fn order(bytes: usize) -> (Vec<&'static str>, Vec<usize>) {
        let order = Arc::new(Mutex::new(Vec::new()));
        let (mine, theirs) = (order.clone(), order.clone());
        let writer = async move {
            let mut connection = Gathered::new(Written::default());
            connection.write_all(&vec![0; bytes]).await.unwrap();
            mine.lock().unwrap().push("write");
            connection.flush().await.unwrap();
            connection.io.0
        };
        let other = async move { theirs.lock().unwrap().push("other") };
        let (writer, other) = (tokio::spawn(writer), tokio::spawn(other));
        other.await.unwrap();
        let written = writer.await.unwrap();
        let order = order.lock().unwrap().clone();
        (order, written)
    }

    #[tokio::test]
    async fn a_small_write_lets_others_run_first() {
        assert_eq!(order(100).await, (vec!["other", "write"], vec![100]));
    }

    #[tokio::test]
    async fn a_large_write_does_not_wait() {
        assert_eq!(order(LARGE).await, (vec!["write", "other"], vec![LARGE]));
    }
}
