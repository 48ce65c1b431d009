//! The invariant of the driver, looked at where debug assertions are on, as in every test: when the driver goes to
//! sleep, whatever it owns has a next event or a timer.
//!
//! A run that stands still looks like one that waits, so no other check finds it. What waits for people (a run that is
//! held or paused), for code or for the end of a quarantine has none, and is left out.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use cloacina_workflow::Timestamp;

use super::{
    active::ActiveRun,
    attempt::Attempts,
    catalog::Catalog,
    dormant::DormantRuns,
    runner::AttemptKey,
    stall::Stalls,
    timer::{RunTimer, Timers},
};
use crate::{
    core::{effect::after, node::TaskIndex, run, slot::Role, task},
    id::RunId,
};

/// An engine with more tasks than that is not looked at: it would do nothing else.
const TASKS_MAX: usize = 2000;

/// Code is in the catalog before the driver is told of it; a run that waits for it for longer stands still.
const CODE_WAIT: Duration = Duration::from_secs(5);

/// Looks for runs that stand still.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    /// Runs that seem to stand still, and since when.
    suspects: HashMap<RunId, Timestamp>,
}

/// The runs in memory, and what they wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched<'a> {
    pub(super) runs: &'a HashMap<RunId, ActiveRun>,
    pub(super) attempts: &'a Attempts,
    pub(super) stalls: &'a Stalls,
}

impl Watchdog {
    /// Panics if a run stands still.
    pub(super) fn check(
        &mut self,
        watched: Watched<'_>,
        dormant: &DormantRuns,
        timers: &Timers,
        catalog: &Catalog,
        now: Timestamp,
    ) {
        let n_tasks: usize = watched.runs.values().map(|active| active.record().run.tasks().len()).sum();
        if n_tasks + dormant.len() > TASKS_MAX {
            return;
        }
        let queued: HashSet<(RunId, TaskIndex, Role)> = watched.attempts.candidates().collect();
        for active in watched.runs.values() {
            if let Some(what) = watched.what_stands_still(active, &queued, timers) {
                let run = active.record().id;
                panic!("invariant: something happens next to each run; {what} of {run} stands still: {active:?}");
            }
        }
        let asleep: HashSet<RunId> = dormant.asleep(catalog, timers).collect();
        self.suspects.retain(|run, _| asleep.contains(run));
        for run in asleep {
            let since = *self.suspects.entry(run).or_insert(now);
            assert!(now < after(since, CODE_WAIT), "invariant: something happens next to each run; {run} stands still");
        }
    }
}

impl Watched<'_> {
    /// What of a run has neither a next event nor a timer.
    fn what_stands_still(
        &self,
        active: &ActiveRun,
        queued: &HashSet<(RunId, TaskIndex, Role)>,
        timers: &Timers,
    ) -> Option<String> {
        let (id, run) = (active.record().id, &active.record().run);
        if !active.is_answered() {
            return None;
        }
        if self.stalls.contains(id) {
            let has_timer = self.stalls.is_waiting(id) && timers.has(RunTimer::CommitsDue { run: id });
            return (!has_timer).then(|| "a refused commit".to_owned());
        }
        if run.state() != run::State::Running || run.quarantine().is_some() {
            return run.state().is_terminal().then(|| "the end".to_owned());
        }
        let underway = |task, attempt, role| self.attempts.is_underway(&AttemptKey { run: id, task, attempt, role });
        let mut is_anything_open = false;
        for (number, entry) in run.numbered() {
            let moves = match entry.state() {
                task::State::Ready => Some(queued.contains(&(id, number, Role::Task))),
                task::State::Running => Some(underway(number, entry.attempt, Role::Task)),
                task::State::Waiting => Some(timers.has(RunTimer::TaskDue { run: id, task: number })),
                _ if entry.has_open_callback() => Some(
                    queued.contains(&(id, number, Role::Callback)) || underway(number, entry.attempt, Role::Callback),
                ),
                _ => None,
            };
            is_anything_open |= moves.is_some();
            if moves == Some(false) {
                return Some(format!("task {number}, {}", entry.state()));
            }
        }
        (!is_anything_open).then(|| "everything".to_owned())
    }
}
