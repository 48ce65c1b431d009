//! Slots, and the calls that hold them: attempts at tasks, and their callbacks.
//!
//! ```text
//!   enqueue ─▶ grant_slot ─▶ begin ──────────── end ─▶ slot is free
//!                              │ deadline, or asked to stop
//!                              ▼
//!                            grace ── give_up ─▶ slot is free, and what the call sends later is late
//! ```
//! A call that has used up its time, or whose run is being ended, is asked to stop. If it does not within a while it is given
//! up: its slot is free again, its end is recorded without it, and whatever it sends later is *fenced*.
//!
//! This part knows nothing of what is called, and of runs only their ids.

use std::{collections::HashMap, sync::Arc, time::Duration};

use cloacina_workflow::Timestamp;

use super::{
    runner::AttemptKey,
    snapshot::Slots,
    stop::Stop,
    timer::{RunTimer, Timers},
};
use crate::{
    core::{
        effect::after,
        node::TaskIndex,
        slot::{Candidate, Role, SlotQueue},
    },
    id::RunId,
    view::GateHolder,
};

/// Holders of slots that are named to a waiting task.
const HOLDERS_SHOWN: usize = 5;

/// The calls under way, and what waits for a slot.
#[derive(Debug)]
pub(super) struct Attempts {
    slots: SlotQueue,
    underway: HashMap<AttemptKey, Underway>,
    /// How long a call that was asked to stop may take to do so.
    stop_grace: Duration,
    /// Calls that were given up and have not ended since.
    n_abandoned: usize,
}

/// A call that holds a slot.
#[derive(Debug)]
struct Underway {
    stop: Arc<Stop>,
    started_at: Timestamp,
    /// The timer that is set for it.
    timer: Option<(Timestamp, RunTimer)>,
    /// Whether its time was over before it ended.
    timed_out: bool,
}

/// What the end that a call sent is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndOf {
    /// The call held its slot until now.
    Holder,
    /// The same, but its time was over before: it has failed, whatever it sent.
    Overdue,
    /// The call had been given up, or has ended before.
    Abandoned,
}

/// A call that is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenUp {
    pub(super) started_at: Timestamp,
    /// Whether it was asked to stop because its time was over.
    pub(super) timed_out: bool,
}

impl Attempts {
    pub(super) fn new(slots: usize, stop_grace: Duration) -> Self {
        Self { slots: SlotQueue::new(slots), underway: HashMap::new(), stop_grace, n_abandoned: 0 }
    }

    /// Has a task, or its callback, wait for a slot.
    pub(super) fn enqueue(&mut self, run: RunId, task: TaskIndex, role: Role, priority: i32) {
        self.slots.enqueue(run, task, role, priority);
    }

    /// Gives a free slot to what has waited longest among the most urgent.
    pub(super) fn grant_slot(&mut self) -> Option<Candidate> {
        self.slots.acquire()
    }

    /// Gives a slot back that is not used for a call.
    pub(super) fn release_slot(&mut self) {
        self.slots.release();
    }

    /// Uses a slot for a call.
    pub(super) fn begin(
        &mut self,
        key: AttemptKey,
        stop: Arc<Stop>,
        started_at: Timestamp,
        deadline: Option<Timestamp>,
        timers: &mut Timers,
    ) {
        let timer = deadline.map(|at| (at, RunTimer::AttemptDeadline(key)));
        if let Some((at, timer)) = timer {
            timers.set(at, timer);
        }
        self.underway.insert(key, Underway { stop, started_at, timer, timed_out: false });
    }

    /// A call has ended. Its slot is free, unless it was before.
    pub(super) fn end(&mut self, key: &AttemptKey, timers: &mut Timers) -> EndOf {
        let Some(Underway { timer, timed_out, .. }) = self.underway.remove(key) else {
            self.n_abandoned = self.n_abandoned.saturating_sub(1);
            return EndOf::Abandoned;
        };
        if let Some((at, timer)) = timer {
            timers.unset(at, timer);
        }
        self.slots.release();
        if timed_out { EndOf::Overdue } else { EndOf::Holder }
    }

    /// Asks a call to stop, and gives it a while to do so.
    pub(super) fn ask_to_stop(&mut self, key: AttemptKey, now: Timestamp, timers: &mut Timers) {
        let Some(underway) = self.underway.get_mut(&key) else { return };
        let grace = after(now, self.stop_grace);
        if let Some((at, timer)) = underway.timer.replace((grace, RunTimer::AttemptGrace(key))) {
            timers.unset(at, timer);
        }
        timers.set(grace, RunTimer::AttemptGrace(key));
        underway.stop.ask();
    }

    /// Asks all calls of a run to stop.
    pub(super) fn ask_run_to_stop(&mut self, run: RunId, now: Timestamp, timers: &mut Timers) {
        let keys: Vec<AttemptKey> = self.underway.keys().filter(|key| key.run == run).copied().collect();
        for key in keys {
            self.ask_to_stop(key, now, timers);
        }
    }

    /// A call has used up its time.
    pub(super) fn overdue(&mut self, key: AttemptKey, now: Timestamp, timers: &mut Timers) {
        if let Some(underway) = self.underway.get_mut(&key) {
            underway.timed_out = true;
            self.ask_to_stop(key, now, timers);
        }
    }

    /// Gives up a call that did not stop when it was asked to; nothing if it has ended.
    pub(super) fn give_up(&mut self, key: &AttemptKey) -> Option<GivenUp> {
        let Underway { started_at, timed_out, .. } = self.underway.remove(key)?;
        self.slots.release();
        self.n_abandoned += 1;
        Some(GivenUp { started_at, timed_out })
    }

    /// Gives up every call, and asks it to stop. No timer may be left that was set for one.
    pub(super) fn give_up_all(&mut self) {
        for (_, underway) in self.underway.drain() {
            underway.stop.ask();
            self.slots.release();
            self.n_abandoned += 1;
        }
    }

    pub(super) fn is_underway(&self, key: &AttemptKey) -> bool {
        self.underway.contains_key(key)
    }

    /// Whether any call of the run is under way.
    pub(super) fn has_any_of(&self, run: RunId) -> bool {
        self.underway.keys().any(|key| key.run == run)
    }

    /// How many slots are held.
    pub(super) fn n_running(&self) -> usize {
        self.slots.n_running()
    }

    /// How many calls hold a slot.
    pub(super) fn n_underway(&self) -> usize {
        self.underway.len()
    }

    /// Whether code of a task may still run.
    pub(super) fn may_run(&self) -> bool {
        self.slots.n_running() > 0 || self.n_abandoned > 0
    }

    /// The slots as they are shown to a task that waits for one. `name` gives the name of a holder.
    pub(super) fn slots(&self, name: impl Fn(&AttemptKey) -> Option<GateHolder>) -> Slots {
        Slots {
            n_running: self.slots.n_running(),
            n_slots: self.slots.n_slots(),
            held_by: self.underway.keys().filter_map(name).take(HOLDERS_SHOWN).collect(),
        }
    }

    /// What waits for a slot.
    #[cfg(debug_assertions)]
    pub(super) fn candidates(&self) -> impl Iterator<Item = (RunId, TaskIndex, Role)> {
        self.slots.candidates()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000)
    }

    fn key(task: u32) -> AttemptKey {
        AttemptKey { run: RunId::floor(at(1)), task: TaskIndex::new(task), attempt: 1, role: Role::Task }
    }

    /// Two slots, of which a call holds the first until the deadline.
    fn one_underway(deadline: Option<Timestamp>) -> (Attempts, Timers, Arc<Stop>) {
        let (mut attempts, mut timers, stop) = (Attempts::new(2, GRACE), Timers::default(), Arc::<Stop>::default());
        attempts.enqueue(key(0).run, key(0).task, Role::Task, 0);
        assert_eq!(attempts.grant_slot().map(|candidate| candidate.task), Some(key(0).task));
        attempts.begin(key(0), Arc::clone(&stop), at(5), deadline, &mut timers);
        assert_eq!((attempts.n_running(), attempts.n_underway()), (1, 1));
        (attempts, timers, stop)
    }

    #[test]
    fn an_end_in_time_frees_the_slot_and_takes_back_the_timer() {
        let (mut attempts, mut timers, stop) = one_underway(Some(at(60)));
        assert_eq!(timers.earliest(), Some(at(60)));
        assert_eq!(attempts.end(&key(0), &mut timers), EndOf::Holder);
        assert_eq!((timers.earliest(), attempts.n_running(), attempts.may_run()), (None, 0, false));
        assert!(!stop.is_asked());
        assert_eq!(attempts.end(&key(0), &mut timers), EndOf::Abandoned, "the same end twice");
        assert_eq!(attempts.n_running(), 0);
    }

    #[test]
    fn a_call_that_stops_after_its_deadline_has_failed_by_it() {
        let (mut attempts, mut timers, stop) = one_underway(Some(at(60)));
        assert_eq!(timers.pop_due(at(60)), Some(RunTimer::AttemptDeadline(key(0)).into()));
        attempts.overdue(key(0), at(60), &mut timers);
        assert!(stop.is_asked());
        assert_eq!(timers.earliest(), Some(after(at(60), GRACE)));
        assert_eq!(attempts.end(&key(0), &mut timers), EndOf::Overdue);
        assert_eq!(timers.earliest(), None);
    }

    #[test]
    fn a_call_that_does_not_stop_is_given_up_and_its_end_is_late() {
        let (mut attempts, mut timers, _stop) = one_underway(None);
        attempts.ask_run_to_stop(key(0).run, at(20), &mut timers);
        assert_eq!(timers.pop_due(at(30)), Some(RunTimer::AttemptGrace(key(0)).into()));
        assert_eq!(attempts.give_up(&key(0)), Some(GivenUp { started_at: at(5), timed_out: false }));
        assert_eq!(attempts.give_up(&key(0)), None);
        assert_eq!((attempts.n_running(), attempts.may_run()), (0, true));
        assert_eq!(attempts.end(&key(0), &mut timers), EndOf::Abandoned);
        assert!(!attempts.may_run());
    }

    #[test]
    fn a_call_asked_to_stop_before_its_deadline_has_not_timed_out() {
        let (mut attempts, mut timers, _stop) = one_underway(Some(at(60)));
        attempts.ask_to_stop(key(0), at(20), &mut timers);
        assert_eq!(timers.pop_due(at(1_000)), Some(RunTimer::AttemptGrace(key(0)).into()));
        assert_eq!(timers.earliest(), None, "the deadline counts no longer");
        assert_eq!(attempts.end(&key(0), &mut timers), EndOf::Holder);
    }

    #[test]
    fn giving_up_all_frees_every_slot_that_a_call_holds() {
        let (mut attempts, _timers, stop) = one_underway(None);
        attempts.enqueue(key(1).run, key(1).task, Role::Task, 0);
        assert!(attempts.grant_slot().is_some());
        attempts.give_up_all();
        assert!(stop.is_asked());
        assert_eq!((attempts.n_running(), attempts.n_underway()), (1, 0), "the other slot waits for its start");
        attempts.release_slot();
        assert_eq!(attempts.n_running(), 0);
        assert!(attempts.may_run());
    }
}
