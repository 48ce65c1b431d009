//! What need not be kept: when it is removed.
//!
//! A pass counts what is limited in number, on a reader, and then repeats steps on the writer until nothing is due.
//! The next pass begins when the next row is due; there is no period, and without anything finished no timer.
//! Runs that end meanwhile are noted, so that what they leave is not forgotten.
//!
//! This part only decides. What the store is to do comes back as a [`Job`], whose answer is given to [`Upkeep::counted`] or
//! [`Upkeep::pruned`].

use std::{mem, time::Duration};

use cloacina_workflow::Timestamp;

use super::{
    prune::{Next, Progress, Step},
    timer::{Timer, Timers},
};
use crate::{core::effect::after, retention::Retention, store::Error as StoreError};

/// Between two steps while attempts run, so that steps take a small part of the writer's time.
const STEP_PAUSE: Duration = Duration::from_millis(25);

/// Between two passes at least: rows become due one by one, and are better removed together.
const PASS_PAUSE: Duration = Duration::from_secs(60);

/// After a step failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(600);

/// How many runs may end beyond the limit before that begins a pass.
const EXCESS_MIN: u64 = 100;

/// What the driver knows of removing expired runs and logs.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// Absent for an engine that removes nothing.
    policy: Option<Retention>,
    progress: Progress,
    /// When the timer rings.
    due: Option<Timestamp>,
    is_passing: bool,
    /// Whether the answer to a job is awaited.
    is_waiting: bool,
    /// Whether anything was finished or written that the last pass may not have seen.
    has_news: bool,
    /// Runs that ended since they were counted.
    n_finished: u64,
}

/// What the store is to do next.
#[derive(Debug)]
pub(super) enum Job {
    /// Count the finished runs that count against the limit.
    Count,
    /// Do a step of removing.
    Prune(Retention, Progress),
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

    /// Takes note of runs that ended.
    pub(super) fn note_ended(&mut self, n_runs: u64, now: Timestamp, timers: &mut Timers) {
        self.n_finished += n_runs;
        self.note_written(now, timers);
        let limit = self.policy.as_ref().and_then(|policy| policy.runs_max);
        let n_runs = self.progress.n_counted + self.n_finished;
        if limit.is_some_and(|limit| n_runs > limit + EXCESS_MIN.max(limit / 100)) && !self.is_passing {
            self.plan(timers, after(now, STEP_PAUSE));
        }
    }

    /// Takes note of something that will not be kept for ever.
    pub(super) fn note_written(&mut self, now: Timestamp, timers: &mut Timers) {
        if self.is_passing {
            self.has_news = true;
        } else if let Some(shortest) = self.policy.as_ref().and_then(Retention::shortest) {
            self.plan(timers, after(now, shortest));
        }
    }

    /// The timer has rung: begins a pass, or goes on with it.
    pub(super) fn ring(&mut self) -> Option<Job> {
        self.due = None;
        let policy = self.policy.as_ref().filter(|_| !self.is_waiting)?;
        if self.is_passing || policy.runs_max.is_none() {
            return self.step();
        }
        self.is_passing = true;
        self.is_waiting = true;
        Some(Job::Count)
    }

    /// The count of a pass is there.
    pub(super) fn counted(
        &mut self,
        counted: Result<u64, StoreError>,
        now: Timestamp,
        timers: &mut Timers,
    ) -> Option<Job> {
        self.is_waiting = false;
        match counted {
            Ok(n_counted) => {
                self.progress.n_counted = n_counted;
                self.n_finished = 0;
                self.step()
            }
            Err(error) => {
                self.fail(&error, now, timers);
                None
            }
        }
    }

    /// A step was done: goes on, or waits until something is due. `is_quiet` says that the writer has nothing else to do.
    pub(super) fn pruned(
        &mut self,
        step: Result<Step, StoreError>,
        is_quiet: bool,
        now: Timestamp,
        timers: &mut Timers,
    ) -> Option<Job> {
        self.is_waiting = false;
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                self.fail(&error, now, timers);
                return None;
            }
        };
        self.progress = step.progress;
        if step.pruned.n_rows > 0 {
            tracing::debug!(pruned = ?step.pruned, "removed expired runs and logs");
        }
        let later = match step.next {
            Next::Now if is_quiet => return self.step(),
            Next::Now => {
                self.plan(timers, after(now, STEP_PAUSE));
                return None;
            }
            Next::At(at) => Some(at.max(after(now, PASS_PAUSE))),
            Next::Elsewhere => Some(after(now, PASS_PAUSE)),
            Next::Never => None,
        };
        self.is_passing = false;
        if let Some(at) = later {
            self.plan(timers, at);
        }
        if mem::take(&mut self.has_news) {
            self.note_written(now, timers);
        }
        None
    }

    fn step(&mut self) -> Option<Job> {
        let policy = self.policy.clone()?;
        self.is_passing = true;
        self.is_waiting = true;
        Some(Job::Prune(policy, self.progress.clone()))
    }

    fn fail(&mut self, error: &StoreError, now: Timestamp, timers: &mut Timers) {
        tracing::warn!(error = error as &dyn std::error::Error, "expired runs and logs were not removed");
        self.is_passing = false;
        self.plan(timers, after(now, FAILURE_PAUSE));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Pruned;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000)
    }

    fn policy(runs_max: Option<u64>) -> Retention {
        Retention { completed: Some(DAY), runs_max, ..Retention::off() }
    }

    /// An upkeep whose first pass is due at once.
    fn upkeep(runs_max: Option<u64>) -> (Upkeep, Timers) {
        let mut timers = Timers::default();
        let upkeep = Upkeep::new(Some(policy(runs_max)), &mut timers, at(0));
        assert_eq!(timers.pop_due(at(0)), Some(Timer::Upkeep));
        (upkeep, timers)
    }

    fn step(next: Next) -> Result<Step, StoreError> {
        Ok(Step { pruned: Pruned::default(), next, progress: Progress::default() })
    }

    #[test]
    fn a_pass_counts_first_and_then_goes_on_until_nothing_is_due() {
        let (mut upkeep, mut timers) = upkeep(Some(10));
        assert!(matches!(upkeep.ring(), Some(Job::Count)));
        assert!(upkeep.ring().is_none(), "one job at a time");
        assert!(
            matches!(upkeep.counted(Ok(3), at(1), &mut timers), Some(Job::Prune(_, progress)) if progress.n_counted == 3)
        );
        assert!(matches!(upkeep.pruned(step(Next::Now), true, at(2), &mut timers), Some(Job::Prune(..))));
        assert!(upkeep.pruned(step(Next::Now), false, at(3), &mut timers).is_none(), "commits go first");
        assert_eq!(timers.earliest(), Some(after(at(3), STEP_PAUSE)));
        timers.pop_due(at(4));
        assert!(matches!(upkeep.ring(), Some(Job::Prune(..))), "the same pass goes on");
        assert!(upkeep.pruned(step(Next::Never), true, at(5), &mut timers).is_none());
        assert_eq!(timers.earliest(), None);
    }

    #[test]
    fn what_ends_during_a_pass_is_seen_by_the_next_one() {
        let (mut upkeep, mut timers) = upkeep(None);
        assert!(matches!(upkeep.ring(), Some(Job::Prune(..))));
        upkeep.note_ended(1, at(1), &mut timers);
        assert_eq!(timers.earliest(), None);
        upkeep.pruned(step(Next::Never), true, at(2), &mut timers);
        assert_eq!(timers.earliest(), Some(after(at(2), DAY)));
    }

    #[test]
    fn passes_keep_apart_and_one_that_failed_waits_for_longer() {
        let (mut upkeep, mut timers) = upkeep(None);
        upkeep.ring();
        upkeep.pruned(step(Next::At(at(11))), true, at(10), &mut timers);
        assert_eq!(timers.earliest(), Some(after(at(10), PASS_PAUSE)));
        timers.pop_due(at(1_000));
        assert!(upkeep.ring().is_some());
        upkeep.pruned(Err(StoreError::Stopped), true, at(1_000), &mut timers);
        assert_eq!(timers.earliest(), Some(after(at(1_000), FAILURE_PAUSE)));
    }

    #[test]
    fn runs_beyond_the_limit_begin_a_pass_when_they_are_many() {
        let (mut upkeep, mut timers) = upkeep(Some(10));
        upkeep.ring();
        let Some(Job::Prune(_, progress)) = upkeep.counted(Ok(10), at(1), &mut timers) else { panic!("no step") };
        let step = Step { pruned: Pruned::default(), next: Next::Never, progress };
        upkeep.pruned(Ok(step), true, at(2), &mut timers);
        upkeep.note_ended(EXCESS_MIN, at(3), &mut timers);
        assert_eq!(timers.earliest(), Some(after(at(3), DAY)));
        upkeep.note_ended(1, at(3), &mut timers);
        assert_eq!(timers.earliest(), Some(after(at(3), STEP_PAUSE)));
    }

    #[test]
    fn an_engine_that_keeps_everything_does_nothing() {
        let mut timers = Timers::default();
        for policy in [None, Some(Retention::off())] {
            let mut upkeep = Upkeep::new(policy, &mut timers, at(0));
            upkeep.note_ended(1, at(1), &mut timers);
            assert!(timers.earliest().is_none() && upkeep.ring().is_none());
        }
    }
}
