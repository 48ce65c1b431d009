//! Reads frames from a socket: one system call brings as many as have come.
//!
//! The buffer grows to the frame that is under way, which is bounded by its kind, and shrinks again after it. A frame of
//! a package host that has begun must end soon: code of the package may have written its beginning.

use std::{
    io::{self, Read},
    os::{fd::AsFd, unix::net::UnixStream},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    frame::{self, Bad, Direction, Frame, Taken},
    identity::Identity,
    keeper::now,
    session,
};

/// What is read at once: some sixty tasks with contexts of a KiB.
const BUFFER_BYTES: usize = 64 << 10;

/// How long a package host may take from the first byte of a frame to its last. It writes whole frames; this is for a
/// machine that is very busy.
const FRAME_WAIT: Duration = Duration::from_secs(15);

/// The reading end of a connection.
#[derive(Debug)]
pub(super) struct FrameReader {
    socket: UnixStream,
    direction: Direction,
    /// In a package host, where code of the package may have replaced the socket.
    identity: Option<Identity>,
    /// When the frame that has come in part was first seen.
    begun: Option<Instant>,
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
    /// That of an engine, for what a package host sends.
    pub(super) fn of_engine(socket: UnixStream) -> Self {
        Self::new(socket, Direction::Up, None)
    }

    /// That of a package host, which ends when it finds another descriptor in the place of the socket.
    pub(super) fn of_host(socket: UnixStream) -> Self {
        let identity = Identity::of(&socket);
        Self::new(socket, Direction::Down, identity)
    }

    fn new(socket: UnixStream, direction: Direction, identity: Option<Identity>) -> Self {
        let buffer = vec![0; BUFFER_BYTES];
        Self { socket, direction, identity, begun: None, buffer, begin: 0, end: 0 }
    }

    /// Ends this process at the latest so long after the connection has ended, whatever its other threads do.
    pub(super) fn guard(&self, after: Duration) -> io::Result<()> {
        let socket = self.socket.try_clone()?;
        thread::Builder::new().name("clcn-guard".to_owned()).spawn(move || {
            wait_for(&socket, PollFlags::RDHUP);
            let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
            while poll(&mut [], Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })) == Err(Errno::INTR) {}
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
                    self.begun = None;
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
        if self.end > 0 && self.direction == Direction::Up {
            self.wait_for_rest()?;
        }
        loop {
            self.insist();
            match self.socket.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(Broken::Closed),
                Ok(n_read) => {
                    self.end += n_read;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Code of the package may have said that reads do not wait.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for(&self.socket, PollFlags::IN),
                Err(error) => {
                    self.insist();
                    return Err(Broken::Io(error));
                }
            }
        }
    }

    /// Waits for more of the frame that has begun, but not for longer than a frame may take.
    fn wait_for_rest(&mut self) -> Result<(), Broken> {
        let began = *self.begun.get_or_insert_with(now);
        loop {
            let left = FRAME_WAIT.saturating_sub(now().saturating_duration_since(began));
            // The conversion fails for times that are far longer.
            let at_most = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&at_most)) {
                Ok(0) => {
                    let seconds = FRAME_WAIT.as_secs();
                    return Err(Broken::Violation {
                        what: format!("a part of a frame, without the rest within {seconds} s"),
                    });
                }
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(Broken::Io(error.into())),
            }
        }
    }

    fn insist(&self) {
        if let Some(identity) = &self.identity {
            identity.insist(self.socket.as_fd());
        }
    }
}

/// Waits until a socket is ready for that, or broken.
pub(super) fn wait_for(socket: &UnixStream, what: PollFlags) {
    while poll(&mut [PollFd::new(socket, what)], None) == Err(Errno::INTR) {}
}
