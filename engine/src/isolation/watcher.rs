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
    process::{Pid, Signal, kill_process_group},
};

use super::child::Child;
use crate::loader::{LogLine, reap, text};

/// The longest line; a longer one is broken into several.
const LINE_BYTES_MAX: usize = 8 << 10;

/// One of the two outputs of a process.
struct Output {
    pipe: Option<OwnedFd>,
    level: Level,
    target: &'static str,
    /// The beginning of a line that has not ended.
    begun: Vec<u8>,
}

/// Watches until the process has ended, and then tells the child so.
pub(super) fn watch(child: &Arc<Child>, stdout: Option<OwnedFd>, stderr: Option<OwnedFd>) {
    let mut outputs = [Output::new(stdout, Level::Info, "stdout"), Output::new(stderr, Level::Warn, "stderr")];
    while !wait(child, &mut outputs) {}
    for output in &mut outputs {
        output.read(child);
        output.end(child);
    }
    // What the process has left behind goes with it. Until it is reaped, its group's number is nobody else's.
    if let Some(group) = Pid::from_raw(child.pid.cast_signed()) {
        // Mostly nothing is left.
        kill_process_group(group, Signal::KILL).ok();
    }
    let reaped = reap(child.pid).map_err(|error| {
        tracing::warn!(package = &*child.package, pid = child.pid, %error, "the end of a package host is unknown");
    });
    child.set_reaped(reaped);
}

/// Waits until something happens, and reads what was written. True when the process has ended.
fn wait(child: &Arc<Child>, outputs: &mut [Output; 2]) -> bool {
    let ready = {
        let mut polled = vec![PollFd::new(child.pidfd(), PollFlags::IN)];
        polled.extend(outputs.iter().filter_map(|output| Some(PollFd::new(output.pipe.as_ref()?, PollFlags::IN))));
        match poll(&mut polled, None) {
            Ok(_) => !polled[0].revents().is_empty(),
            Err(Errno::INTR) => false,
            Err(error) => {
                tracing::warn!(package = &*child.package, %error, "a package host cannot be watched");
                true
            }
        }
    };
    if !ready {
        outputs.iter_mut().for_each(|output| output.read(child));
    }
    ready
}

impl Output {
    fn new(pipe: Option<OwnedFd>, level: Level, target: &'static str) -> Self {
        let pipe = pipe.filter(|pipe| {
            let unblocked = fcntl_getfl(pipe).and_then(|flags| fcntl_setfl(pipe, flags | OFlags::NONBLOCK));
            unblocked.is_ok()
        });
        Self { pipe, level, target, begun: Vec::new() }
    }

    /// Reads what is there.
    fn read(&mut self, child: &Arc<Child>) {
        let mut buffer = [0; LINE_BYTES_MAX];
        loop {
            let Some(pipe) = &self.pipe else { return };
            match read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(n_read) => self.take(child, &buffer[..n_read]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    fn take(&mut self, child: &Arc<Child>, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if self.begun.ends_with(b"\n") || self.begun.len() >= LINE_BYTES_MAX {
                self.end(child);
            }
        }
    }

    fn end(&mut self, child: &Arc<Child>) {
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
