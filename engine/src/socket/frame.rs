//! Frames: four bytes of length, little-endian, and then as many of JSON.
//!
//! Neither side believes a length before it has looked at its limit, and memory grows with what has come and not with
//! what was announced. An engine bounds what large messages hold together by a [`Budget`].

use std::{io, time::Duration};

use cloacina_workflow::payload::check_exact;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// How long a frame may take from its first byte to its last, and an answer to be taken. Both ends are on one machine;
/// who is slower than this hangs.
pub(super) const FRAME_WAIT: Duration = Duration::from_secs(10);

/// Why there is no message.
#[derive(Debug)]
pub(super) enum Problem {
    /// The other side has gone, between two frames or within one.
    Gone(io::Error),
    /// What came is no message.
    Bad(String),
}

/// A message of at most so many bytes is read without asking; a part of an archive is half as long.
const FREE_BYTES: u32 = 4 * 1024 * 1024;

/// How many bytes large messages may hold together, from their announcement until they have been dealt with.
#[derive(Debug)]
pub(super) struct Budget {
    kibibytes: Semaphore,
}

/// The share of one message, given back when dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    _kibibytes: Option<SemaphorePermit<'a>>,
}

impl Budget {
    /// At least as much as one message may have, or that message would wait for ever.
    pub(super) fn new(bytes: u32) -> Self {
        Self { kibibytes: Semaphore::new((bytes / 1024) as usize) }
    }

    /// Waits until there is room for a message of that length. A client that announces one and does not send it has that
    /// room for [`FRAME_WAIT`] at most.
    async fn share(&self, length: u32) -> Share<'_> {
        match length > FREE_BYTES {
            // It is never closed.
            true => Share { _kibibytes: self.kibibytes.acquire_many(length / 1024).await.ok() },
            false => Share { _kibibytes: None },
        }
    }
}

/// The next message; `first` is how long its first byte may take.
pub(super) async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    bytes_max: u32,
    first: Option<Duration>,
) -> Result<T, Problem> {
    read_within(stream, bytes_max, first, &Budget::new(bytes_max)).await.map(|(message, _)| message)
}

/// As [`read`], for one of several whose messages share a budget.
pub(super) async fn read_within<'a, T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    bytes_max: u32,
    first: Option<Duration>,
    budget: &'a Budget,
) -> Result<(T, Share<'a>), Problem> {
    let mut length = [0; 4];
    let begun = stream.read_exact(&mut length[..1]);
    match first {
        None => begun.await.map_err(Problem::Gone)?,
        Some(wait) => timeout(wait, begun).await.map_err(|_| late())?.map_err(Problem::Gone)?,
    };
    let rest = async {
        stream.read_exact(&mut length[1..]).await.map_err(Problem::Gone)?;
        let length = u32::from_le_bytes(length);
        if length > bytes_max {
            return Err(Problem::Bad(format!("it has {length} bytes, at most {bytes_max} are read")));
        }
        let share = budget.share(length).await;
        let mut bytes = Vec::new();
        stream.take(u64::from(length)).read_to_end(&mut bytes).await.map_err(Problem::Gone)?;
        if bytes.len() < length as usize {
            return Err(Problem::Gone(io::ErrorKind::UnexpectedEof.into()));
        }
        let message = serde_json::from_slice(&bytes).map_err(|error| Problem::Bad(error.to_string()))?;
        // What reads as JSON is UTF-8.
        let text = str::from_utf8(&bytes).map_err(|error| Problem::Bad(error.to_string()))?;
        check_exact(text).map_err(|inexact| Problem::Bad(inexact.to_string()))?;
        Ok((message, share))
    };
    timeout(FRAME_WAIT, rest).await.map_err(|_| late())?
}

/// Sends a message.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
    bytes_max: u32,
) -> Result<(), Problem> {
    let bytes = serde_json::to_vec(message).map_err(|error| Problem::Bad(error.to_string()))?;
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= bytes_max);
    let Some(length) = length else {
        return Err(Problem::Bad(format!("it has {} bytes, at most {bytes_max} are sent", bytes.len())));
    };
    let sent = async {
        stream.write_all(&length.to_le_bytes()).await?;
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    timeout(FRAME_WAIT, sent).await.map_err(|_| late())?.map_err(Problem::Gone)
}

fn late() -> Problem {
    Problem::Gone(io::ErrorKind::TimedOut.into())
}
