//! How the process of a package ended, in words: the signal, the exit code, or the limit that it ran into.
//!
//! The one place that words it, for attempts, events and logs alike. Pure: the code that waits for processes and kills them is
//! elsewhere.

use std::{fmt, os::unix::process::ExitStatusExt, time::Duration};

use cloacina_workflow::TaskError;
use serde_json::json;

use super::{Limits, identity::EXIT_CUT_OFF, incident::Cause};
use crate::loader::Reaped;

/// From which part of its memory limit on a process counts as having run into it: an allocation that fails is larger
/// than what is left.
const NEAR_LIMIT_PERCENT: u64 = 75;

/// The number of the signal that cannot be caught.
pub(super) const SIGKILL: i32 = 9;

/// Why the engine killed a process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Killed {
    #[error("it was not ready after {} s", after.as_secs())]
    NotReady { after: Duration },
    #[error("it sent {what}")]
    Violation { what: String },
    #[error("it closed its connection to the engine")]
    Silent,
    #[error("it did not read what the engine sent")]
    Deaf,
    #[error("it was stopped for {} s, by a signal or by the end of its main thread", after.as_secs())]
    Halted { after: Duration },
    #[error("a task did not stop when it was asked to")]
    Overdue,
    #[error(
        "it held {held_mib} MiB, including shared memory and the processes that it had started, at its memory limit of {max_mib} MiB"
    )]
    Memory { held_mib: u64, max_mib: u64 },
    #[error("it held {max_mib} MiB together with the processes that it had started, the limit of its control group")]
    Group { max_mib: u64 },
    #[error("it had started {n_processes} processes, and at most {max} at a time are allowed")]
    Processes { n_processes: u64, max: u64 },
    #[error(
        "it had {n_threads} threads, including those of the processes that it had started, and at most {max} at a time are allowed"
    )]
    Threads { n_threads: u64, max: u64 },
    #[error("it held {held_mib} MiB of files in its scratch folder, and at most {max_mib} MiB are allowed")]
    Scratch { held_mib: u64, max_mib: u64 },
    #[error("it had more than {max} files in its scratch folder")]
    Files { max: u64 },
    #[error("it, or a process that it started, {how}")]
    Hidden { how: &'static str },
    #[error("it was no longer needed")]
    Dismissed,
}

/// The end of a process.
#[derive(Clone, Debug)]
pub(crate) struct Death {
    /// What the system said, unless it said nothing.
    pub(crate) reaped: Option<Reaped>,
    /// Why the engine killed it, if it did.
    pub(crate) killed: Option<Killed>,
    /// Whether it held as much memory as it was allowed to, and how much that is.
    pub(crate) memory_mib: Option<u64>,
    /// Processes that it had left behind, which were killed.
    pub(crate) n_left: usize,
}

impl Death {
    pub(super) fn new(reaped: Option<Reaped>, killed: Option<Killed>, limits: &Limits) -> Self {
        let is_near = |mib: &u64| {
            let peak = reaped.and_then(|reaped| reaped.peak_bytes).map_or(0, |bytes| bytes >> 20);
            peak.saturating_mul(100) >= mib.saturating_mul(NEAR_LIMIT_PERCENT)
        };
        let memory_mib = match &killed {
            Some(Killed::Memory { max_mib, .. } | Killed::Group { max_mib }) => Some(*max_mib),
            _ => limits.memory_mib.filter(is_near),
        };
        Self { reaped, killed, memory_mib, n_left: 0 }
    }

    /// Whether the process ended without being told to.
    pub(super) fn is_crash(&self) -> bool {
        !matches!(self.killed, Some(Killed::Dismissed))
    }

    /// The cause, as far as the system tells.
    pub(super) fn cause(&self) -> Cause {
        let signal = self.reaped.and_then(|reaped| reaped.status.signal());
        // A package that runs into its limit gets other signals, or is killed by the engine.
        if self.killed.is_none() && signal == Some(SIGKILL) { Cause::Outside } else { Cause::Package }
    }

    /// Whether the process had taken so much that others may have had too little.
    pub(super) fn is_greed(&self) -> bool {
        matches!(
            self.killed,
            Some(
                Killed::Memory { .. }
                    | Killed::Group { .. }
                    | Killed::Threads { .. }
                    | Killed::Processes { .. }
                    | Killed::Scratch { .. }
                    | Killed::Files { .. }
            )
        )
    }

    /// The name of the signal that ended it.
    pub(super) fn signal(&self) -> Option<String> {
        self.reaped.and_then(|reaped| reaped.status.signal()).map(signal_name)
    }

    /// The failure of the attempt that was alone in the process.
    pub(super) fn into_error(self) -> TaskError {
        let code = "ISO0004";
        let mut details = json!({ "code": code });
        if let (Some(signal), None) = (self.signal(), &self.killed) {
            details["signal"] = signal.into();
        }
        if let Some(exit) = self.reaped.and_then(|reaped| reaped.status.code()) {
            details["exit_code"] = exit.into();
        }
        if self.n_left > 0 {
            details["processes_killed"] = self.n_left.into();
        }
        match self.killed {
            Some(Killed::Processes { max, .. }) => details["process_limit"] = max.into(),
            Some(Killed::Threads { max, .. }) => details["thread_limit"] = max.into(),
            Some(Killed::Scratch { max_mib, .. }) => details["scratch_limit_mib"] = max_mib.into(),
            Some(Killed::Files { max }) => details["scratch_limit_files"] = max.into(),
            _ => {}
        }
        if let Some(mib) = self.memory_mib {
            details["memory_limit_mib"] = mib.into();
        }
        TaskError::Custom { kind: "crashed".to_owned(), message: format!("{code}: {self}"), details, retryable: true }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say_how(formatter)?;
        match self.n_left {
            0 => Ok(()),
            1 => formatter.write_str("; a process that it had started was killed"),
            n_left => write!(formatter, "; {n_left} processes that it had started were killed"),
        }
    }
}

impl Death {
    fn say_how(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(killed @ Killed::Group { .. }) = &self.killed {
            return write!(formatter, "the package's process was killed by the system, because {killed}");
        }
        if let Some(killed) = &self.killed {
            return write!(formatter, "the package's process was killed by the engine, because {killed}");
        }
        let Some(Reaped { status, peak_bytes, .. }) = self.reaped else {
            return formatter.write_str("the package's process ended, and the system does not say how");
        };
        match (status.signal(), status.code()) {
            (Some(signal), _) => write!(formatter, "the package's process was ended by {}", signal_name(signal))?,
            (None, Some(code)) if code == i32::from(EXIT_CUT_OFF) => formatter.write_str(
                "the package's process ended, because code of the package closed or replaced its connection to the engine",
            )?,
            (None, Some(code)) => write!(formatter, "the package's process exited by itself with code {code}")?,
            (None, None) => write!(formatter, "the package's process ended: {status}")?,
        }
        match (self.memory_mib, peak_bytes) {
            (Some(mib), Some(peak)) => {
                write!(formatter, " at its memory limit of {mib} MiB, of which it used {}", peak >> 20)
            }
            _ => Ok(()),
        }
    }
}

/// What people call a signal, with what it mostly means.
fn signal_name(number: i32) -> String {
    let name = match number {
        4 => "SIGILL (illegal instruction)",
        5 => "SIGTRAP",
        6 => "SIGABRT (abort)",
        7 => "SIGBUS (bad memory access)",
        8 => "SIGFPE (arithmetic error)",
        9 => "SIGKILL (killed by another process or by the kernel, which may have been out of memory)",
        11 => "SIGSEGV (invalid memory access)",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ (a file beyond its size limit)",
        31 => "SIGSYS (a system call that the sandbox forbids)",
        _ => return format!("signal {number}"),
    };
    name.to_owned()
}
