//! Watches one package host: what it writes to its standard output and error becomes log lines, and its end is noted.
//!
//! One thread per process, asleep while the package is silent. A line belongs to the attempt that is alone in the
//! process; with none or several under way it is the package's, in the engine's own log. Whenever that changes, what has
//! been written until then is read, and a line that has not ended ends there.
//!
//! The secrets of all calls that the process got are taken out of what it writes as a whole, and lines are made after
//! that: no line ends in the middle of a secret or of a character, and what is too long for one is continued in the next.

use std::{os::fd::OwnedFd, sync::Arc};

use cloacina_workflow::Level;
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::{Errno, ioctl_fionread, read},
};

use super::{
    child::Child,
    child_state::Event,
    death::Killed,
    lines::{Lines, Settled},
    process::Place,
    session,
};
use crate::loader::{CONTINUED, LogLine, reap};

/// What is read at once.
const BUFFER_BYTES: usize = 8 << 10;

/// One of the two outputs of a process.
#[derive(Debug)]
pub(super) struct Output {
    pipe: Option<Arc<OwnedFd>>,
    level: Level,
    target: &'static str,
    lines: Lines,
}

/// Watches until the process has ended, and then tells the child so. What was made for the process goes with it.
pub(super) fn watch(child: &Arc<Child>, pipes: [Option<Arc<OwnedFd>>; 2], place: Place) {
    let pid = child.process.pid;
    let mut pipes = pipes;
    while !wait(child, &mut pipes) {}
    child.end_outputs();
    // What the process has left behind goes with it. Until it is reaped, its number is not reused.
    let n_left = session::sweep(pid).max(place.end());
    if n_left > 0 {
        tracing::warn!(package = &*child.package, pid, n_left, "a package had left processes behind");
    }
    let reaped = reap(pid).inspect_err(|error| {
        tracing::warn!(package = &*child.package, pid, %error, "the end of a package host is unknown");
    });
    if let Some(max_mib) = reaped.as_ref().ok().and_then(|reaped| place.memory_limit_reached(reaped)) {
        child.roster.tell(child.id, Event::Killed(Killed::Group { max_mib }));
    }
    child.set_reaped(reaped.ok(), n_left);
    // After the end is reported, so that no caller waits for the disk.
    drop(place);
}

/// Waits until something happens, and reads what was written. True when the process has ended.
fn wait(child: &Arc<Child>, pipes: &mut [Option<Arc<OwnedFd>>; 2]) -> bool {
    let (has_ended, closed) = {
        let mut polled = vec![PollFd::new(child.process.pidfd(), PollFlags::IN)];
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
        child.read_outputs();
    }
    has_ended
}

/// Lets a pipe be read from by two threads: a thread that asks while there is nothing does not wait.
pub(super) fn prepare(pipe: Option<OwnedFd>) -> Option<Arc<OwnedFd>> {
    let pipe = pipe?;
    let unblocked = fcntl_getfl(&pipe).and_then(|flags| fcntl_setfl(&pipe, flags | OFlags::NONBLOCK));
    unblocked.ok().map(|()| Arc::new(pipe))
}

impl Output {
    pub(super) fn new(pipe: Option<Arc<OwnedFd>>, level: Level, target: &'static str) -> Self {
        Self { pipe, level, target, lines: Lines::default() }
    }

    /// Reads what has been written until now; what is written meanwhile can wait.
    pub(super) fn read(&mut self, child: &Child) {
        let Some(pipe) = self.pipe.clone() else { return };
        let mut n_left = ioctl_fionread(&*pipe).map_or(0, |n_bytes| usize::try_from(n_bytes).unwrap_or(0));
        let mut buffer = [0; BUFFER_BYTES];
        while n_left > 0 {
            let n_wanted = n_left.min(BUFFER_BYTES);
            match read(&*pipe, &mut buffer[..n_wanted]) {
                Ok(0) | Err(Errno::AGAIN) => return,
                Ok(n_read) => {
                    n_left -= n_read;
                    self.take(child, &buffer[..n_read]);
                }
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.pipe = None;
                    return;
                }
            }
        }
    }

    /// Reads what has been written until now, and ends the line that has begun.
    pub(super) fn settle(&mut self, child: &Child, settled: Settled) {
        self.read(child);
        let Self { level, target, lines, .. } = self;
        lines.settle(settled, |line, is_continued| tell(child, (*level, target), line, is_continued));
    }

    fn take(&mut self, child: &Child, bytes: &[u8]) {
        let Self { level, target, lines, .. } = self;
        lines.push(bytes, child.redactor(), |line, is_continued| tell(child, (*level, target), line, is_continued));
    }
}

/// Tells a line of the call that is alone in the process, or of the package.
fn tell(child: &Child, (level, target): (Level, &str), line: &str, is_continued: bool) {
    let fields = if is_continued { CONTINUED } else { "" }.to_owned();
    let line = LogLine { level, target: target.to_owned(), message: line.to_owned(), fields };
    match child.only_sink() {
        Some((id, sink)) => sink.log(id, line),
        None => child.log_of_package(&line),
    }
}
