//! The processes that a package host has started, and theirs: all that are in its session.
//!
//! A package host leads its own session, and at the level `dev` a filter of system calls prevents leaving it; at the level
//! `server` a package cannot start a process. So the session contains all processes, also when parents have ended and their
//! children have other parents. The number of a session is not reused while one of its processes exists.

use std::{fs, io};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal, setsid},
};

use super::{bounds, stat::Stat};

/// How often to search for processes that were started while others were killed.
const ROUNDS_MAX: u32 = 1000;
/// A process that was killed ends when the system gets to it.
const KILL_WAIT: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Makes this process the leader of a session of its own, without a terminal.
pub(super) fn lead() -> io::Result<()> {
    setsid().map(drop).map_err(io::Error::from)
}

/// The processes of a session that run, without its leader.
pub(super) fn members(leader: u32) -> Vec<u32> {
    // What it shows of other name spaces has other numbers there.
    let Some(folders) = fs::read_dir("/proc").ok().filter(|_| bounds::is_proc_ours()) else { return Vec::new() };
    let pids = folders.filter_map(|folder| folder.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != leader && is_member(*pid, leader)).collect()
}

/// Kills all processes of a session but its leader, and waits until they have ended. Says how many there were.
pub(super) fn end(leader: u32) -> usize {
    let mut n_ended = 0;
    for round in 0..ROUNDS_MAX {
        let members = members(leader);
        if members.is_empty() {
            break;
        }
        let killed: Vec<OwnedFd> = members.into_iter().filter_map(|pid| kill(pid, leader)).collect();
        n_ended += killed.len();
        if round == ROUNDS_MAX - 1 {
            tracing::warn!(leader, n_ended, "a package starts processes faster than the engine can end them");
        }
        for process in killed {
            let mut polled = [PollFd::new(&process, PollFlags::IN)];
            while poll(&mut polled, Some(&KILL_WAIT)) == Err(Errno::INTR) {}
        }
    }
    n_ended
}

/// As [`end`], after the leader has ended and before it is reaped.
pub(super) fn sweep(leader: u32) -> usize {
    let n_left = members(leader).len();
    if n_left > 0 {
        end_group(leader);
    }
    n_left.max(end(leader))
}

/// Kills at once all processes of the leader's group, in which they are unless they left it, and with them the leader.
pub(super) fn end_group(leader: u32) {
    if let Some(group) = Pid::from_raw(leader.cast_signed()) {
        // Mostly nothing is left.
        kill_process_group(group, Signal::KILL).ok();
    }
}

/// Kills a process, unless its number has become another's meanwhile.
fn kill(pid: u32, leader: u32) -> Option<OwnedFd> {
    let process = pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()?;
    if !is_member(pid, leader) {
        return None;
    }
    pidfd_send_signal(&process, Signal::KILL).ok()?;
    Some(process)
}

/// Whether a process runs, and in that session.
fn is_member(pid: u32, leader: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.is_alive() && stat.session == leader)
}
