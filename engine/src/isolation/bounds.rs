//! The limits that the engine itself enforces, because the system does not: a measurement finds the limit that a process
//! exceeds, together with the processes that it has started. It trusts `/proc` only where that shows this engine's
//! own. Nothing here ends a process.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::process::{Resource, geteuid, getrlimit};

use super::{
    Confinement, Limits,
    death::Killed,
    group::Enforced,
    holds::{FILES_MAX, Filled, Held, kib_of},
    session,
};

/// How many measurements in a row must find that a process hides something: a message in transit is hidden for a moment.
const HIDDEN_MAX: u32 = 2;

const MAPS_UNSEEN: &str = "maps a file in memory (memfd) whose descriptor it has closed, so that only root can measure it; keep the descriptor open";

/// The limits of one process, and the results of earlier measurements.
#[derive(Debug)]
pub(super) struct Bounds {
    limits: Limits,
    /// The folder in which it may write.
    scratch: Option<PathBuf>,
    /// What the kernel enforces besides.
    level: Enforced,
    /// Its content about other processes cannot be used.
    is_proc_ours: bool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    filled: Filled,
    /// Measurements in a row in which the process hid something, and in which a process that it has started did.
    n_hidden: u32,
    n_others_hidden: u32,
}

impl Bounds {
    pub(super) fn new(limits: Limits, scratch: Option<&Path>, level: Enforced) -> Self {
        let limits = Limits { threads: threads_max(&limits), ..limits };
        let (scratch, is_proc_ours, seen) = (scratch.map(Path::to_owned), is_proc_ours(), Mutex::default());
        Self { limits, scratch, level, is_proc_ours, seen }
    }

    /// The limit that a process exceeds; if it may have started others, a thorough measurement includes these.
    pub(super) fn beyond(&self, pid: u32, may_start: bool, is_thorough: bool) -> Option<Killed> {
        if !self.is_proc_ours {
            return None;
        }
        let is_far = may_start && is_thorough;
        let others = if is_far { session::members(pid) } else { Vec::new() };
        if let Some(max) = self.limits.processes
            && others.len() as u64 > max
        {
            return Some(Killed::Processes { n_processes: others.len() as u64, max });
        }
        let own = Held::by(pid, is_thorough)?;
        let others: Vec<(u32, Held)> = others.into_iter().filter_map(|pid| Some((pid, Held::by(pid, true)?))).collect();
        let n_threads = own.n_threads + others.iter().map(|(_, held)| held.n_threads).sum::<u64>();
        if let Some(max) = self.limits.threads
            && n_threads > max
        {
            return Some(Killed::Threads { n_threads, max });
        }
        let beyond_disk = self.beyond_disk(&own, &others);
        beyond_disk.or_else(|| self.beyond_memory(pid, &own, &others)).or_else(|| self.hiding(&own, &others, is_far))
    }

    fn beyond_memory(&self, pid: u32, own: &Held, others: &[(u32, Held)]) -> Option<Killed> {
        let max_mib = self.limits.memory_mib?;
        let mut files = own.in_memory.clone();
        files.extend(others.iter().flat_map(|(_, held)| &held.in_memory));
        let in_files: u64 = files.values().sum();
        let all = || others.iter().map(|(_, held)| held).chain([own]);
        let held = |private: u64, shared: u64| private.saturating_add(shared.max(in_files)) >> 20;
        let quick = held(all().map(|held| held.private_bytes).sum(), all().map(|held| held.shared_bytes).sum());
        if quick <= max_mib {
            return None;
        }
        // Processes share pages, which the quick count takes for each one's own.
        let held_mib = match others {
            [] => quick,
            others => {
                let parts = others.iter().map(|(pid, _)| *pid).chain([pid]).filter_map(parts);
                let (private, shared) =
                    parts.fold((0, 0), |(private, shared), part: (u64, u64)| (private + part.0, shared + part.1));
                held(private, shared)
            }
        };
        (held_mib > max_mib).then_some(Killed::Memory { held_mib, max_mib })
    }

    /// What it has in its folder, and in files that had a name there.
    fn beyond_disk(&self, own: &Held, others: &[(u32, Held)]) -> Option<Killed> {
        let (max_mib, folder) = (self.limits.scratch_mib?, self.scratch.as_ref()?);
        let found = self.seen.lock().unwrap_or_else(PoisonError::into_inner).filled.read(folder)?;
        if let Some(how) = found.hides {
            return Some(Killed::Hidden { how });
        }
        if found.n_files > FILES_MAX {
            return Some(Killed::Files { max: FILES_MAX });
        }
        let all = others.iter().map(|(_, held)| held).chain([own]);
        let unnamed: BTreeMap<_, _> =
            all.flat_map(|held| held.on_disk.iter().map(|(key, value)| (*key, *value))).collect();
        let held_mib = (found.bytes + unnamed.values().sum::<u64>()) >> 20;
        (held_mib > max_mib).then_some(Killed::Scratch { held_mib, max_mib })
    }

    fn hiding(&self, own: &Held, others: &[(u32, Held)], is_far: bool) -> Option<Killed> {
        self.limits.memory_mib?;
        // The user's own programs do that without bad intent, and without root the two cannot be distinguished.
        let maps_unseen = (own.maps_unseen && self.scratch.is_some()).then_some(MAPS_UNSEEN);
        let own_hides = own.hides.or(maps_unseen);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.n_hidden = match own_hides {
            Some(_) => seen.n_hidden + 1,
            None if own.has_unseen_messages => seen.n_hidden,
            None => 0,
        };
        let other = others.iter().find_map(|(_, held)| held.hides);
        if is_far {
            seen.n_others_hidden = if other.is_some() { seen.n_others_hidden + 1 } else { 0 };
        }
        let how = own_hides.filter(|_| seen.n_hidden >= HIDDEN_MAX);
        how.or_else(|| other.filter(|_| seen.n_others_hidden >= HIDDEN_MAX)).map(|how| Killed::Hidden { how })
    }

    /// Says what the kernel enforces and what is watched, beside what the process says of itself; or why nothing is.
    pub(super) fn note(&self, confinement: &mut Confinement) {
        let enforced = self.level.to_string();
        if !enforced.is_empty() {
            confinement.in_force.push(format!("group ({enforced})"));
        }
        if !self.is_proc_ours {
            let missing = "watch (`/proc` does not show the processes of this engine, so their shared memory, processes and files have no limit)";
            confinement.missing.push(missing.to_owned());
            return;
        }
        let Limits { memory_mib, threads, processes, scratch_mib, .. } = self.limits;
        let scratch_mib = scratch_mib.filter(|_| self.scratch.is_some());
        let watched = [
            memory_mib.map(|mib| format!("{mib} MiB of memory")),
            threads.map(|max| format!("{max} threads")),
            processes.map(|max| format!("{max} processes")),
            scratch_mib.map(|mib| format!("{mib} MiB of files")),
        ];
        let watched: Vec<String> = watched.into_iter().flatten().collect();
        if !watched.is_empty() {
            let lacks = self.level.lacks.as_ref().map(|reason| format!("; not by a group: {reason}"));
            confinement.in_force.push(format!("watch ({}{})", watched.join(", "), lacks.unwrap_or_default()));
        }
    }
}

/// Threads that one package may have. It does not get all that its user has, where the system limits that.
pub(super) fn threads_max(limits: &Limits) -> Option<u64> {
    let share = getrlimit(Resource::Nproc).current.map(|max| max / 2).filter(|_| !geteuid().is_root());
    limits.threads.map(|max| share.map_or(max, |share| max.min(share)))
}

/// Whether `/proc` shows the processes that this one starts under their numbers. One that was mounted for other processes,
/// as in a name space that was entered without mounting it anew, shows strangers.
pub(super) fn is_proc_ours() -> bool {
    let own = fs::read_link("/proc/self");
    own.is_ok_and(|own| own.to_str().and_then(|own| own.parse().ok()) == Some(std::process::id()))
}

/// The private and the shared memory of a process; of pages that several hold each counts its part. Takes longer.
fn parts(pid: u32) -> Option<(u64, u64)> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some((kib_of(&rollup, "Pss_Anon:")? << 10, kib_of(&rollup, "Pss_Shmem:")? << 10))
}
