//! A child as a process on this machine: its number, its end of a socket pair, its pipes, its memory, its end.
//!
//! What the engine asks of a child is this much and nothing else: send it a frame, close its connection, kill it, read what it
//! has written, measure it. A child that is something else, such as a worker on another machine, would be a second type with the
//! same functions; neither the roster nor the pool knows of processes.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cloacina_workflow::Level;
use rustix::{
    fd::OwnedFd,
    process::{Signal, pidfd_send_signal},
};

use super::{
    Limits,
    bounds::Bounds,
    death::{Killed, SIGKILL},
    group::{Enforced, Group},
    identity::Identity,
    observe,
    outbox::Outbox,
    scratch::Folder,
    stat::Stat,
    watcher::Output,
};
use crate::loader::{CpuClock, Reaped};

/// A process that was just started.
pub(super) struct Running {
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
    pub(super) outbox: Arc<Outbox>,
    /// Its end of the connection.
    pub(super) connection: Option<Identity>,
    /// Its standard output and error.
    pub(super) pipes: [Option<Arc<OwnedFd>>; 2],
    /// What the system may count as its memory though its engine held it.
    pub(super) inherited_bytes: Option<u64>,
}

/// What was made for one process, and goes with it.
pub(super) struct Place {
    /// Where it may write.
    pub(super) scratch: Option<Folder>,
    /// Its control group, or why there is none.
    pub(super) group: Result<Group, String>,
}

/// The process of a child.
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) outbox: Arc<Outbox>,
    pidfd: OwnedFd,
    connection: Option<Identity>,
    bounds: Bounds,
    cpu: Option<CpuClock>,
    /// The watcher and the threads that begin or end calls read them in turn.
    outputs: Mutex<[Output; 2]>,
    inherited_bytes: Option<u64>,
    /// The peak of its measured memory, which only grows; 0 without a measurement.
    seen_bytes: AtomicU64,
}

impl Place {
    /// Puts the process into its group, and says what the kernel enforces from then on.
    pub(super) fn add(&self, pid: u32) -> Enforced {
        match &self.group {
            Ok(group) => match group.add(pid) {
                Ok(()) => group.level().clone(),
                Err(error) => Enforced::none(error.to_string()),
            },
            Err(reason) => Enforced::none(reason.clone()),
        }
    }

    /// Ends all that is still in the group, and says how many processes that were.
    pub(super) fn end(&self) -> usize {
        self.group.as_ref().map_or(0, Group::end)
    }

    /// The memory limit, if the kernel ended the process at it.
    pub(super) fn memory_limit_reached(&self, reaped: &Reaped) -> Option<u64> {
        let group = self.group.as_ref().ok().filter(|_| reaped.status.signal() == Some(SIGKILL))?;
        group.level().memory_mib.filter(|_| group.ran_out_of_memory())
    }
}

impl Process {
    pub(super) fn new(running: Running, limits: Limits, scratch: Option<&Folder>, level: Enforced) -> Self {
        let Running { pid, pidfd, outbox, connection, pipes: [stdout, stderr], inherited_bytes } = running;
        let outputs = [Output::new(stdout, Level::Info, "stdout"), Output::new(stderr, Level::Warn, "stderr")];
        Self {
            pid,
            outbox,
            pidfd,
            connection,
            bounds: Bounds::new(limits, scratch.map(Folder::path), level),
            cpu: CpuClock::of(pid),
            outputs: Mutex::new(outputs),
            inherited_bytes,
            seen_bytes: AtomicU64::new(0),
        }
    }

    /// Kills it. One that has ended is not killed: the descriptor stands for this process alone.
    pub(super) fn kill(&self, package: &str) {
        if let Err(error) = pidfd_send_signal(&self.pidfd, Signal::KILL) {
            tracing::debug!(package, pid = self.pid, %error, "a package host cannot be killed");
        }
    }

    /// Whether its main thread is ending or has ended.
    pub(super) fn is_ending(&self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.is_ending)
    }

    /// Whether it holds its end of the connection; unknown if the system does not say.
    pub(super) fn holds_connection(&self) -> Option<bool> {
        self.connection.and_then(|connection| connection.is_held_by(self.pid))
    }

    /// The limit that it is beyond, as in [`Bounds::beyond`].
    pub(super) fn beyond(&self, may_start: bool, is_thorough: bool) -> Option<Killed> {
        self.bounds.beyond(self.pid, may_start, is_thorough)
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(super) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    pub(super) fn outputs(&self) -> MutexGuard<'_, [Output; 2]> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Processor time that it has used up.
    pub(super) fn cpu(&self) -> Option<Duration> {
        self.cpu.and_then(CpuClock::read)
    }

    /// The memory that it holds now.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        let pages: u64 =
            fs::read_to_string(format!("/proc/{}/statm", self.pid)).ok()?.split(' ').nth(1)?.parse().ok()?;
        let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
        Some(pages.saturating_mul(page_bytes))
    }

    /// Measures the peak of its memory so far.
    pub(super) fn note_peak(&self) {
        if let Some(bytes) = observe::peak_bytes(self.pid) {
            self.seen_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// The most memory that it was seen to have held.
    pub(super) fn seen_peak(&self) -> Option<u64> {
        Some(self.seen_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// What is left of it, with the most memory that it held: what the system counted if that cannot have been its engine's,
    /// else what was seen.
    pub(super) fn corrected(&self, reaped: Reaped) -> Reaped {
        let is_own = |bytes: &u64| self.inherited_bytes.is_some_and(|inherited| *bytes > inherited);
        Reaped { peak_bytes: reaped.peak_bytes.filter(is_own).or_else(|| self.seen_peak()), ..reaped }
    }
}
