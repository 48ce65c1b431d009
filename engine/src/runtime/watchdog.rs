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
    dormant::Dormant,
    driver::{Driver, Stopping},
    runner::AttemptKey,
    timer::Timer,
};
use crate::{
    core::{admit::Role, effect::after, node::TaskIndex, run, task},
    id::RunId,
};

/// An engine with more tasks than that is not looked at: it would do nothing else.
const TASKS_MAX: usize = 2000;

/// Code is in the catalog before the driver is told of it; a run that waits for it for longer stands still.
const CODE_WAIT: Duration = Duration::from_secs(5);

impl Driver {
    /// Panics if a run stands still.
    pub(super) fn check_that_nothing_stands_still(&mut self, now: Timestamp) {
        let n_tasks: usize = self.runs.values().map(|active| active.record.run.tasks().len()).sum();
        if self.stopping != Stopping::No || self.ownership.epoch().is_none() || n_tasks + self.dormant.len() > TASKS_MAX {
            return;
        }
        let offered: HashSet<(RunId, TaskIndex, Role)> = self.admission.candidates().collect();
        for (run, active) in &self.runs {
            if let Some(what) = self.what_stands_still(*run, active, &offered) {
                panic!("invariant: something happens next to each run; {what} of {run} stands still: {active:?}");
            }
        }
        let asleep: HashSet<RunId> =
            self.dormant.iter().filter(|(_, one)| self.sleeps(one)).map(|(id, _)| *id).collect();
        let mut suspects: HashMap<RunId, Timestamp> = std::mem::take(&mut self.suspects);
        suspects.retain(|run, _| asleep.contains(run));
        for run in asleep {
            let since = *suspects.entry(run).or_insert(now);
            assert!(now < after(since, CODE_WAIT), "invariant: something happens next to each run; {run} stands still");
        }
        self.suspects = suspects;
    }

    /// Whether the code of a run is there, and nothing is done about it.
    fn sleeps(&self, dormant: &Dormant) -> bool {
        let version = self.versions.get(&dormant.row.workflow);
        let has_code = version.is_some_and(|version| self.catalog.code_for(version).is_some());
        let is_read_later = dormant.trouble.is_some() && self.timers.has(Timer::HistoriesDue);
        has_code && !dormant.is_loading && !is_read_later
    }

    /// What of a run has neither a next event nor a timer.
    fn what_stands_still(
        &self,
        id: RunId,
        active: &ActiveRun,
        offered: &HashSet<(RunId, TaskIndex, Role)>,
    ) -> Option<String> {
        let run = &active.record.run;
        if active.n_pending > 0 {
            return None;
        }
        if let Some(stall) = self.stalls.get(&id) {
            let has_timer = stall.is_waiting() && self.timers.has(Timer::CommitsDue { run: id });
            return (!has_timer).then(|| "a refused commit".to_owned());
        }
        if run.state() != run::State::Running || run.quarantine().is_some() {
            return run.state().is_terminal().then(|| "the end".to_owned());
        }
        let underway = |task, attempt, role| self.underway.contains_key(&AttemptKey { run: id, task, attempt, role });
        let mut is_anything_open = false;
        for (number, entry) in run.numbered() {
            let moves = match entry.state() {
                task::State::Ready => Some(offered.contains(&(id, number, Role::Task))),
                task::State::Running => Some(underway(number, entry.attempt, Role::Task)),
                task::State::Waiting => Some(self.timers.has(Timer::TaskDue { run: id, task: number })),
                _ if entry.has_open_callback() => Some(
                    offered.contains(&(id, number, Role::Callback)) || underway(number, entry.attempt, Role::Callback),
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
