//! Measures the resources of the processes of a package while they work, because the system limits only a part of them.
//!
//! `RLIMIT_DATA` counts private memory, of one process: not shared memory (`MAP_SHARED`, `memfd`), and not the
//! memory of processes that the package has started. So the engine measures ten times a second during calls, and kills a
//! process that exceeds a limit with the limit as the reason. A measurement takes some microseconds, or some milliseconds
//! if it must find other processes, which it does less often. Idle processes are measured once a second, as long as they
//! are kept: threads of a package do not need a call to work. The same measurement finds a process that will never answer:
//! it is stopped, or has closed its connection.

use std::{
    fs,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{child::Child, death::Killed, holds::kib_of, keeper::Keeper, stat::Stat};

/// What a package can add in that time is what it can be beyond its limit: some tens of MiB.
const EVERY: Duration = Duration::from_millis(100);
/// The same for a process without calls.
const EVERY_IDLE: Duration = Duration::from_secs(1);
/// Every n-th measurement also finds the processes that were started.
const THOROUGH_EVERY: u32 = 5;
/// After so long a process that is stopped is ended. Debuggers stop processes in another way.
const HALTED_MAX: Duration = Duration::from_secs(5);

/// The results of the earlier measurements.
#[derive(Clone, Copy, Default)]
struct Seen {
    n_measurements: u32,
    /// In how many in a row the process was stopped.
    n_halted: u32,
    /// Whether it had closed its connection at the last check.
    is_cut_off: bool,
}

/// Measures a child often while it works, and less often once it is idle, until this is called again.
pub(super) fn begin(keeper: &Arc<Keeper>, child: &Arc<Child>) {
    if child.roster.begin_observing(child.id) {
        arm_first(keeper, child);
    }
}

/// The same, for a child that was not measured often until now.
pub(super) fn arm_first(keeper: &Arc<Keeper>, child: &Arc<Child>) {
    arm(keeper, child, EVERY, Seen::default());
}

fn arm(keeper: &Arc<Keeper>, child: &Arc<Child>, wait: Duration, seen: Seen) {
    let (observed, later) = (Arc::downgrade(child), Arc::downgrade(keeper));
    let alarm = keeper.after(wait, move || observe(&later, &observed, seen));
    child.roster.keep_observation(child.id, alarm);
}

fn observe(keeper: &Weak<Keeper>, child: &Weak<Child>, mut seen: Seen) {
    let (Some(keeper), Some(child)) = (keeper.upgrade(), child.upgrade()) else { return };
    child.process.note_peak();
    seen.n_measurements = seen.n_measurements.wrapping_add(1);
    let is_thorough = seen.n_measurements.is_multiple_of(THOROUGH_EVERY);
    let why = seen.broken(&child, is_thorough);
    if let Some(why) = why.or_else(|| child.process.beyond(child.may_start(), is_thorough)) {
        child.kill(why);
        return;
    }
    let wait = if child.roster.is_observed_often(child.id) { EVERY } else { EVERY_IDLE };
    arm(&keeper, &child, wait, seen);
}

impl Seen {
    /// Why the process will never answer, if that has shown twice.
    fn broken(&mut self, child: &Child, is_thorough: bool) -> Option<Killed> {
        let stat = Stat::of(child.process.pid)?;
        self.n_halted = if stat.is_halted() { self.n_halted + 1 } else { 0 };
        if EVERY * self.n_halted >= HALTED_MAX {
            return Some(Killed::Halted { after: HALTED_MAX });
        }
        if !is_thorough {
            return None;
        }
        let is_held = || child.process.holds_connection();
        let was_cut_off = std::mem::replace(&mut self.is_cut_off, !stat.is_ending && is_held() == Some(false));
        (was_cut_off && self.is_cut_off).then_some(Killed::Silent)
    }
}

/// The most memory that a process has held at once since it became the program that it is, if it lives.
pub(super) fn peak_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(kib_of(&status, "VmHWM:")? << 10)
}
