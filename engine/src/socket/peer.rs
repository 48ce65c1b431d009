//! Who is at the other end of the socket: its user, and whether it is a process that some sandbox keeps in.
//!
//! A package runs as the user of its engine, so the user alone does not tell it from the people who steer the engine. Its
//! process, and all that it starts, can be told: they cannot have new privileges, and have more filters of system calls than
//! the engine. Both are inherited and never taken back. The sessions of package hosts are looked at besides. A process that
//! has ended is refused: what would be looked at could be another's that has its number by now.

use std::{fs, io, os::fd::AsFd};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::net::UnixStream;

use crate::loader::peer_process;

/// The processes that may talk to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    uid: u32,
}

/// Why it may not.
#[derive(Debug)]
pub(super) enum Stranger {
    /// The system does not say who it is.
    Unknown(io::Error),
    /// It belongs to somebody else.
    User(u32),
    /// It is kept in by a sandbox, or was not found outside of one.
    Confined(String),
}

/// What the system says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    has_no_new_privs: bool,
    /// Filters of system calls.
    n_filters: u64,
    /// The leader of its session.
    session: u32,
}

impl Peer {
    /// Looks at the process that is connected.
    pub(super) fn of(stream: &UnixStream) -> Result<Self, Stranger> {
        let credentials = stream.peer_cred().map_err(Stranger::Unknown)?;
        let uid = credentials.uid();
        if !is_allowed(uid) {
            return Err(Stranger::User(uid));
        }
        let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
        let peer = Self { uid };
        // A package that runs as another user than its engine has no way to become root.
        if pid == Some(std::process::id()) || uid != rustix::process::geteuid().as_raw() {
            return Ok(peer);
        }
        let confined = |reason: &str| Err(Stranger::Confined(reason.to_owned()));
        let Some(pid) = pid else { return confined("its process is in another name space") };
        let Ok(process) = process_of(stream, pid) else { return confined("its process has ended") };
        let (Some(own), Some(other)) = (Standing::of(std::process::id()), Standing::of(pid)) else {
            return confined("`/proc` does not show its process");
        };
        if has_ended(&process) {
            return confined("its process has ended");
        }
        // Package hosts lead sessions of their own, and nobody leaves these.
        let is_host = other.session != own.session && parent_of(other.session) == Some(std::process::id());
        match other.within(own, is_host) {
            Some(reason) => Err(Stranger::Confined(format!("its process {pid} {reason}"))),
            None => Ok(peer),
        }
    }

    /// Who it is in the history. It may say on whose behalf it asks: it could write the database itself.
    pub(super) fn actor(&self, by: String) -> String {
        if by.trim().is_empty() { user_name(self.uid) } else { by }
    }
}

impl Standing {
    fn of(pid: u32) -> Option<Self> {
        // A `/proc` of other processes than those that the system tells of would show somebody else.
        let own = fs::read_link("/proc/self").ok()?;
        if own.to_str()?.parse() != Ok(std::process::id()) {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Self::read(&status, &stat)
    }

    fn read(status: &str, stat: &str) -> Option<Self> {
        let value = |name: &str| -> Option<u64> {
            status.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
        };
        let mode = value("Seccomp:").unwrap_or(0);
        Some(Self {
            has_no_new_privs: value("NoNewPrivs:")? != 0,
            n_filters: value("Seccomp_filters:").unwrap_or(mode),
            session: word(stat, 3)?,
        })
    }

    /// Why it counts as kept in, seen from an engine that may be so itself.
    fn within(self, engine: Self, is_host: bool) -> Option<&'static str> {
        if is_host {
            Some("belongs to a package of this engine")
        } else if self.has_no_new_privs && !engine.has_no_new_privs {
            Some("cannot have new privileges (`no_new_privs`)")
        } else if self.n_filters > engine.n_filters {
            Some("has more filters of system calls (seccomp) than the engine")
        } else {
            None
        }
    }
}

/// A word of what `/proc` says of a process. Its name may hold anything; what comes after that does not: state, parent,
/// group, session.
fn word(stat: &str, nth: usize) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(nth)?.parse().ok()
}

fn parent_of(pid: u32) -> Option<u32> {
    word(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, 1)
}

/// The same user may, and root.
pub(super) fn is_allowed(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// The very process that connected; on a system that cannot say so, the one that has its number now.
fn process_of(stream: &UnixStream, pid: u32) -> io::Result<OwnedFd> {
    match peer_process(stream.as_fd()) {
        Ok(process) => Ok(process),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            let pid = Pid::from_raw(pid.cast_signed()).ok_or(io::ErrorKind::NotFound)?;
            Ok(pidfd_open(pid, PidfdFlags::empty())?)
        }
        Err(error) => Err(error),
    }
}

fn has_ended(process: &OwnedFd) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&at_once)) != Ok(0)
}

/// What the machine calls a user.
fn user_name(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_kept_in_more_than_the_engine_is_a_stranger() {
        let standing = |no_new_privs: u8, n_filters: u64, session: u32| {
            let status = format!("Name:\tx\nNoNewPrivs:\t{no_new_privs}\nSeccomp:\t2\nSeccomp_filters:\t{n_filters}\n");
            Standing::read(&status, &format!("7 (a) b) S 1 7 {session} 0 -1")).unwrap()
        };
        for (peer, engine, is_stranger) in [
            ((0, 0, 5), (0, 0, 1), false),
            // Both in the same container, or service.
            ((1, 2, 5), (1, 2, 1), false),
            ((0, 1, 5), (1, 2, 1), false),
            ((1, 1, 5), (0, 1, 1), true),
            ((0, 2, 5), (0, 1, 1), true),
            ((1, 3, 5), (1, 2, 1), true),
            ((0, 0, 99), (0, 0, 1), true),
        ] {
            let (peer, engine) = (standing(peer.0, peer.1, peer.2), standing(engine.0, engine.1, engine.2));
            assert_eq!(peer.within(engine, peer.session == 99).is_some(), is_stranger, "{peer:?} beside {engine:?}");
        }
    }

    #[test]
    fn a_peer_that_names_nobody_is_the_user_that_it_is() {
        assert_eq!(Peer { uid: 0 }.actor(" ".to_owned()), "root");
        assert_eq!(Peer { uid: 4_000_000_000 }.actor(String::new()), "uid 4000000000");
        assert_eq!(Peer { uid: 0 }.actor("ada".to_owned()), "ada");
    }
}
