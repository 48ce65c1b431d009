//! Whether what all packages of an engine share is used up, by one of them: then what others run into is not their fault.
//!
//! Threads and processes are counted for each user, and for each control group, and memory and disks belong to everybody. A
//! package that takes too much is ended when that is seen; until then, and for a moment after, others may fail for want of
//! what it took. Such an end says nothing about a package: it does not count, and its attempts are run again.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use cloacina_packager::Digest;
use rustix::process::{Resource, geteuid, getrlimit};

use super::{group, holds::kib_of, keeper, sandbox::share_of_threads};

/// For so long after a package was ended that had taken too much, others may feel it.
const AFTERMATH: Duration = Duration::from_secs(5);
/// Threads that are missing to the limit when it counts as reached: those that were refused are gone by now.
const NEARLY: u64 = 64;

/// What is known of it, for one engine.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    latest: Mutex<Option<(Digest, Instant)>>,
}

impl Shortage {
    /// A package was ended because it had taken too much.
    pub(super) fn note(&self, library: Digest) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some((library, keeper::now()));
    }

    /// Whether the end of a process of that package may be the fault of others. Takes some milliseconds.
    pub(super) fn is_anothers(&self, library: Digest) -> bool {
        let latest = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_aftermath =
            |(by, at): (Digest, Instant)| by != library && keeper::now().saturating_duration_since(at) < AFTERMATH;
        latest.is_some_and(is_aftermath) || has_no_threads()
    }
}

/// Whether processes of packages can start no more threads for now.
fn has_no_threads() -> bool {
    let is_reached = |n_threads: u64, max: u64| n_threads.saturating_add(NEARLY.min(max / 16)) >= max;
    // The limit does not hold for root.
    let of_user = getrlimit(Resource::Nproc).current.filter(|_| !geteuid().is_root());
    of_user.is_some_and(|max| is_reached(threads_of(geteuid().as_raw()), share_of_threads(max)))
        || of_group().is_some_and(|(n_threads, max)| is_reached(n_threads, max))
}

/// The threads of all processes of a user.
fn threads_of(uid: u32) -> u64 {
    let folders = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let own = folders.filter(|folder| {
        let is_process = folder.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        is_process && folder.metadata().is_ok_and(|found| found.uid() == uid)
    });
    let statuses = own.filter_map(|folder| fs::read_to_string(folder.path().join("status")).ok());
    statuses.filter_map(|status| kib_of(&status, "Threads:")).sum()
}

/// Threads in this process's control group, or in one around it, and how many there may be, if it has a limit.
fn of_group() -> Option<(u64, u64)> {
    let own = group::own_group()?;
    let number = |file: PathBuf| -> Option<u64> { fs::read_to_string(file).ok()?.trim().parse().ok() };
    let limited = |group: &Path| Some((number(group.join("pids.current"))?, number(group.join("pids.max"))?));
    // The one that is nearest to its limit binds.
    own.ancestors().filter_map(limited).min_by_key(|(n_threads, max)| max.saturating_sub(*n_threads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_taken_is_not_the_fault_of_another() {
        let (shortage, greedy, other) = (Shortage::default(), Digest::of(b"greedy"), Digest::of(b"other"));
        assert!(!shortage.is_anothers(other));
        shortage.note(greedy);
        assert!(shortage.is_anothers(other) && !shortage.is_anothers(greedy));
        assert!(threads_of(geteuid().as_raw()) >= 2);
    }
}
