//! How long a client may keep the server waiting while bytes move between them.
//!
//! A client begins with some seconds. Waiting uses them up, and bytes that have moved give them back, never more than there were
//! at the beginning. So a client that moves nothing is given up after those seconds, and one that moves little by little is
//! given up too, however many bytes it moved before.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep_until};

/// The bytes that give a second back. The slowest networks of today are faster.
const BYTES_PER_SECOND: u64 = 16 * 1024;

/// The seconds of a client that sends a body.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Bytes of a part of a body at least, but for the last one.
const PART: usize = 16 * 1024;

/// The time for which a client may still keep the server waiting.
#[derive(Debug)]
pub(crate) struct Pace {
    left: Duration,
    most: Duration,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl Pace {
    pub(crate) fn new(most: Duration) -> Self {
        Self { left: most, most, waiting: None }
    }

    /// Waits on, or begins to wait. Ready if the client is too slow.
    pub(crate) fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let waiting = self.waiting.get_or_insert_with(|| {
            let since = Instant::now();
            Waiting { since, end: Box::pin(sleep_until(since + self.left)) }
        });
        waiting.end.as_mut().poll(context)
    }

    /// So many bytes have moved.
    pub(crate) fn moved(&mut self, n_bytes: usize) {
        let Some(Waiting { since, .. }) = self.waiting.take() else { return };
        self.left = left_after(self.left, self.most, since.elapsed(), n_bytes);
    }
}

fn left_after(left: Duration, most: Duration, waited: Duration, n_bytes: usize) -> Duration {
    let n_bytes = u64::try_from(n_bytes).unwrap_or(u64::MAX);
    let given_back = Duration::from_micros(n_bytes.saturating_mul(1_000_000) / BYTES_PER_SECOND);
    left.saturating_sub(waited).saturating_add(given_back).min(most)
}

/// The same body, which fails if it arrives too slowly.
pub(crate) fn paced(body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::from_stream(Paced::new(body, Pace::new(BODY_WAIT)))
}

/// A body in parts of some size. A client that sends single bytes would fill the memory otherwise, as each piece that arrived keeps
/// the buffer of the connection in which it lies.
struct Paced {
    body: BodyDataStream,
    pace: Pace,
    /// What has arrived and is less than a part.
    held: Vec<u8>,
}

impl Paced {
    fn new(body: Body, pace: Pace) -> Self {
        Self { body: body.into_data_stream(), pace, held: Vec::new() }
    }

    /// The next part, if there is enough for one.
    fn gather(&mut self, arrived: Bytes) -> Option<Bytes> {
        if self.held.is_empty() && arrived.len() >= PART {
            return Some(arrived);
        }
        self.held.extend_from_slice(&arrived);
        (self.held.len() >= PART).then(|| Bytes::from(std::mem::take(&mut self.held)))
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.body.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(arrived))) => {
                    self.pace.moved(arrived.len());
                    if let Some(part) = self.gather(arrived) {
                        return Poll::Ready(Some(Ok(part)));
                    }
                }
                Poll::Ready(None) if !self.held.is_empty() => {
                    return Poll::Ready(Some(Ok(std::mem::take(&mut self.held).into())));
                }
                Poll::Ready(end) => return Poll::Ready(end),
                Poll::Pending => {
                    ready!(self.pace.poll_wait(context));
                    let slow = io::Error::new(io::ErrorKind::TimedOut, "it arrives too slowly");
                    return Poll::Ready(Some(Err(axum::Error::new(slow))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures_util::stream;

    use super::*;

    /// How many of these pieces a client gets through that lets the server wait so many seconds for each.
    fn n_moved(pieces: &[(u64, usize)]) -> usize {
        let mut left = BODY_WAIT;
        let moved = pieces.iter().take_while(|(seconds, n_bytes)| {
            let waited = Duration::from_secs(*seconds);
            let is_in_time = waited < left;
            left = left_after(left, BODY_WAIT, waited, *n_bytes);
            is_in_time
        });
        moved.count()
    }

    #[test]
    fn bytes_give_time_back_and_no_hours() {
        assert_eq!(n_moved(&[(9, 1)]), 1);
        assert_eq!(n_moved(&[(10, 1)]), 0);
        assert_eq!(n_moved(&[(1, 1); 20]), 10, "small pieces do not keep it alive");
        assert_eq!(n_moved(&[(1, 20_000); 1_000]), 1_000);
        assert_eq!(n_moved(&[(1, 10_000); 1_000]), 24);
        assert_eq!(n_moved(&[(1, 10 << 20), (10, 1)]), 1, "many bytes do not buy hours");
        assert_eq!(n_moved(&[(1, usize::MAX), (9, usize::MAX)]), 2);
    }

    #[tokio::test]
    async fn a_body_that_stops_fails_and_a_whole_one_does_not() {
        let part = || stream::iter([io::Result::Ok(Bytes::from("part"))]);
        let pace = || Pace::new(Duration::from_millis(10));
        let of = |body: Body| Body::from_stream(Paced::new(body, pace()));
        let whole = to_bytes(of(Body::from_stream(part())), 100).await.unwrap();
        assert_eq!(whole, "part");
        let bytes = stream::iter((0..50_000).map(|_| io::Result::Ok(Bytes::from("x"))));
        let parts: Vec<_> = of(Body::from_stream(bytes)).into_data_stream().collect().await;
        let n_bytes: Vec<usize> = parts.into_iter().map(|part| part.unwrap().len()).collect();
        assert_eq!(n_bytes, [PART, PART, PART, 50_000 - 3 * PART], "single bytes become parts");
        let stopped = to_bytes(of(Body::from_stream(part().chain(stream::pending()))), 100).await.unwrap_err();
        assert!(format!("{stopped:?}").contains("too slowly"), "{stopped:?}");
        assert_eq!(to_bytes(paced(Body::empty()), 100).await.unwrap(), "");
    }
}
