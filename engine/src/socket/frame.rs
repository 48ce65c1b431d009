//! Frames: four bytes of length, little-endian, and then as many of JSON.
//!
//! Neither side believes a length before it has looked at its limit, and memory grows with what has come and not with
//! what was announced.

use std::{io, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
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

/// The next message; `first` is how long its first byte may take.
pub(super) async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    bytes_max: u32,
    first: Option<Duration>,
) -> Result<T, Problem> {
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
        let mut bytes = Vec::new();
        stream.take(u64::from(length)).read_to_end(&mut bytes).await.map_err(Problem::Gone)?;
        if bytes.len() < length as usize {
            return Err(Problem::Gone(io::ErrorKind::UnexpectedEof.into()));
        }
        serde_json::from_slice(&bytes).map_err(|error| Problem::Bad(error.to_string()))
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
