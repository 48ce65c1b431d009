//! Frames: four bytes of length, little-endian, and then as many of JSON.
//!
//! Neither side believes a length before it has looked at its limit, and memory grows with what has come and not with
//! what was announced. An engine keeps what is long on the disk until it is whole.

use std::{io, time::Duration};

use cloacina_workflow::payload::check_exact;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::SemaphorePermit,
    time::timeout,
};

use super::spool::{CHUNK_BYTES, Spool, SpoolError};
use crate::RegistryError;

/// How long a frame, or each chunk of a long one, may take from its first byte to its last, and an answer to be taken. Both
/// ends are on one machine; who is slower than this hangs.
pub(super) const FRAME_WAIT: Duration = Duration::from_secs(10);

/// Why there is no message.
#[derive(Debug)]
pub(super) enum Problem {
    /// The other side has gone, between two frames or within one.
    Gone(io::Error),
    /// The bytes are not a message.
    Bad(String),
    /// Too much is on its way.
    Crowded,
    /// What came could not be kept.
    Disk(RegistryError),
}

impl From<SpoolError> for Problem {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Full => Self::Crowded,
            SpoolError::Disk(error) => Self::Disk(error),
        }
    }
}

/// A message of at most so many bytes is in memory while it comes in: all that asks for something without a large input.
const SHORT_BYTES: u32 = 64 * 1024;

/// The next message, in memory while it comes in; `first` is how long its first byte may take.
pub(super) async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    bytes_max: u32,
    first: Option<Duration>,
) -> Result<T, Problem> {
    let length = read_length(stream, bytes_max, first).await?;
    decode(&read_bytes(stream, length).await?)
}

/// As [`read`], for an engine: a long message is kept on the disk until it is whole. The permit is for its time in memory.
pub(super) async fn read_spooled<'a, T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    bytes_max: u32,
    first: Option<Duration>,
    spool: &'a Spool,
) -> Result<(T, Option<SemaphorePermit<'a>>), Problem> {
    let length = read_length(stream, bytes_max, first).await?;
    if length <= SHORT_BYTES {
        return Ok((decode(&read_bytes(stream, length).await?)?, None));
    }
    let mut spooled = spool.begin().await?;
    while spooled.n_bytes() < u64::from(length) {
        let left = u64::from(length) - spooled.n_bytes();
        let chunk = u32::try_from(left.min(CHUNK_BYTES as u64)).unwrap_or(SHORT_BYTES);
        spooled = spool.add(spooled, read_bytes(stream, chunk).await?).await?;
    }
    let permit = timeout(FRAME_WAIT, spool.room()).await.map_err(|_| Problem::Crowded)?;
    let bytes = spooled.read().await.map_err(SpoolError::Disk)?;
    Ok((decode(&bytes)?, permit))
}

async fn read_length(
    stream: &mut (impl AsyncRead + Unpin),
    bytes_max: u32,
    first: Option<Duration>,
) -> Result<u32, Problem> {
    let mut length = [0; 4];
    let begun = stream.read_exact(&mut length[..1]);
    match first {
        None => begun.await.map_err(Problem::Gone)?,
        Some(wait) => timeout(wait, begun).await.map_err(|_| late())?.map_err(Problem::Gone)?,
    };
    let rest = stream.read_exact(&mut length[1..]);
    timeout(FRAME_WAIT, rest).await.map_err(|_| late())?.map_err(Problem::Gone)?;
    let length = u32::from_le_bytes(length);
    if length > bytes_max {
        return Err(Problem::Bad(format!("it has {length} bytes, at most {bytes_max} are read")));
    }
    Ok(length)
}

/// As many bytes as were announced; memory grows with what comes.
pub(super) async fn read_bytes(stream: &mut (impl AsyncRead + Unpin), length: u32) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut announced = stream.take(u64::from(length));
    let read = timeout(FRAME_WAIT, announced.read_to_end(&mut bytes)).await;
    read.map_err(|_| late())?.map_err(Problem::Gone)?;
    if bytes.len() < length as usize {
        return Err(Problem::Gone(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let message = serde_json::from_slice(bytes).map_err(|error| Problem::Bad(error.to_string()))?;
    // What reads as JSON is UTF-8.
    let text = str::from_utf8(bytes).map_err(|error| Problem::Bad(error.to_string()))?;
    check_exact(text).map_err(|inexact| Problem::Bad(inexact.to_string()))?;
    Ok(message)
}

/// Sends bytes that a message has announced.
pub(super) async fn write_bytes(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Problem> {
    let sent = timeout(FRAME_WAIT, stream.write_all(bytes)).await;
    sent.map_err(|_| late())?.map_err(Problem::Gone)
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

pub(super) fn late() -> Problem {
    Problem::Gone(io::ErrorKind::TimedOut.into())
}
