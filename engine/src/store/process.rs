//! Which process an engine is, and whether another one is provably gone.
//!
//! Only a process of the same machine can be proven to be gone: the machine must not have been started anew since, the
//! process ids must be those of one name space, and the process of that id must not be there, or must be a later one.
//! Where the system does not tell, nothing is proven, and the lease decides.

use std::fs;

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

/// A process as others can find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i64,
    /// The name of the machine, for people.
    pub(crate) host: Option<String>,
    /// The machine since its last boot, with the name space of the process ids.
    pub(crate) machine: Option<String>,
    /// When the process began, in the machine's own measure.
    pub(crate) began: Option<i64>,
}

impl Process {
    /// This process.
    pub(crate) fn this() -> Self {
        let pid = i64::from(std::process::id());
        let host = rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
        Self { pid, host, machine: machine(), began: began(pid) }
    }

    /// Whether that process is provably gone.
    pub(crate) fn is_gone(&self) -> bool {
        let (Some(machine), Some(recorded)) = (&self.machine, self.began) else { return false };
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        // A process may be hidden from the file system, but not from signals.
        let is_absent = test_kill_process(pid) == Err(Errno::SRCH);
        self::machine().as_ref() == Some(machine)
            && (is_absent || began(self.pid).is_some_and(|began| began != recorded))
    }
}

fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let name_space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), name_space.display()))
}

/// The 22nd field of the process's line, counted behind the name, which may hold anything.
fn began(pid: i64) -> Option<i64> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = line.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_live_is_gone() {
        let this = Process::this();
        assert!(this.machine.is_some() && this.began.is_some(), "{this:?}");
        assert!(!this.is_gone());
        let gone = |change: fn(&mut Process)| {
            let mut process = Process::this();
            change(&mut process);
            process.is_gone()
        };
        assert!(gone(|process| process.began = process.began.map(|began| began - 1)), "the id was given again");
        assert!(gone(|process| process.pid = i64::from(i32::MAX)));
        assert!(!gone(|process| (process.pid, process.machine) = (i64::from(i32::MAX), None)));
        assert!(!gone(|process| (process.pid, process.machine) = (i64::from(i32::MAX), Some("elsewhere".to_owned()))));
    }
}
