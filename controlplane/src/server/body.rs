//! A body that has to come at a reasonable pace: whoever sends a byte now and then would hold a request for ever.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep};

/// Longest pause between two pieces.
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// Time a body gets whatever its size.
const GRACE: Duration = Duration::from_secs(30);
/// Slowest average pace, in bytes a second, beyond that.
const MIN_PACE: f64 = 4096.0;

/// Why a body is not read on.
#[derive(Debug, Error)]
pub(super) enum BodyError {
    /// It comes too slowly.
    #[error("the body comes too slowly")]
    TooSlow,
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

/// When something of a request arrived last.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// `B`, as long as it comes fast enough.
#[derive(Debug)]
pub(super) struct PacedBody<B> {
    inner: B,
    progress: Progress,
    /// When it was asked for first.
    started: Option<Instant>,
    received_bytes: usize,
    /// When patience ends; set while waiting.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<B> PacedBody<B> {
    pub(super) fn new(inner: B, progress: Progress) -> Self {
        Self { inner, progress, started: None, received_bytes: 0, deadline: None }
    }

    fn deadline(&self, started: Instant) -> Instant {
        let earned = Duration::from_secs_f64(self.received_bytes as f64 / MIN_PACE);
        (self.progress.last().max(started) + MAX_PAUSE).min(started + GRACE + earned)
    }
}

impl<B> Body for PacedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    BodyError: From<B::Error>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let started = *this.started.get_or_insert_with(Instant::now);
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                this.received_bytes += data.map_or(0, Bytes::len);
                this.progress.note(Instant::now());
                this.deadline = None;
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
            }
            Poll::Pending => {
                let ends = this.deadline(started);
                let deadline =
                    this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends)));
                deadline.as_mut().poll(cx).map(|()| Some(Err(BodyError::TooSlow)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::future::poll_fn;
    use tokio::sync::mpsc;

    /// A body whose pieces are sent by the test.
    struct Sent(mpsc::Receiver<Bytes>);

    impl Body for Sent {
        type Data = Bytes;
        type Error = hyper::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
            self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
        }
    }

    /// How long a body is read that sends `piece` every `pause`, `count` times, and whether it was read to its end.
    async fn read(piece: usize, pause: Duration, count: usize) -> (Duration, bool) {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..count {
                tokio::time::sleep(pause).await;
                if sender.send(vec![0; piece].into()).await.is_err() {
                    return;
                }
            }
        });
        let mut body = PacedBody::new(Sent(receiver), Progress::new());
        let start = Instant::now();
        loop {
            match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    assert!(matches!(error, BodyError::TooSlow));
                    return (start.elapsed(), false);
                }
                None => return (start.elapsed(), true),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn trickles_end_and_slow_lines_do_not() {
        let (trickled_for, is_whole) = read(1, Duration::from_secs(1), 100_000).await;
        assert!(!is_whole && trickled_for < GRACE + Duration::from_secs(2), "{trickled_for:?}");
        let (silent_for, is_whole) = read(1_000_000, Duration::from_secs(60), 2).await;
        assert!(!is_whole && silent_for < MAX_PAUSE + Duration::from_secs(1), "{silent_for:?}");
        let (_, is_whole) = read(8192, Duration::from_secs(1), 1000).await;
        assert!(is_whole, "64 kbit/s for a quarter of an hour is slow but honest");
    }
}
