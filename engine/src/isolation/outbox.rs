//! Writes frames to a socket from any thread, without any of them waiting for the other side.
//!
//! ```text
//! no writer, nothing queued ──► the frame is written directly, nothing is copied
//! a thread writes           ──► queued; the writer takes it along, many frames in one system call
//! the socket is full            ──► queued; a thread of its own writes when there is room
//! ```
//! Frames keep their order. The thread is made when it is first needed, and sleeps while nothing is queued.

use std::{
    io::{self, IoSlice},
    mem,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::{
    event::PollFlags,
    net::{SendAncillaryBuffer, SendFlags, Shutdown, send, sendmsg, shutdown},
};

use super::{
    frame::{Frame, HEADER_BYTES},
    identity::Identity,
    stream::wait_for,
};
use crate::loader::LINE_SENT_MAX;

/// How often a thread that writes takes along what others have queued before it hands that over.
const ROUNDS_MAX: usize = 8;
/// Log lines that wait beyond this are left out: as much as the log of an attempt holds.
const LOG_BYTES_MAX: usize = LINE_SENT_MAX + (256 << 10);
/// A sender that may wait does so while more than this is queued.
const ROOM_BYTES: usize = 128 << 20;
/// For so long. The other side reads whenever it can, so one that takes nothing for this long hangs.
const ROOM_WAIT: Duration = Duration::from_secs(60);
/// A receiver that lets more than this pile up does not read at all. Calls that may be under way at once fit in with room to spare.
const QUEUE_BYTES_MAX: usize = 512 << 20;

/// The writing end of a connection.
#[derive(Debug)]
pub(super) struct Outbox {
    socket: UnixStream,
    /// In a package host, where code of the package may have replaced it.
    identity: Option<Identity>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whole frames, except for the first, of which a part may have been written.
    queue: Vec<u8>,
    /// Whether a thread is writing now; it checks the queue when it is done.
    is_writing: bool,
    has_thread: bool,
    /// Why nothing more is sent.
    broken: Option<Posted>,
    /// Threads that wait for room.
    n_waiting: usize,
    /// Bytes that threads are about to queue that have waited.
    n_promised: usize,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// It is out, or will be.
    Sent,
    /// There was no room for it, and it was one that may be left out.
    LeftOut,
    /// The other side lets too much pile up: it does not read.
    Unread,
    /// The connection has ended.
    Gone,
}

impl Outbox {
    pub(super) fn new(socket: UnixStream) -> Arc<Self> {
        Arc::new(Self { socket, identity: None, state: Mutex::default(), changed: Condvar::new() })
    }

    /// That of a package host: it ends when it finds another descriptor in the place of this socket.
    pub(super) fn of_host(socket: UnixStream) -> Arc<Self> {
        let identity = Identity::of(&socket);
        Arc::new(Self { socket, identity, state: Mutex::default(), changed: Condvar::new() })
    }

    /// Sends a frame.
    pub(super) fn post(self: &Arc<Self>, frame: &Frame<'_>) -> Posted {
        self.post_within(frame, QUEUE_BYTES_MAX)
    }

    /// Sends a frame that may be left out when much is waiting already.
    pub(super) fn post_if_room(self: &Arc<Self>, frame: &Frame<'_>) -> Posted {
        self.post_within(frame, LOG_BYTES_MAX)
    }

    /// Sends a frame; waits first while much is queued already. For threads that may.
    pub(super) fn post_when_room(self: &Arc<Self>, frame: &Frame<'_>) -> Posted {
        let mut state = self.lock();
        state.n_waiting += 1;
        let is_full = |state: &mut State| {
            let n_queued = state.queue.len() + state.n_promised;
            state.broken.is_none() && n_queued > 0 && n_queued + frame.n_bytes() > ROOM_BYTES
        };
        let waited = self.changed.wait_timeout_while(state, ROOM_WAIT, is_full);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.n_waiting -= 1;
        if waited.timed_out() {
            return *state.broken.get_or_insert(Posted::Unread);
        }
        state.n_promised += frame.n_bytes();
        drop(state);
        let posted = self.post(frame);
        self.lock().n_promised -= frame.n_bytes();
        self.changed.notify_all();
        posted
    }

    /// Neither side of the connection sends or receives any longer.
    pub(super) fn close(&self) {
        self.lock().broken.get_or_insert(Posted::Gone);
        self.changed.notify_all();
        // It may be closed already.
        shutdown(&self.socket, Shutdown::Both).ok();
    }

    fn post_within(self: &Arc<Self>, frame: &Frame<'_>, queue_bytes_max: usize) -> Posted {
        let header = frame.header();
        let mut state = self.lock();
        if let Some(broken) = state.broken {
            return broken;
        }
        if state.is_writing || !state.queue.is_empty() {
            if state.queue.len() + frame.n_bytes() > queue_bytes_max {
                if queue_bytes_max == LOG_BYTES_MAX {
                    return Posted::LeftOut;
                }
                return *state.broken.insert(Posted::Unread);
            }
            append(&mut state.queue, &header, frame, 0);
            return Posted::Sent;
        }
        state.is_writing = true;
        drop(state);
        let slices = [IoSlice::new(&header), part(frame, 0), part(frame, 1), part(frame, 2)];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        self.insist();
        let sent = retried(|| sendmsg(&self.socket, &slices, &mut SendAncillaryBuffer::default(), flags));
        let mut state = self.lock();
        match sent {
            Ok(n_sent) if n_sent == frame.n_bytes() => {}
            Ok(n_sent) => {
                let mut rest = Vec::with_capacity(frame.n_bytes() - n_sent + state.queue.len());
                append(&mut rest, &header, frame, n_sent);
                rest.append(&mut state.queue);
                state.queue = rest;
                self.hand_over(&mut state);
                return Posted::Sent;
            }
            Err(_) => return self.end_writing(&mut state),
        }
        self.write_on(state)
    }

    /// Takes note that the connection has ended.
    fn end_writing(&self, state: &mut State) -> Posted {
        self.insist();
        state.is_writing = false;
        *state.broken.get_or_insert(Posted::Gone)
    }

    fn insist(&self) {
        if let Some(identity) = &self.identity {
            identity.insist(self.socket.as_fd());
        }
    }

    /// Writes what others have queued meanwhile.
    fn write_on<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) -> Posted {
        for _ in 0..ROUNDS_MAX {
            if state.queue.is_empty() {
                state.is_writing = false;
                return Posted::Sent;
            }
            let mut batch = mem::take(&mut state.queue);
            self.tell_room(&state);
            drop(state);
            self.insist();
            let sent = retried(|| send(&self.socket, &batch, SendFlags::DONTWAIT | SendFlags::NOSIGNAL));
            state = self.lock();
            match sent {
                Ok(n_sent) if n_sent == batch.len() => {
                    if state.queue.is_empty() {
                        batch.clear();
                        state.queue = batch;
                    }
                }
                Ok(n_sent) => {
                    batch.drain(..n_sent);
                    batch.append(&mut state.queue);
                    state.queue = batch;
                    self.hand_over(&mut state);
                    return Posted::Sent;
                }
                Err(_) => return self.end_writing(&mut state),
            }
        }
        self.hand_over(&mut state);
        Posted::Sent
    }

    /// Leaves the queue to the thread that may wait.
    fn hand_over(self: &Arc<Self>, state: &mut State) {
        state.is_writing = false;
        if state.queue.is_empty() {
            return;
        }
        if !state.has_thread {
            let outbox = Arc::clone(self);
            let thread = thread::Builder::new().name("clcn-outbox".to_owned()).spawn(move || outbox.write_for_others());
            match thread {
                Ok(_) => state.has_thread = true,
                Err(error) => {
                    tracing::error!(%error, "cannot start the thread that writes to a package host");
                    state.broken = Some(Posted::Gone);
                }
            }
        }
        self.changed.notify_all();
    }

    fn write_for_others(&self) {
        let mut state = self.lock();
        loop {
            if state.broken.is_some() {
                return;
            }
            if state.is_writing || state.queue.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.is_writing = true;
            let batch = mem::take(&mut state.queue);
            self.tell_room(&state);
            drop(state);
            let mut rest = &batch[..];
            let mut is_broken = false;
            while !rest.is_empty() && !is_broken {
                self.insist();
                match retried(|| send(&self.socket, rest, SendFlags::NOSIGNAL)) {
                    // Code of a package may have said that writes do not wait.
                    Ok(0) => wait_for(&self.socket, PollFlags::OUT),
                    Ok(n_sent) => rest = &rest[n_sent..],
                    Err(_) => is_broken = true,
                }
            }
            state = self.lock();
            state.is_writing = false;
            if is_broken {
                self.end_writing(&mut state);
            }
        }
    }

    /// Wakes the senders that wait for room.
    fn tell_room(&self, state: &State) {
        if state.n_waiting > 0 {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn part<'a>(frame: &Frame<'a>, idx: usize) -> IoSlice<'a> {
    IoSlice::new(frame.parts[idx])
}

/// Appends a frame but for its first bytes.
fn append(queue: &mut Vec<u8>, header: &[u8; HEADER_BYTES], frame: &Frame<'_>, mut n_skipped: usize) {
    for piece in [&header[..], frame.parts[0], frame.parts[1], frame.parts[2]] {
        let skip = n_skipped.min(piece.len());
        queue.extend_from_slice(&piece[skip..]);
        n_skipped -= skip;
    }
}

/// How many bytes went out; none if the socket is full.
fn retried(mut write: impl FnMut() -> rustix::io::Result<usize>) -> io::Result<usize> {
    loop {
        match write() {
            Ok(n_sent) => return Ok(n_sent),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}
