//! A body that has to come at a reasonable pace: whoever sends a byte now and then would hold a request for ever.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep};

use super::leftover::Leftover;

/// How slow a body may be.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Longest pause between two pieces.
    max_pause: Duration,
    /// Time a body gets whatever its size.
    grace: Duration,
    /// Slowest average pace beyond that.
    min_bytes_per_s: f64,
}

impl Pace {
    /// 32 kbit/s, less than any line a camera or a browser is behind.
    const USUAL: Self =
        Self { max_pause: Duration::from_secs(20), grace: Duration::from_secs(30), min_bytes_per_s: 4096.0 };

    /// When patience ends with a body that began at `started` and came forth last at `last`.
    fn deadline(self, started: Instant, last: Instant, received_bytes: usize) -> Instant {
        let earned = Duration::from_secs_f64(received_bytes as f64 / self.min_bytes_per_s);
        (last + self.max_pause).min(started + self.grace + earned)
    }
}

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

    pub(super) fn note(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// `B`, as long as it comes fast enough. Let go before its end, it is left over.
#[derive(Debug)]
pub(super) struct PacedBody<B> {
    /// Nothing once it has ended or failed.
    inner: Option<B>,
    leftover: Leftover<B>,
    pace: Pace,
    progress: Progress,
    /// When it was asked for first.
    started: Option<Instant>,
    received_bytes: usize,
    /// When patience ends; set while waiting.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<B> PacedBody<B> {
    pub(super) fn new(inner: B, leftover: Leftover<B>) -> Self {
        Self {
            inner: Some(inner),
            leftover,
            pace: Pace::USUAL,
            progress: Progress::new(),
            started: None,
            received_bytes: 0,
            deadline: None,
        }
    }

    /// When something of it arrived last, while it is read.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl<B> Drop for PacedBody<B> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            self.leftover.keep(inner);
        }
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
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                if !matches!(frame, Some(Ok(_))) {
                    this.inner = None;
                }
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                this.received_bytes += data.map_or(0, Bytes::len);
                this.progress.note(Instant::now());
                this.deadline = None;
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
            }
            Poll::Pending => {
                let last = this.progress.last().max(started);
                let ends = this.pace.deadline(started, last, this.received_bytes);
                let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends)));
                deadline.as_mut().poll(cx).map(|()| Some(Err(BodyError::TooSlow)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
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

    /// Whether a body that sends `pieces`, each after `pause`, is read to its end.
    async fn is_read(pace: Pace, pieces: &[usize], pause: Duration) -> bool {
        let (sender, receiver) = mpsc::channel(1);
        let pieces: Vec<Bytes> = pieces.iter().map(|length| vec![0; *length].into()).collect();
        tokio::spawn(async move {
            for piece in pieces {
                tokio::time::sleep(pause).await;
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        let mut body = PacedBody::new(Sent(receiver), Leftover::default());
        body.pace = pace;
        loop {
            match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    assert!(matches!(error, BodyError::TooSlow));
                    return false;
                }
                None => return true,
            }
        }
    }

    #[tokio::test]
    async fn trickles_and_silence_end() {
        let ms = Duration::from_millis;
        let trickle = Pace { max_pause: ms(60_000), grace: ms(20), min_bytes_per_s: 1e6 };
        assert!(!is_read(trickle, &[1; 10_000], ms(1)).await);
        let silence = Pace { max_pause: ms(20), grace: ms(60_000), min_bytes_per_s: 1e6 };
        assert!(!is_read(silence, &[1_000_000], ms(60_000)).await);
        let honest = Pace { max_pause: ms(60_000), grace: ms(60_000), min_bytes_per_s: 1e6 };
        assert!(is_read(honest, &[60, 60, 60], ms(0)).await);
    }

    #[test]
    fn what_arrives_earns_time() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let deadline = |last_s: u32, bytes: usize| {
            Pace::USUAL.deadline(start, start + second * last_s, bytes).duration_since(start).as_secs()
        };
        assert_eq!(deadline(0, 0), 20, "nothing comes");
        assert_eq!(deadline(29, 29), 30, "a byte a second is not enough");
        assert_eq!(deadline(900, 900 * 8192), 920, "64 kbit/s for a quarter of an hour is slow but honest");
    }
}
