//! Looks at what the processes of a package hold while they work, because the system limits only a part of it.
//!
//! `RLIMIT_DATA` counts private memory, of one process: not what is shared (`MAP_SHARED`, `memfd`), nor what other
//! processes hold that the package has started. So while calls are under way somebody looks, ten times a second, and
//! a process that is beyond a limit is killed with the limit as the reason. A look costs some microseconds, and some
//! milliseconds where it has to find other processes, which is why it does that more seldom. At the idle somebody looks
//! once a second, for as long as they are kept: threads of a package do not need a call to work.
//! The same look finds a process that will never answer: it is stopped, or has closed its connection.

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
    if child.roster.begin_look(child.id) {
        arm_first(keeper, child);
    }
}

/// The same, for a child at which nobody looked often until now.
pub(super) fn arm_first(keeper: &Arc<Keeper>, child: &Arc<Child>) {
    arm(keeper, child, EVERY, Seen::default());
}

fn arm(keeper: &Arc<Keeper>, child: &Arc<Child>, wait: Duration, seen: Seen) {
    let (looked_at, later) = (Arc::downgrade(child), Arc::downgrade(keeper));
    let alarm = keeper.after(wait, move || look(&later, &looked_at, seen));
    child.roster.keep_look(child.id, alarm);
}

fn look(keeper: &Weak<Keeper>, child: &Weak<Child>, mut seen: Seen) {
    let (Some(keeper), Some(child)) = (keeper.upgrade(), child.upgrade()) else { return };
    child.process.note_peak();
    seen.n_looks = seen.n_looks.wrapping_add(1);
    let is_far = seen.n_looks.is_multiple_of(FAR_LOOK);
    let why = seen.broken(&child, is_far);
    if let Some(why) = why.or_else(|| child.process.beyond(child.may_start(), is_far)) {
        child.kill(why);
        return;
    }
    let wait = if child.roster.goes_on_looking(child.id) { EVERY } else { EVERY_IDLE };
    arm(&keeper, &child, wait, seen);
}

impl Seen {
    /// Why the process will never answer, if that has shown twice.
    fn broken(&mut self, child: &Child, is_far: bool) -> Option<Killed> {
        let stat = Stat::of(child.process.pid)?;
        self.n_halted = if stat.is_halted() { self.n_halted + 1 } else { 0 };
        if EVERY * self.n_halted >= HALTED_MAX {
            return Some(Killed::Halted { after: HALTED_MAX });
        }
        if !is_far {
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
