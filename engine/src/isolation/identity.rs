//! Whether a package host still holds its connection to the engine.
//!
//! Code of the package shares the descriptors of its process and may close or replace each of them: on purpose, or as a
//! program does that turns itself into a daemon. A thread that waits in a read keeps the old connection open, so the
//! engine would see no end of it. The host therefore compares the socket before it uses it, which costs a fraction of a
//! microsecond, and ends at once when it is another. The engine checks from outside for the rest: code that has closed
//! the connection and never returns.

use std::{
    fs,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::fs::{Stat, fstat};

use crate::loader;

/// The exit code of a package host without a connection. Far from the usual exit codes of programs.
pub(super) const EXIT_CUT_OFF: u8 = 113;

/// One open socket, whatever its descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// That of an open socket; none if the descriptor is closed.
    pub(super) fn of(socket: impl AsFd) -> Option<Self> {
        fstat(socket).ok().map(|Stat { st_dev, st_ino, .. }| Self { device: st_dev, inode: st_ino })
    }

    /// Ends this process unless the descriptor is still that socket.
    pub(super) fn insist(&self, socket: BorrowedFd<'_>) {
        if Self::of(socket) != Some(*self) {
            loader::exit_at_once(EXIT_CUT_OFF);
        }
    }

    /// Whether any descriptor of that process is this socket; unknown if the system does not show its descriptors.
    pub(super) fn is_held_by(&self, pid: u32) -> Option<bool> {
        let link = format!("socket:[{}]", self.inode);
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let mut is_held = false;
        for entry in entries {
            is_held |= fs::read_link(entry.ok()?.path()).is_ok_and(|shown| shown.as_os_str() == link.as_str());
        }
        Some(is_held)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_is_known_by_what_it_is_and_not_by_its_number() {
        let (one, other) = UnixStream::pair().unwrap();
        let identity = Identity::of(&one).unwrap();
        let copy = one.try_clone().unwrap();
        assert_eq!(Identity::of(&copy), Some(identity));
        assert_ne!(Identity::of(&other), Some(identity));
        let own = std::process::id();
        assert_eq!(identity.is_held_by(own), Some(true));
        drop((one, copy));
        assert_eq!(identity.is_held_by(own), Some(false));
    }
}
