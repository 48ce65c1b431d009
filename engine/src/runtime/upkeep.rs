//! The driver's part about what need not be kept: when it is removed.
//!
//! A pass counts what is limited in number, on a reader, and then repeats steps on the writer until nothing is due.
//! The next pass begins when the next row is due; there is no period, and without anything finished no timer.
//! Runs that end meanwhile are noted, so that what they leave is not forgotten.

use std::time::Duration;

use cloacina_workflow::Timestamp;

use super::{
    driver::{Driver, Stopping},
    prune::{Next, Progress, Step},
    timer::{Timer, Timers},
};
use crate::{
    core::effect::after,
    retention::Retention,
    store::Error as StoreError,
};

/// Between two steps while attempts run, so that steps take a small part of the writer's time.
const STEP_PAUSE: Duration = Duration::from_millis(25);

/// Between two passes at least: rows become due one by one, and are better removed together.
const PASS_PAUSE: Duration = Duration::from_secs(60);

/// After a step failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(600);

/// How many runs may end beyond the limit before that begins a pass.
const EXCESS_MIN: u64 = 100;

/// What the driver knows of removing what need not be kept.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// Absent for an engine that removes nothing.
    policy: Option<Retention>,
    progress: Progress,
    /// When the timer rings.
    due: Option<Timestamp>,
    is_passing: bool,
    /// Whether the answer to a count or a step is awaited.
    is_waiting: bool,
    /// Whether anything was finished or written that the last pass may not have seen.
    has_news: bool,
    /// Runs that ended since they were counted.
    n_finished: u64,
}

impl Upkeep {
    pub(super) fn new(policy: Option<Retention>, timers: &mut Timers, now: Timestamp) -> Self {
        let mut upkeep = Self {
            policy: policy.filter(|policy| *policy != Retention::off()),
            progress: Progress::default(),
            due: None,
            is_passing: false,
            is_waiting: false,
            has_news: false,
            n_finished: 0,
        };
        upkeep.plan(timers, now);
        upkeep
    }

    /// Sets the timer, unless it rings earlier anyway.
    fn plan(&mut self, timers: &mut Timers, at: Timestamp) {
        if self.policy.is_none() || self.due.is_some_and(|due| due <= at) {
            return;
        }
        if let Some(due) = self.due.replace(at) {
            timers.unset(due, Timer::Upkeep);
        }
        timers.set(at, Timer::Upkeep);
    }
}

impl Driver {
    /// Takes note of a run that ended.
    pub(super) fn note_finished(&mut self, now: Timestamp) {
        self.upkeep.n_finished += 1;
        self.note_written(now);
        let limit = self.upkeep.policy.as_ref().and_then(|policy| policy.runs_max);
        let n_runs = self.upkeep.progress.n_counted + self.upkeep.n_finished;
        if limit.is_some_and(|limit| n_runs > limit + EXCESS_MIN.max(limit / 100)) && !self.upkeep.is_passing {
            self.upkeep.plan(&mut self.timers, after(now, STEP_PAUSE));
        }
    }

    /// Takes note of something that will not be kept for ever.
    pub(super) fn note_written(&mut self, now: Timestamp) {
        if self.upkeep.is_passing {
            self.upkeep.has_news = true;
        } else if let Some(shortest) = self.upkeep.policy.as_ref().and_then(Retention::shortest) {
            self.upkeep.plan(&mut self.timers, after(now, shortest));
        }
    }

    /// The timer has rung: begins a pass, or goes on with it.
    pub(super) fn keep_up(&mut self, now: Timestamp) {
        self.upkeep.due = None;
        let Some(policy) = &self.upkeep.policy else { return };
        if self.stopping != Stopping::No || self.upkeep.is_waiting {
            return;
        }
        if self.upkeep.is_passing || policy.runs_max.is_none() {
            return self.prune_step(now);
        }
        self.upkeep.is_passing = true;
        self.upkeep.is_waiting = true;
        self.jobs.count_finished();
    }

    /// The count of a pass is there.
    pub(super) fn finished_counted(&mut self, counted: Result<u64, StoreError>, now: Timestamp) {
        self.upkeep.is_waiting = false;
        match counted {
            Ok(n_counted) => {
                self.upkeep.progress.n_counted = n_counted;
                self.upkeep.n_finished = 0;
                self.prune_step(now);
            }
            Err(error) => self.upkeep_failed(&error, now),
        }
    }

    /// A step was done: goes on, or waits until something is due.
    pub(super) fn pruned(&mut self, step: Result<Step, StoreError>, now: Timestamp) {
        self.upkeep.is_waiting = false;
        let step = match step {
            Ok(step) => step,
            Err(error) => return self.upkeep_failed(&error, now),
        };
        self.upkeep.progress = step.progress;
        if step.pruned.n_rows > 0 {
            tracing::debug!(pruned = ?step.pruned, "removed what need not be kept");
        }
        let later = match step.next {
            Next::Now if self.admission.n_running() == 0 && self.pending.is_empty() => return self.prune_step(now),
            Next::Now => return self.upkeep.plan(&mut self.timers, after(now, STEP_PAUSE)),
            Next::At(at) => Some(at.max(after(now, PASS_PAUSE))),
            Next::Elsewhere => Some(after(now, PASS_PAUSE)),
            Next::Never => None,
        };
        self.upkeep.is_passing = false;
        if let Some(at) = later {
            self.upkeep.plan(&mut self.timers, at);
        }
        if std::mem::take(&mut self.upkeep.has_news) {
            self.note_written(now);
        }
    }

    fn prune_step(&mut self, now: Timestamp) {
        let Some(policy) = self.upkeep.policy.clone() else { return };
        if self.stopping != Stopping::No {
            return;
        }
        self.upkeep.is_passing = true;
        self.upkeep.is_waiting = true;
        self.jobs.prune(policy, self.upkeep.progress.clone(), now);
    }

    fn upkeep_failed(&mut self, error: &StoreError, now: Timestamp) {
        tracing::warn!(error = error as &dyn std::error::Error, "what need not be kept was not removed");
        self.upkeep.is_passing = false;
        self.upkeep.plan(&mut self.timers, after(now, FAILURE_PAUSE));
    }
}
