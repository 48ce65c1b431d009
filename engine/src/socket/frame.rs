//! Frames: four bytes, little-endian, and then a body. The highest bit says what the body is, JSON or plain bytes, and the
//! other bits how many bytes it has.
//!
//! Neither side believes a length before it has compared it with its limit, and memory grows with what has come and not
//! with what was announced. An engine keeps what is long on the disk until it is whole. The frame of a hello is JSON and
//! stays what it is in every version.

use std::{future::poll_fn, io, pin::Pin, time::Duration};

use cloacina_workflow::payload::check_exact;
use futures_core::Stream;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::SemaphorePermit,
    time::timeout,
};
use tokio_util::{
    bytes::{Buf, BufMut, BytesMut},
    codec::{Decoder, Encoder, FramedRead},
};

use super::spool::{CHUNK_BYTES, Spool, SpoolError};
use crate::RegistryError;

/// How long a frame, or each chunk of a long one, may take from its first byte to its last, and an answer to be taken. Both
/// ends are on one machine; a side that is slower than this hangs.
pub(super) const FRAME_WAIT: Duration = Duration::from_secs(10);

/// A message of at most so many bytes is in memory while it comes in: all that asks for something without a large input.
const SHORT_BYTES: u32 = 64 * 1024;

/// Set in the head of a frame whose body is not JSON. No body is so long that its length would need the bit.
const IS_BYTES: u32 = 1 << 31;

/// How many bytes the head of a frame has.
const HEAD_BYTES: usize = 4;

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

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

/// What an engine was sent.
pub(super) enum Received<'a, T> {
    /// The permit is for the time in which a long message is in memory.
    Message(T, Option<SemaphorePermit<'a>>),
    /// Plain bytes, at most a chunk.
    Bytes(Vec<u8>),
}

/// The frames that come in on a connection.
#[derive(Debug)]
pub(super) struct Incoming<R> {
    frames: FramedRead<R, Codec>,
}

/// Takes frames apart, piece by piece, and puts them together.
#[derive(Debug, Default)]
struct Codec {
    /// The longest JSON that is read.
    bytes_max: u32,
    /// Bytes of a body that have not come.
    n_left: u32,
    has_begun: bool,
}

/// A piece of a frame.
enum Piece {
    /// The first byte is there.
    Begun,
    Head {
        is_bytes: bool,
        length: u32,
    },
    /// What comes next of the body, at most a chunk.
    Body(BytesMut),
}

impl Decoder for Codec {
    type Item = Piece;
    type Error = Problem;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Piece>, Problem> {
        if self.n_left > 0 {
            let wanted = (self.n_left as usize).min(CHUNK_BYTES);
            if source.len() < wanted {
                return Ok(None);
            }
            let body = source.split_to(wanted);
            // A chunk is no longer than what is left.
            self.n_left -= u32::try_from(wanted).unwrap_or(self.n_left);
            return Ok(Some(Piece::Body(body)));
        }
        if !self.has_begun {
            self.has_begun = !source.is_empty();
            return Ok(self.has_begun.then_some(Piece::Begun));
        }
        if source.len() < HEAD_BYTES {
            return Ok(None);
        }
        let head = source.get_u32_le();
        let (is_bytes, length) = (head & IS_BYTES != 0, head & !IS_BYTES);
        let bytes_max = if is_bytes { self.bytes_max.min(CHUNK_MAX) } else { self.bytes_max };
        if length > bytes_max {
            return Err(Problem::Bad(format!("it has {length} bytes, at most {bytes_max} are read")));
        }
        (self.has_begun, self.n_left) = (false, length);
        Ok(Some(Piece::Head { is_bytes, length }))
    }
}

/// The longest frame of plain bytes.
const CHUNK_MAX: u32 = CHUNK_BYTES as u32;

/// A frame that goes out.
enum Outgoing<'a, T> {
    Message(&'a T),
    Bytes(&'a [u8]),
}

impl<T: Serialize> Encoder<Outgoing<'_, T>> for Codec {
    type Error = Problem;

    fn encode(&mut self, frame: Outgoing<'_, T>, target: &mut BytesMut) -> Result<(), Problem> {
        let begin = target.len();
        target.put_u32_le(0);
        let flag = match frame {
            Outgoing::Message(message) => {
                let written = serde_json::to_writer((&mut *target).writer(), message);
                written.map_err(|error| Problem::Bad(error.to_string()))?;
                0
            }
            Outgoing::Bytes(bytes) => {
                target.put_slice(bytes);
                IS_BYTES
            }
        };
        let n_bytes = target.len() - begin - HEAD_BYTES;
        let length = u32::try_from(n_bytes).ok().filter(|length| *length <= self.bytes_max);
        let Some(length) = length else {
            return Err(Problem::Bad(format!("it has {n_bytes} bytes, at most {} are sent", self.bytes_max)));
        };
        target[begin..begin + HEAD_BYTES].copy_from_slice(&(length | flag).to_le_bytes());
        Ok(())
    }
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { frames: FramedRead::new(reader, Codec::default()) }
    }

    /// What comes in as bytes, whatever it is. Nothing can be read from it as frames afterwards.
    pub(super) fn raw(&mut self) -> &mut R {
        self.frames.get_mut()
    }

    /// The next message, in memory while it comes in; `first` is how long its first byte may take.
    pub(super) async fn message<T: DeserializeOwned>(
        &mut self,
        bytes_max: u32,
        first: Option<Duration>,
    ) -> Result<T, Problem> {
        match self.head(bytes_max, first).await? {
            (false, length) => decode(&self.body(length).await?),
            (true, _) => Err(Problem::Bad("it is not JSON".to_owned())),
        }
    }

    /// As [`Self::message`], for an engine: a long message is kept on the disk until it is whole, and plain bytes may come.
    pub(super) async fn received<'a, T: DeserializeOwned>(
        &mut self,
        bytes_max: u32,
        first: Option<Duration>,
        spool: &'a Spool,
    ) -> Result<Received<'a, T>, Problem> {
        let (is_bytes, length) = self.head(bytes_max, first).await?;
        if is_bytes {
            return Ok(Received::Bytes(self.body(length).await?));
        }
        if length <= SHORT_BYTES {
            return Ok(Received::Message(decode(&self.body(length).await?)?, None));
        }
        let mut spooled = spool.begin().await?;
        while spooled.n_bytes() < u64::from(length) {
            spooled = spool.add(spooled, self.chunk().await?.to_vec()).await?;
        }
        let permit = timeout(FRAME_WAIT, spool.room()).await.map_err(|_| Problem::Crowded)?;
        let bytes = spooled.read().await.map_err(SpoolError::Disk)?;
        Ok(Received::Message(decode(&bytes)?, permit))
    }

    /// Waits for the other side's end, as it has nothing to say now. May be dropped before it is ready.
    pub(super) async fn end(&mut self) -> Problem {
        match self.piece(None).await {
            Ok(_) => Problem::Bad("it sent a request before the last one was answered".to_owned()),
            Err(problem) => problem,
        }
    }

    /// What the next frame is, and how long.
    async fn head(&mut self, bytes_max: u32, first: Option<Duration>) -> Result<(bool, u32), Problem> {
        self.frames.decoder_mut().bytes_max = bytes_max;
        let mut wait = first;
        loop {
            match self.piece(wait).await? {
                Piece::Begun => wait = Some(FRAME_WAIT),
                Piece::Head { is_bytes, length } => return Ok((is_bytes, length)),
                Piece::Body(_) => return Err(out_of_order()),
            }
        }
    }

    /// A whole body of that length.
    async fn body(&mut self, length: u32) -> Result<Vec<u8>, Problem> {
        let mut body = Vec::new();
        while body.len() < length as usize {
            body.extend_from_slice(&self.chunk().await?);
        }
        Ok(body)
    }

    async fn chunk(&mut self) -> Result<BytesMut, Problem> {
        match self.piece(Some(FRAME_WAIT)).await? {
            Piece::Body(chunk) => Ok(chunk),
            Piece::Begun | Piece::Head { .. } => Err(out_of_order()),
        }
    }

    async fn piece(&mut self, wait: Option<Duration>) -> Result<Piece, Problem> {
        let next = poll_fn(|context| Pin::new(&mut self.frames).poll_next(context));
        let piece = match wait {
            None => next.await,
            Some(wait) => timeout(wait, next).await.map_err(|_| late())?,
        };
        piece.unwrap_or_else(|| Err(Problem::Gone(io::ErrorKind::UnexpectedEof.into())))
    }
}

/// A frame is read to its end before the next one.
fn out_of_order() -> Problem {
    Problem::Bad("a frame was not read to its end".to_owned())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let message = serde_json::from_slice(bytes).map_err(|error| Problem::Bad(error.to_string()))?;
    // What reads as JSON is UTF-8.
    let text = str::from_utf8(bytes).map_err(|error| Problem::Bad(error.to_string()))?;
    check_exact(text).map_err(|inexact| Problem::Bad(inexact.to_string()))?;
    Ok(message)
}

/// Sends plain bytes, at most a chunk.
pub(super) async fn write_bytes(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Problem> {
    send(stream, Outgoing::<()>::Bytes(bytes), CHUNK_MAX).await
}

/// Sends a message.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
    bytes_max: u32,
) -> Result<(), Problem> {
    send(stream, Outgoing::Message(message), bytes_max).await
}

async fn send<T: Serialize>(
    stream: &mut (impl AsyncWrite + Unpin),
    frame: Outgoing<'_, T>,
    bytes_max: u32,
) -> Result<(), Problem> {
    let mut bytes = BytesMut::new();
    Codec { bytes_max, ..Codec::default() }.encode(frame, &mut bytes)?;
    let sent = async {
        stream.write_all_buf(&mut bytes).await?;
        stream.flush().await
    };
    timeout(FRAME_WAIT, sent).await.map_err(|_| late())?.map_err(Problem::Gone)
}

pub(super) fn late() -> Problem {
    Problem::Gone(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the codec makes of bytes that come in pieces of that size: `b` for a beginning, then heads and bodies.
    fn pieces(bytes: &[u8], size: usize) -> (String, Codec, usize) {
        let (mut codec, mut source) = (Codec { bytes_max: 1 << 20, ..Codec::default() }, BytesMut::new());
        let (mut shown, mut capacity) = (String::new(), 0);
        for part in bytes.chunks(size) {
            source.extend_from_slice(part);
            loop {
                match codec.decode(&mut source) {
                    Ok(Some(Piece::Begun)) => shown.push('b'),
                    Ok(Some(Piece::Head { is_bytes, length })) => shown.push_str(&format!(" {is_bytes} {length} ")),
                    Ok(Some(Piece::Body(body))) => shown.push_str(&String::from_utf8_lossy(&body)),
                    Ok(None) => break,
                    Err(problem) => {
                        shown.push_str(&format!("{problem:?}"));
                        return (shown, codec, capacity);
                    }
                }
            }
            capacity = capacity.max(source.capacity());
        }
        (shown, codec, capacity)
    }

    #[test]
    fn frames_come_apart_as_they_were_put_together_however_they_arrive() {
        let mut bytes = BytesMut::new();
        let mut codec = Codec { bytes_max: 100, ..Codec::default() };
        codec.encode(Outgoing::Message(&"ab"), &mut bytes).unwrap();
        codec.encode(Outgoing::<()>::Bytes(b"raw"), &mut bytes).unwrap();
        codec.encode(Outgoing::<()>::Bytes(b""), &mut bytes).unwrap();
        for size in [1, 2, 5, 100] {
            let (shown, codec, _) = pieces(&bytes, size);
            assert_eq!(shown, "b false 4 \"ab\"b true 3 rawb true 0 ");
            assert!(!codec.has_begun && codec.n_left == 0);
        }
        let long = codec.encode(Outgoing::Message(&"x".repeat(99)), &mut bytes);
        assert!(matches!(long, Err(Problem::Bad(_))), "{long:?}");
    }

    #[test]
    fn a_length_is_refused_before_anything_is_kept_for_it() {
        for head in [u32::MAX, 1 << 30, (1 << 20) + 1, IS_BYTES | (CHUNK_MAX + 1)] {
            let (shown, ..) = pieces(&head.to_le_bytes(), 4);
            assert!(shown.starts_with("bBad(\"it has ") && shown.contains("are read"), "{shown}");
        }
        // What was announced and has not come takes no memory.
        let (shown, _, capacity) = pieces(&(1_u32 << 20).to_le_bytes(), 4);
        assert_eq!(shown, "b false 1048576 ");
        assert!(capacity < 1024, "{capacity}");
    }
}
