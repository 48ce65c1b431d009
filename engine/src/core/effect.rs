//! What a decision asks for: transitions to store first, effects to perform when they are stored.

use std::sync::Arc;

use super::{rule::SkipReason, run};

/// The answer of `decide`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    /// To be stored in one transaction, in this order.
    pub(crate) transitions: Vec<Transition>,
    /// To be performed after that, in this order.
    pub(crate) effects: Vec<Effect>,
}

/// A durable change of a run or of one of its tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    RunStarted,
    RunFinished {
        state: run::State,
    },
    /// A start that must be durable before it happens. Other starts are not stored: owning the run covers them.
    AttemptStarted {
        task: u32,
        attempt: u32,
    },
    AttemptInterrupted {
        task: u32,
        attempt: u32,
    },
    TaskCompleted {
        task: u32,
        attempt: u32,
    },
    TaskFailed {
        task: u32,
        attempt: u32,
        reason: FailReason,
    },
    TaskSkipped {
        task: u32,
        reason: SkipReason,
    },
    ContextConflict(Conflict),
}

/// Why a task failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailReason {
    /// Its last attempt did; the attempt's error tells more.
    Attempt,
    /// The engine ended too often, or once too often, while the task was running.
    Interrupted,
}

/// Two tasks, neither upstream of the other, wrote different values to one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Conflict {
    pub(crate) key: Arc<str>,
    /// The later in the workflow's order, whose value stands.
    pub(crate) winner: u32,
    pub(crate) loser: u32,
}

/// Something to do outside of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The task may run: let it wait for a slot.
    Offer { task: u32 },
    /// Start that attempt.
    Perform { task: u32, attempt: u32 },
    /// The run has ended: tell those who wait and forget it.
    Finish,
}
