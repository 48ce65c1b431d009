//! Where runs and tasks stand, with the data that belongs to each state.
//!
//! What belongs to one state sits in its variant, so an impossible combination cannot be written. The names of the states
//! are in [`super::run`] and [`super::task`]; they are what is stored and shown.

use std::{collections::BTreeSet, sync::Arc};

use cloacina_workflow::Timestamp;

use super::{
    effect::{Actor, FailReason},
    node::TaskIndex,
    rule::{SkipReason, Standing, Upstream},
    run, task,
};

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunStage {
    Open(Open),
    /// Nothing new starts; the run ends when what runs has ended.
    Closing {
        before: Open,
        why: Closing,
    },
    Ended {
        end: run::End,
        /// Absent if it was cancelled before it began.
        started_at: Option<Timestamp>,
        finished_at: Timestamp,
    },
}

/// A run that has not ended, and with no request to end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    Pending {
        /// When a run that was created for later starts.
        delayed_until: Option<Timestamp>,
    },
    Running {
        started_at: Timestamp,
    },
    Paused {
        started_at: Timestamp,
        by: Actor,
        /// Tasks that may run although the run is paused.
        released: BTreeSet<TaskIndex>,
    },
}

/// Why a run ends before its tasks have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    Cancelled { by: Actor },
    TimedOut,
}

/// Why the package of a run must not be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantine {
    pub(crate) reason: Arc<str>,
    /// When the next try is; absent if it needs a request.
    pub(crate) until: Option<Timestamp>,
    /// Whether only this engine cannot use it, and it is not quarantined.
    pub(crate) is_here: bool,
}

/// A task in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) stage: TaskStage,
    /// The attempt that is running, or the next one; counts from 1.
    pub(crate) attempt: u32,
    /// Interruptions since the task last ended an attempt by itself.
    pub(crate) n_interruptions: u32,
    /// Attempts that failed by themselves and were followed by another one.
    pub(crate) n_failures: u32,
    /// Why the attempt before the present one failed, if the task has not ended.
    pub(crate) last_failure: Option<FailReason>,
    pub(super) upstream: Upstream,
}

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TaskStage {
    Pending,
    Ready,
    Running {
        started_at: Timestamp,
    },
    Waiting {
        due_at: Timestamp,
    },
    Completed {
        started_at: Timestamp,
        finished_at: Timestamp,
        /// Whether its callback is still to be called.
        has_callback: bool,
    },
    Failed {
        reason: FailReason,
        /// Absent if it is not known that the last attempt began.
        started_at: Option<Timestamp>,
        finished_at: Timestamp,
        /// Whether its callback is still to be called.
        has_callback: bool,
    },
    Skipped {
        reason: SkipReason,
        finished_at: Timestamp,
    },
    Cancelled {
        /// Absent if no attempt was under way.
        started_at: Option<Timestamp>,
        finished_at: Timestamp,
    },
}

impl RunStage {
    pub(crate) fn state(&self) -> run::State {
        match self {
            Self::Open(open) | Self::Closing { before: open, .. } => open.state(),
            Self::Ended { end, .. } => end.state(),
        }
    }

    pub(crate) fn closing(&self) -> Option<&Closing> {
        match self {
            Self::Closing { why, .. } => Some(why),
            Self::Open(_) | Self::Ended { .. } => None,
        }
    }

    pub(crate) fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Open(open) | Self::Closing { before: open, .. } => open.started_at(),
            Self::Ended { started_at, .. } => *started_at,
        }
    }

    pub(crate) fn finished_at(&self) -> Option<Timestamp> {
        match self {
            Self::Open(_) | Self::Closing { .. } => None,
            Self::Ended { finished_at, .. } => Some(*finished_at),
        }
    }
}

impl Open {
    fn state(&self) -> run::State {
        match self {
            Self::Pending { .. } => run::State::Pending,
            Self::Running { .. } => run::State::Running,
            Self::Paused { .. } => run::State::Paused,
        }
    }

    fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { .. } => None,
            Self::Running { started_at } | Self::Paused { started_at, .. } => Some(*started_at),
        }
    }
}

impl Task {
    pub(super) fn new(n_dependencies: u32) -> Self {
        Self {
            stage: TaskStage::Pending,
            attempt: 1,
            n_interruptions: 0,
            n_failures: 0,
            last_failure: None,
            upstream: Upstream { open: n_dependencies, ..Upstream::default() },
        }
    }

    pub(crate) fn state(&self) -> task::State {
        self.stage.state()
    }

    /// When the attempt began that is running, or was the last.
    pub(crate) fn started_at(&self) -> Option<Timestamp> {
        match &self.stage {
            TaskStage::Running { started_at } | TaskStage::Completed { started_at, .. } => Some(*started_at),
            TaskStage::Failed { started_at, .. } | TaskStage::Cancelled { started_at, .. } => *started_at,
            TaskStage::Pending | TaskStage::Ready | TaskStage::Waiting { .. } | TaskStage::Skipped { .. } => None,
        }
    }

    pub(crate) fn finished_at(&self) -> Option<Timestamp> {
        match &self.stage {
            TaskStage::Completed { finished_at, .. }
            | TaskStage::Failed { finished_at, .. }
            | TaskStage::Skipped { finished_at, .. }
            | TaskStage::Cancelled { finished_at, .. } => Some(*finished_at),
            TaskStage::Pending | TaskStage::Ready | TaskStage::Running { .. } | TaskStage::Waiting { .. } => None,
        }
    }

    /// When a waiting task may run again.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        match self.stage {
            TaskStage::Waiting { due_at } => Some(due_at),
            _ => None,
        }
    }

    pub(crate) fn skip_reason(&self) -> Option<SkipReason> {
        match self.stage {
            TaskStage::Skipped { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Why the last attempt failed.
    pub(crate) fn fail_reason(&self) -> Option<FailReason> {
        match self.stage {
            TaskStage::Failed { reason, .. } => Some(reason),
            _ => self.last_failure,
        }
    }

    pub(crate) fn has_open_callback(&self) -> bool {
        match self.stage {
            TaskStage::Completed { has_callback, .. } | TaskStage::Failed { has_callback, .. } => has_callback,
            _ => false,
        }
    }

    /// What trigger rules see of the task.
    pub(super) fn standing(&self) -> Standing {
        match self.stage {
            // No rule is asked in a run that is being cancelled.
            TaskStage::Pending
            | TaskStage::Ready
            | TaskStage::Running { .. }
            | TaskStage::Waiting { .. }
            | TaskStage::Cancelled { .. } => Standing::Open,
            TaskStage::Completed { .. } => Standing::Completed,
            TaskStage::Failed { .. } => Standing::Failed,
            TaskStage::Skipped { reason, .. } => {
                Standing::Skipped { after_failure: matches!(reason, SkipReason::UpstreamFailed { .. }) }
            }
        }
    }
}

impl TaskStage {
    pub(crate) fn state(&self) -> task::State {
        match self {
            Self::Pending => task::State::Pending,
            Self::Ready => task::State::Ready,
            Self::Running { .. } => task::State::Running,
            Self::Waiting { .. } => task::State::Waiting,
            Self::Completed { .. } => task::State::Completed,
            Self::Failed { .. } => task::State::Failed,
            Self::Skipped { .. } => task::State::Skipped,
            Self::Cancelled { .. } => task::State::Cancelled,
        }
    }
}
