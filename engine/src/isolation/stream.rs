//! Reads frames from a socket: one system call brings as many as have come.
//!
//! The buffer grows to the frame that is under way, which is bounded by its kind, and shrinks again after it.

use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    frame::{self, Bad, Direction, Frame, Taken},
    session,
};

/// What is read at once: some sixty tasks with contexts of a KiB.
const BUFFER_BYTES: usize = 64 << 10;

/// The reading end of a connection.
#[derive(Debug)]
pub(super) struct FrameReader {
    socket: UnixStream,
    direction: Direction,
    buffer: Vec<u8>,
    /// What of the buffer has come and was not taken yet.
    begin: usize,
    end: usize,
}

/// Why there are no more frames.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the connection ended")]
    Closed,
    #[error("the connection broke")]
    Io(#[source] io::Error),
    #[error(transparent)]
    Bad(#[from] Bad),
    #[error("the other side sent {what}")]
    Violation { what: String },
}

impl FrameReader {
    pub(super) fn new(socket: UnixStream, direction: Direction) -> Self {
        Self { socket, direction, buffer: vec![0; BUFFER_BYTES], begin: 0, end: 0 }
    }

    /// Ends this process at the latest so long after the connection has ended, whatever its other threads do.
    pub(super) fn guard(&self, after: Duration) -> io::Result<()> {
        let socket = self.socket.try_clone()?;
        thread::Builder::new().name("clcn-guard".to_owned()).spawn(move || {
            let wait = |polled: &mut [PollFd<'_>], at_most: Option<&Timespec>| {
                while poll(polled, at_most) == Err(Errno::INTR) {}
            };
            wait(&mut [PollFd::new(&socket, PollFlags::RDHUP)], None);
            let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
            wait(&mut [], Some(&Timespec { tv_sec: seconds, tv_nsec: 0 }));
            session::end(std::process::id());
            // In order it would wait for threads of the package.
            session::end_group(std::process::id());
        })?;
        Ok(())
    }

    /// The next frame. Blocks until it is there.
    pub(super) fn next(&mut self) -> Result<Frame<'_>, Broken> {
        loop {
            match frame::take(&self.buffer[self.begin..self.end], self.direction)? {
                // Taken again below, because the borrow would otherwise last to the end of the loop.
                Taken::Frame(_, n_bytes) => {
                    let begin = self.begin;
                    self.begin += n_bytes;
                    return match frame::take(&self.buffer[begin..begin + n_bytes], self.direction)? {
                        Taken::Frame(frame, _) => Ok(frame),
                        Taken::Short(_) => Err(Broken::Closed),
                    };
                }
                Taken::Short(n_bytes) => self.fill(n_bytes)?,
            }
        }
    }

    /// Reads once more, with room for a frame of that length.
    fn fill(&mut self, n_bytes: usize) -> Result<(), Broken> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        let wanted = n_bytes.max(BUFFER_BYTES);
        if self.buffer.len() < wanted {
            // Only as far as bytes have come, so that an announcement alone costs nothing.
            let grown = (self.end * 2).clamp(BUFFER_BYTES, wanted);
            self.buffer.resize(grown.max(self.buffer.len()), 0);
        } else if self.buffer.len() > wanted && self.end <= BUFFER_BYTES && wanted == BUFFER_BYTES {
            self.buffer.truncate(BUFFER_BYTES);
            self.buffer.shrink_to_fit();
        }
        loop {
            match self.socket.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(Broken::Closed),
                Ok(n_read) => {
                    self.end += n_read;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Broken::Io(error)),
            }
        }
    }
}
