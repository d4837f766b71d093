//! What nobody read of a request's body: taken from the client and dropped once the answer is on its way.
//!
//! A client that is still sending does not read. If its connection were closed the moment it is refused, it would see
//! a broken pipe instead of the reason. So the rest is read, up to a size and a time no honest upload needs. It is not
//! asked for before the answer is sent: a client that waits for leave to send (`Expect: 100-continue`) gets none then.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;

/// How much is read and dropped.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_bytes: usize,
    max_time: Duration,
}

impl Limits {
    const USUAL: Self = Self { max_bytes: 512 * 1024 * 1024, max_time: Duration::from_secs(30) };
}

/// A place for the body of one request, should it be let go before its end.
#[derive(Debug)]
pub(super) struct Leftover<B>(Arc<Mutex<Option<B>>>);

impl<B> Clone for Leftover<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> Default for Leftover<B> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<B> Leftover<B> {
    /// Keeps a body until the answer is sent.
    pub(super) fn keep(&self, body: B) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }

    fn take(&self) -> Option<B> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The body of an answer. When it has been sent, what is left of the request is dealt with.
#[derive(Debug)]
pub(super) struct Answer<R, B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    inner: R,
    leftover: Leftover<B>,
}

impl<R, B> Answer<R, B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    /// `inner`, in answer to the request with this leftover.
    pub(super) fn new(inner: R, leftover: Leftover<B>) -> Self {
        Self { inner, leftover }
    }
}

impl<R, B> Default for Answer<R, B>
where
    R: Default,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    /// An answer to a request nothing is left of.
    fn default() -> Self {
        Self::new(R::default(), Leftover::default())
    }
}

impl<R, B> Body for Answer<R, B>
where
    R: Body + Unpin,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<R, B> Drop for Answer<R, B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        let body = self.leftover.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (body, Handle::try_current()) {
            runtime.spawn(drop_rest(body, Limits::USUAL));
        }
    }
}

/// Reads `body` to its end or its limits. Dropped before its end, it takes the connection with it.
async fn drop_rest<B>(mut body: B, limits: Limits)
where
    B: Body<Data = Bytes> + Unpin,
{
    let read = async {
        let mut read_bytes = 0;
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            read_bytes += frame.data_ref().map_or(0, Bytes::len);
            if read_bytes > limits.max_bytes {
                return;
            }
        }
    };
    if tokio::time::timeout(limits.max_time, read).await.is_err() {
        tracing::debug!("a client goes on sending what it was told not to");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::convert::Infallible;

    /// A body that sends as many KiB as are left, and then nothing.
    struct Kibibytes(usize);

    impl Body for Kibibytes {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.0 == 0 {
                return Poll::Pending;
            }
            self.0 -= 1;
            Poll::Ready(Some(Ok(Frame::data(vec![0; 1024].into()))))
        }
    }

    #[tokio::test]
    async fn what_is_read_is_bounded() {
        let long = Duration::from_secs(3600);
        let mut large = Kibibytes(100);
        drop_rest(&mut large, Limits { max_bytes: 10 * 1024, max_time: long }).await;
        assert_eq!(large.0, 89, "one piece beyond the limit tells that it is passed");
        let mut silent = Kibibytes(5);
        drop_rest(&mut silent, Limits { max_bytes: usize::MAX, max_time: Duration::from_millis(20) }).await;
        assert_eq!(silent.0, 0);
    }
}
