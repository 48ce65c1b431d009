//! Watches one package host: what it writes to its standard output and error becomes log lines, and its end is noted.
//!
//! One thread per process, asleep while the package is silent. A line belongs to the attempt that is alone in the
//! process; with none or several under way it is the package's, in the engine's own log.

use std::{os::fd::OwnedFd, sync::Arc};

use cloacina_workflow::Level;
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::{Errno, read},
};

use super::{child::Child, session};
use crate::loader::{LogLine, reap, text};

/// The longest line; a longer one is broken into several.
const LINE_BYTES_MAX: usize = 8 << 10;

/// One of the two outputs of a process.
#[derive(Debug)]
pub(super) struct Output {
    pipe: Option<Arc<OwnedFd>>,
    level: Level,
    target: &'static str,
    /// The beginning of a line that has not ended.
    begun: Vec<u8>,
}

/// Watches until the process has ended, and then tells the child so.
pub(super) fn watch(child: &Arc<Child>, pipes: [Option<Arc<OwnedFd>>; 2]) {
    let mut pipes = pipes;
    while !wait(child, &mut pipes) {}
    child.read_outputs(true);
    // What the process has left behind goes with it. Until it is reaped, its number is nobody else's.
    let n_left = session::sweep(child.pid);
    if n_left > 0 {
        tracing::warn!(package = &*child.package, pid = child.pid, n_left, "a package had left processes behind");
    }
    child.set_left(n_left);
    let reaped = reap(child.pid).map_err(|error| {
        tracing::warn!(package = &*child.package, pid = child.pid, %error, "the end of a package host is unknown");
    });
    child.set_reaped(reaped);
}

/// Waits until something happens, and reads what was written. True when the process has ended.
fn wait(child: &Arc<Child>, pipes: &mut [Option<Arc<OwnedFd>>; 2]) -> bool {
    let (has_ended, closed) = {
        let mut polled = vec![PollFd::new(child.pidfd(), PollFlags::IN)];
        let open: Vec<usize> = (0..2).filter(|place| pipes[*place].is_some()).collect();
        polled.extend(pipes.iter().flatten().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        match poll(&mut polled, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return false,
            Err(error) => {
                tracing::warn!(package = &*child.package, %error, "a package host cannot be watched");
                return true;
            }
        }
        let is_closed =
            |fd: &PollFd<'_>| fd.revents().contains(PollFlags::HUP) && !fd.revents().contains(PollFlags::IN);
        let closed: Vec<usize> =
            open.into_iter().zip(&polled[1..]).filter(|(_, fd)| is_closed(fd)).map(|(place, _)| place).collect();
        (!polled[0].revents().is_empty(), closed)
    };
    // Nothing more comes from a pipe that is closed, and it would be ready for ever.
    closed.into_iter().for_each(|place| pipes[place] = None);
    if !has_ended {
        child.read_outputs(false);
    }
    has_ended
}

/// Lets a pipe be read from by two threads: whoever asks while there is nothing does not wait.
pub(super) fn prepare(pipe: Option<OwnedFd>) -> Option<Arc<OwnedFd>> {
    let pipe = pipe?;
    let unblocked = fcntl_getfl(&pipe).and_then(|flags| fcntl_setfl(&pipe, flags | OFlags::NONBLOCK));
    unblocked.ok().map(|()| Arc::new(pipe))
}

impl Output {
    pub(super) fn new(pipe: Option<Arc<OwnedFd>>, level: Level, target: &'static str) -> Self {
        Self { pipe, level, target, begun: Vec::new() }
    }

    /// Reads what is there.
    pub(super) fn read(&mut self, child: &Child) {
        let mut buffer = [0; LINE_BYTES_MAX];
        loop {
            let Some(pipe) = &self.pipe else { return };
            match read(&**pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(n_read) => self.take(child, &buffer[..n_read]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    fn take(&mut self, child: &Child, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if self.begun.ends_with(b"\n") || self.begun.len() >= LINE_BYTES_MAX {
                self.end(child);
            }
        }
    }

    /// Ends the line that has begun.
    pub(super) fn end(&mut self, child: &Child) {
        let line = std::mem::take(&mut self.begun);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return;
        }
        let (target, message) = (self.target.to_owned(), text(line, LINE_BYTES_MAX));
        let line = LogLine { level: self.level, target, message, fields: String::new() };
        match child.only_sink() {
            Some((id, sink)) => sink.log(id, line),
            None => child.log_of_package(&line),
        }
    }
}
