//! What the system says of a process in one line: whether it runs, to which session it belongs, whether it is ending.

use std::fs;

/// The flag of a process that is ending (`PF_EXITING`).
const EXITING: u64 = 0x4;

/// The line of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// A letter: `R` runs, `S` waits, `T` is stopped by a signal, `Z` has ended.
    pub(super) state: char,
    pub(super) session: u32,
    /// Whether its main thread is ending or has ended.
    pub(super) is_ending: bool,
}

impl Stat {
    /// That of the process with this number; none once it is reaped.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        // The name may hold anything; what comes after it does not: state, parent, group, session, terminal, its
        // group, flags.
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let after_name = String::from_utf8_lossy(&line[end + 1..]);
        let words: Vec<&str> = after_name.split_ascii_whitespace().take(7).collect();
        let flags: u64 = words.get(6)?.parse().ok()?;
        Some(Self {
            state: words.first()?.chars().next()?,
            session: words.get(3)?.parse().ok()?,
            is_ending: flags & EXITING != 0,
        })
    }

    /// Whether the process has not ended.
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }

    /// Whether its main thread executes nothing until another process continues it.
    pub(super) fn is_halted(&self) -> bool {
        matches!(self.state, 'T' | 'Z' | 'X')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pass_for_what_follows_it() {
        let line = b"17 (a) Z 1 1 1 (b) c)) S 1 17 16 0 -1 4194564 90 0 0 0";
        assert_eq!(Stat::parse(line), Some(Stat { state: 'S', session: 16, is_ending: true }));
        assert_eq!(Stat::parse(b"17 (a) S 1 17"), None);
        let own = Stat::of(std::process::id()).unwrap();
        assert!(own.is_alive() && !own.is_halted() && !own.is_ending, "{own:?}");
    }
}
