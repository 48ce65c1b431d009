//! What one package host may use up, as the system enforces it.

use rustix::{
    io,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use serde::{Deserialize, Serialize};

/// What the process of a package may use up. What is absent is not limited by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// MiB of memory: a process's own, of which an allocation beyond it fails; and what it may share, with all that the
    /// processes hold that it has started, beyond which it is killed.
    pub memory_mib: Option<u64>,
    /// Processes that it may have started at once.
    pub processes: Option<u64>,
    /// Threads that it and those processes may have at once, beyond which it is killed.
    pub threads: Option<u64>,
    /// Open files, sockets and the like at once.
    pub open_files: Option<u64>,
    /// MiB of the largest file that it may write.
    pub file_mib: Option<u64>,
    /// MiB of files in the folder in which it may write, in the sandbox of a server, beyond which it is killed.
    pub scratch_mib: Option<u64>,
    /// Calls after which a process is replaced, once those that it has are done.
    pub replace_calls: Option<u64>,
    /// MiB of memory in use from which on a process is replaced in the same way; measured every 256 calls.
    pub replace_mib: Option<u64>,
}

impl Default for Limits {
    /// 4 GiB of memory, 256 further processes, 4,096 threads, 1,024 open files, 1 GiB of files of its own; replaced when it
    /// holds 1 GiB.
    fn default() -> Self {
        Self {
            memory_mib: Some(4096),
            processes: Some(256),
            threads: Some(4096),
            open_files: Some(1024),
            file_mib: None,
            scratch_mib: Some(1024),
            replace_calls: None,
            replace_mib: Some(1024),
        }
    }
}

const MIB: u64 = 1 << 20;

/// Limits this process, for good.
pub(super) fn apply(limits: &Limits) -> io::Result<()> {
    // A memory image of a crashed package would hold what it was working on.
    lower(Resource::Core, Some(0))?;
    lower(Resource::Data, limits.memory_mib.map(|mib| mib.saturating_mul(MIB)))?;
    // What the engine needs of the user's threads is left to it.
    lower(Resource::Nproc, getrlimit(Resource::Nproc).current.map(share_of_threads))?;
    lower(Resource::Nofile, limits.open_files)?;
    lower(Resource::Fsize, limits.file_mib.map(|mib| mib.saturating_mul(MIB)))
}

/// Of the threads that a user may have, those that all processes of packages may have together.
pub(in crate::isolation) fn share_of_threads(limit: u64) -> u64 {
    limit - limit / 4
}

/// Lowers both limits of a resource; what is lower already stays.
fn lower(resource: Resource, limit: Option<u64>) -> io::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let now = getrlimit(resource);
    let least = |known: Option<u64>| Some(known.map_or(limit, |known| known.min(limit)));
    setrlimit(resource, Rlimit { current: least(now.current), maximum: least(now.maximum) })
}
