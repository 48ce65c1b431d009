//! What the process has of the machine.

use std::fs;

use super::Failure;

/// Processes of the active version that may be there at one moment and not at another, as the load varies.
const CHILDREN_VARYING: u64 = 4;

/// Descriptors of the connections that read the database.
const READERS: u64 = 8;

/// Descriptors by which a process is held.
const PER_CHILD: u64 = 5;

/// What a process holds at one moment.
pub(crate) struct Usage {
    /// Memory that is its own, in KiB.
    pub(crate) private_kib: u64,
    /// Open file descriptors.
    pub(crate) descriptors: u64,
    /// Threads.
    pub(crate) threads: u64,
    /// Processes that it started and that have not gone.
    pub(crate) children: u64,
}

impl Usage {
    /// Measures this process.
    pub(crate) fn now() -> Result<Self, Failure> {
        let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
        let private = rollup.lines().filter(|line| line.starts_with("Private_"));
        let kib = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        Ok(Self {
            private_kib: kib.sum(),
            descriptors: fs::read_dir("/proc/self/fd")?.count() as u64,
            threads: fs::read_dir("/proc/self/task")?.count() as u64,
            children: children()?,
        })
    }

    /// Whether more is held that must be given back than at that other moment, beyond what comes and goes.
    pub(crate) fn exceeds(&self, other: &Self) -> bool {
        let more = self.children.saturating_sub(other.children);
        more > CHILDREN_VARYING || self.descriptors > other.descriptors + READERS + more * PER_CHILD
    }
}

/// Counts processes by what each thread says that it started.
fn children() -> Result<u64, Failure> {
    let mut count = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        // A thread that has ended meanwhile has left its children to another.
        let children = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        count += children.split_whitespace().count() as u64;
    }
    Ok(count)
}
