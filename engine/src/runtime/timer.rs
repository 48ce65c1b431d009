//! Timers: what is due when. The driver sleeps until the earliest and not at all if there is none.

use std::collections::BTreeSet;

use cloacina_workflow::Timestamp;

use super::runner::AttemptKey;
use crate::{core::node::TaskIndex, id::RunId};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Attempts have had their time to finish.
    ShutdownDeadline,
    /// It is time to try again to begin an epoch in the place of that one.
    EpochDue { before: i64 },
    /// It is time to take over runs again, after that failed.
    TakeoverDue,
    /// Something may be due that need not be kept.
    Upkeep,
    /// It is time to read histories again that could not be read.
    HistoriesDue,
    /// Something is due in a run in memory.
    Run(RunTimer),
}

/// What a timer is for that is about a run in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RunTimer {
    /// The attempt has used up its time.
    AttemptDeadline(AttemptKey),
    /// The attempt was asked to stop and has had its time to do so.
    AttemptGrace(AttemptKey),
    /// The task's next attempt may start.
    TaskDue { run: RunId, task: TaskIndex },
    /// The run may start.
    RunDue { run: RunId },
    /// The run has used up its time.
    RunLimit { run: RunId },
    /// It is time to hand the run's commits over again that the store refused.
    CommitsDue { run: RunId },
}

impl From<RunTimer> for Timer {
    fn from(timer: RunTimer) -> Self {
        Self::Run(timer)
    }
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Timestamp, Timer)>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Timestamp, timer: impl Into<Timer>) {
        self.due.insert((at, timer.into()));
    }

    /// Takes back what [`Self::set`] did, so that nothing wakes up for it.
    pub(super) fn unset(&mut self, at: Timestamp, timer: impl Into<Timer>) {
        self.due.remove(&(at, timer.into()));
    }

    /// Takes back all that are about a run.
    pub(super) fn unset_runs(&mut self) {
        self.due.retain(|(_, timer)| match timer {
            Timer::ShutdownDeadline | Timer::EpochDue { .. } | Timer::Upkeep | Timer::TakeoverDue => true,
            Timer::Run(_) | Timer::HistoriesDue => false,
        });
    }

    /// Whether one for that is set.
    #[cfg(debug_assertions)]
    pub(super) fn has(&self, timer: impl Into<Timer>) -> bool {
        let timer = timer.into();
        self.due.iter().any(|(_, set)| *set == timer)
    }

    /// When the earliest timer is due.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer if it is due.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        self.due.pop_first().map(|(_, timer)| timer)
    }
}
