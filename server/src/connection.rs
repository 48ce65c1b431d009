//! How many connections there are at most, and how slowly a client may read.
//!
//! A connection costs memory and a file of the process before the server knows the caller. One that is above the limit is told
//! so and closed, and one whose client does not read its answers is cut off, so that the others are served on.

use std::{
    future::{Ready, ready},
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready as ready_of},
    time::Duration,
};

use axum_server::accept::Accept;
use futures_util::future::{BoxFuture, Either};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::{
    pace::Pace,
    problem::{MEDIA_TYPE, Problem},
    refused::Refused,
};

/// The seconds of a client that reads. It may be a person who stopped the program that shows a stream for a moment.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// How long a client that was refused may take to send its request and to read why. The system breaks a connection off that is
/// closed before all was read that comes on it, and the client would not see the answer.
const LEAVING_WAIT: Duration = Duration::from_secs(1);

/// Clients that are waited for after they were refused, at most; each costs a file of the process. Others are closed at once.
const LEAVING_MAX: usize = 64;

/// How often the log tells the same about connections at most: a client could fill the disk with it.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Accepts connections while there are places for them.
#[derive(Clone, Debug)]
pub(crate) struct Bounded {
    places: Arc<Semaphore>,
    /// What a client is told for which there is no place, as HTTP; nothing where it would not be understood.
    refusal: Arc<[u8]>,
    /// Places for clients that were refused and read why.
    leaving: Arc<Semaphore>,
    told: Arc<Told>,
}

/// A connection that has a place and is read by its client.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    pace: Pace,
    /// Free again when the connection is gone.
    _place: OwnedSemaphorePermit,
}

/// When the log was last told of something that clients can bring about, and how often it happened since.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<(Option<Instant>, u64)>);

impl Bounded {
    pub(crate) fn new(connections_max: usize, is_encrypted: bool) -> Self {
        let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        let refusal = if is_encrypted { Vec::new() } else { refusal() };
        let leaving = Arc::new(Semaphore::new(LEAVING_MAX));
        Self { places, refusal: refusal.into(), leaving, told: Arc::default() }
    }

    /// Tells a client that there is no place, and waits a moment until the client has gone.
    async fn refuse(self, mut stream: TcpStream) -> io::Error {
        if let Some(n_times) = self.told.tell(Instant::now()) {
            tracing::warn!(n_times, "a connection was refused: the server has as many as it may have");
        }
        if let (false, Ok(_place)) = (self.refusal.is_empty(), self.leaving.try_acquire()) {
            let told = timeout(LEAVING_WAIT, async {
                stream.write_all(&self.refusal).await?;
                stream.shutdown().await?;
                let mut part = [0; 1024];
                while stream.read(&mut part).await? > 0 {}
                io::Result::Ok(())
            });
            if let Ok(Err(error)) = told.await {
                tracing::debug!(%error, "a client was refused and could not be told");
            }
        }
        io::Error::other("the server has as many connections as it may have")
    }
}

/// The answer to a client for which there is no place.
fn refusal() -> Vec<u8> {
    let problem = Problem::from(Refused::Crowded);
    let (status, document) = (problem.status(), problem.document(""));
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
        document.len()
    );
    [head.into_bytes(), document].concat()
}

impl<S: Send + 'static> Accept<TcpStream, S> for Bounded {
    type Stream = Connection;
    type Service = S;
    type Future = Either<Ready<io::Result<(Connection, S)>>, BoxFuture<'static, io::Result<(Connection, S)>>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => {
                // What is sent in small pieces, as the items of a stream, would wait for the client to acknowledge the piece before,
                // which takes the client 40 ms.
                if let Err(error) = stream.set_nodelay(true) {
                    return Either::Left(ready(Err(error)));
                }
                let connection = Connection { stream, pace: Pace::new(ANSWER_WAIT), _place: place };
                Either::Left(ready(Ok((connection, service))))
            }
            Err(_) => {
                let refused = self.clone().refuse(stream);
                Either::Right(Box::pin(async { Err(refused.await) }))
            }
        }
    }
}

impl Told {
    /// Counts, and returns how often it happened since the last time if the log may be told again.
    pub(crate) fn tell(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, n_times) = &mut *told;
        *n_times += 1;
        if last.is_some_and(|last| now.duration_since(last) < TELL_EVERY) {
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(n_times))
    }
}

impl Connection {
    /// What a write came to; an error if the client is too slow.
    fn written(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.pace.moved(*written.as_ref().unwrap_or(&0));
            return Poll::Ready(written);
        }
        ready_of!(self.pace.poll_wait(context));
        tracing::debug!("a client was cut off: it reads too slowly");
        // The system would keep what was not read for minutes.
        let reset = self.stream.set_zero_linger();
        Poll::Ready(reset.and(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads too slowly"))))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn a_place_is_free_again_after_its_connection_and_one_too_many_is_told() {
        let bounded = Bounded::new(1, false);
        let (_first_client, first) = pair().await;
        let (first, ()) = bounded.accept(first, ()).await.unwrap();
        let (mut client, second) = pair().await;
        // A client that sends its request when the answer is there already still reads all of it.
        let told = async {
            let mut told = vec![0];
            client.read_exact(&mut told).await.unwrap();
            client.write_all(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            client.read_to_end(&mut told).await.unwrap();
            drop(client);
            String::from_utf8(told).unwrap()
        };
        let (refused, told) = tokio::join!(bounded.accept(second, ()), told);
        assert!(refused.is_err());
        assert!(told.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && told.contains("SRV0024"), "{told}");
        drop(first);
        let (_third_client, third) = pair().await;
        bounded.accept(third, ()).await.unwrap();
    }

    #[tokio::test]
    async fn small_pieces_are_sent_at_once() {
        let (_client, accepted) = pair().await;
        let (connection, ()) = Bounded::new(1, false).accept(accepted, ()).await.unwrap();
        assert!(connection.stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_client_that_does_not_speak_without_encryption_is_told_nothing() {
        let bounded = Bounded::new(0, true);
        let (mut client, refused) = pair().await;
        assert!(bounded.accept(refused, ()).await.is_err());
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, b"");
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_cut_off() {
        let (client, accepted) = pair().await;
        let (mut connection, ()) = Bounded::new(1, false).accept(accepted, ()).await.unwrap();
        connection.pace = Pace::new(Duration::from_millis(10));
        let part = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = connection.write_all(&part).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop((connection, client));
    }

    #[test]
    fn the_log_is_told_once_a_minute() {
        let (told, now) = (Told::default(), Instant::now());
        let first: Vec<Option<u64>> = (0..3).map(|_| told.tell(now)).collect();
        assert_eq!(first, [Some(1), None, None]);
        assert_eq!(told.tell(now + TELL_EVERY), Some(3));
    }
}
