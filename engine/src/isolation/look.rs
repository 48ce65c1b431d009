//! Looks at what the processes of a package hold while they work, because the system limits only a part of it.
//!
//! `RLIMIT_DATA` counts private memory, of one process: not what is shared (`MAP_SHARED`, `memfd`), nor what other
//! processes hold that the package has started. So while calls are under way somebody looks, ten times a second, and
//! whoever is beyond a limit is killed with the limit as the reason. A look costs some microseconds, and some
//! milliseconds where it has to find other processes, which is why it does that more seldom. Nobody looks at the idle.
//! The same look finds a process that will never answer: it is stopped, or has closed its connection.

use std::{
    fs,
    os::linux::fs::MetadataExt,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{Limits, child::Child, death::Killed, keeper::Keeper, session, stat::Stat};

/// What a package can add in that time is what it can be beyond its limit: some tens of MiB.
const EVERY: Duration = Duration::from_millis(100);
/// Of so many looks one also finds the processes that were started.
const FAR_LOOK: u32 = 5;
/// After so long a process that is stopped is ended. Debuggers stop processes in another way.
const HALTED_MAX: Duration = Duration::from_secs(5);

/// What was found by the looks before this one.
#[derive(Clone, Copy, Default)]
struct Seen {
    n_looks: u32,
    /// In how many in a row the process was stopped.
    n_halted: u32,
    /// Whether it had closed its connection when that was looked at last.
    is_cut_off: bool,
}

/// Looks at a child for as long as it works; once it is idle, until this is asked for again.
pub(super) fn begin(keeper: &Arc<Keeper>, child: &Arc<Child>) {
    if child.begin_look() {
        arm(keeper, child, Seen::default());
    }
}

fn arm(keeper: &Arc<Keeper>, child: &Arc<Child>, seen: Seen) {
    let (looked_at, later) = (Arc::downgrade(child), Arc::downgrade(keeper));
    child.keep_look(keeper.after(EVERY, move || look(&later, &looked_at, seen)));
}

fn look(keeper: &Weak<Keeper>, child: &Weak<Child>, mut seen: Seen) {
    let (Some(keeper), Some(child)) = (keeper.upgrade(), child.upgrade()) else { return };
    child.note_peak();
    seen.n_looks = seen.n_looks.wrapping_add(1);
    let is_far = seen.n_looks.is_multiple_of(FAR_LOOK);
    let why = seen.broken(&child, is_far);
    if let Some(why) = why.or_else(|| beyond(child.pid, &child.limits, child.may_start() && is_far)) {
        child.kill(why);
        return;
    }
    if child.goes_on_looking() {
        arm(&keeper, &child, seen);
    }
}

impl Seen {
    /// Why the process will never answer, if that has shown twice.
    fn broken(&mut self, child: &Child, is_far: bool) -> Option<Killed> {
        let stat = Stat::of(child.pid)?;
        self.n_halted = if stat.is_halted() { self.n_halted + 1 } else { 0 };
        if EVERY * self.n_halted >= HALTED_MAX {
            return Some(Killed::Halted { after: HALTED_MAX });
        }
        if !is_far {
            return None;
        }
        let is_held = || child.connection.and_then(|connection| connection.is_held_by(child.pid));
        let was_cut_off = std::mem::replace(&mut self.is_cut_off, !stat.is_ending && is_held() == Some(false));
        (was_cut_off && self.is_cut_off).then_some(Killed::Silent)
    }
}

/// The limit that a process is beyond, with what it has started.
fn beyond(pid: u32, limits: &Limits, is_far: bool) -> Option<Killed> {
    let others = if is_far { session::members(pid) } else { Vec::new() };
    if let Some(max) = limits.processes
        && others.len() as u64 > max
    {
        return Some(Killed::Processes { n_processes: others.len() as u64, max });
    }
    let max_mib = limits.memory_mib?;
    let held = |bytes: fn(u32) -> Option<u64>| {
        let all = others.iter().copied().chain([pid]);
        all.filter_map(bytes).fold(0_u64, u64::saturating_add) >> 20
    };
    // Processes share pages, which the quick count takes for each one's own.
    if held(resident_bytes) <= max_mib {
        return None;
    }
    let held_mib = if others.is_empty() { held(resident_bytes) } else { held(proportional_bytes) };
    (held_mib > max_mib).then_some(Killed::Memory { held_mib, max_mib })
}

/// The most memory that a process has held at once since it became the program that it is, if it lives.
pub(super) fn peak_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(kib_of(&status, "VmHWM:")? << 10)
}

/// Memory that a process holds besides its files: its own, and what it may share.
fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let shared = kib_of(&status, "RssShmem:")?;
    Some((kib_of(&status, "RssAnon:")? << 10) + (shared << 10).max(unnamed_bytes(pid)))
}

/// As [`resident_bytes`], but of pages that several processes hold each counts its part. Takes longer.
fn proportional_bytes(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let shared = kib_of(&rollup, "Pss_Shmem:")?;
    Some((kib_of(&rollup, "Pss_Anon:")? << 10) + (shared << 10).max(unnamed_bytes(pid)))
}

/// What files in memory hold that have no name, whether they are mapped or not.
fn unnamed_bytes(pid: u32) -> u64 {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    let bytes = folder.filter_map(|entry| {
        let path = entry.ok()?.path();
        let is_unnamed = fs::read_link(&path).ok()?.to_str()?.starts_with("/memfd:");
        // The system counts in blocks of 512 bytes, of which a hole has none.
        is_unnamed.then(|| Some(fs::metadata(&path).ok()?.st_blocks() * 512)).flatten()
    });
    bytes.sum()
}

fn kib_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
