//! What a decision consists of: transitions, which change the run and are stored, and effects, which are performed when
//! the transitions are stored.
//!
//! Both are closed lists of plain data. A transition carries all that applying it needs; an effect may be asked for twice,
//! after a crash, and then does the same or nothing.

use std::{sync::Arc, time::Duration};

use cloacina_workflow::{Timestamp, payload::Delta};

use super::{
    node::{NodeId, TaskIndex},
    rule::SkipReason,
    run,
};

/// The answer of `decide`.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    /// What has changed, in this order. Those that are stored are stored in one transaction.
    pub(crate) transitions: Vec<Transition>,
    /// To be performed after that, in this order.
    pub(crate) effects: Vec<Effect>,
}

impl Decision {
    /// Whether anything of it must be stored before its effects are performed.
    pub(crate) fn is_stored(&self) -> bool {
        self.transitions.iter().any(Transition::is_stored)
    }

    /// Takes out what a pipelined workflow does not wait for: its tasks may run once those they depend on completed,
    /// durably or not. Whatever they lead to is stored after it.
    pub(crate) fn take_early(&mut self) -> Vec<Effect> {
        let completes = |transition: &Transition| matches!(transition, Transition::TaskCompleted { .. });
        if !self.transitions.iter().any(completes) {
            return Vec::new();
        }
        self.effects.extract_if(.., |effect| matches!(effect, Effect::Enqueue { .. })).collect()
    }
}

/// The actor that asked for something, as it is kept in the history.
pub(crate) type Actor = Arc<str>;

/// A change of a run or of one of its tasks. Nothing else changes a run: see `apply`.
#[derive(Clone, Debug)]
pub(crate) enum Transition {
    RunDelayed {
        until: Timestamp,
    },
    /// By the actor that let a run begin that waited to be started.
    RunStarted {
        by: Option<Actor>,
    },
    RunPaused {
        by: Actor,
    },
    RunResumed {
        by: Actor,
    },
    /// The run does not go on, but that task may.
    TaskReleased {
        task: TaskIndex,
        by: Actor,
    },
    /// From here on nothing new starts; the run ends when what runs has ended.
    RunCancelRequested {
        by: Actor,
    },
    /// The same, because the run's time is over.
    RunTimedOut,
    RunFinished {
        end: run::End,
    },
    /// The task may run. Mostly the ends of its dependencies imply it. It is stored for a task whose rule may let it run
    /// earlier or later than that: what it sees is the context of that moment.
    TaskReady {
        task: TaskIndex,
        is_implied: bool,
    },
    /// Stored only if the start must be durable before it happens. Other starts are covered by owning the run.
    AttemptStarted {
        task: TaskIndex,
        attempt: u32,
        is_durable: bool,
    },
    AttemptInterrupted {
        task: TaskIndex,
        attempt: u32,
    },
    /// The process in which the attempt ran ended by no fault of it; another one follows at once.
    AttemptLost {
        task: TaskIndex,
        attempt: u32,
        started_at: Timestamp,
    },
    /// The attempt failed and another one comes at that time.
    AttemptFailed {
        task: TaskIndex,
        attempt: u32,
        started_at: Timestamp,
        reason: FailReason,
        due_at: Timestamp,
    },
    /// That time has come. Not stored: the time itself is.
    TaskDue {
        task: TaskIndex,
    },
    /// A request ended the wait for that time.
    RetryRequested {
        task: TaskIndex,
        by: Actor,
    },
    TaskCompleted {
        task: TaskIndex,
        attempt: u32,
        started_at: Timestamp,
        delta: Arc<Delta>,
    },
    /// The task completed in the run from which this one is derived, at those times.
    TaskReused {
        task: TaskIndex,
        attempt: u32,
        started_at: Timestamp,
        finished_at: Timestamp,
        delta: Arc<Delta>,
    },
    TaskFailed {
        task: TaskIndex,
        attempt: u32,
        /// Absent if the attempt has not ended by itself.
        started_at: Option<Timestamp>,
        reason: FailReason,
    },
    TaskSkipped {
        task: TaskIndex,
        reason: SkipReason,
    },
    /// `attempt` if one was under way; `abandoned` if it did not stop when asked.
    TaskCancelled {
        task: TaskIndex,
        attempt: Option<u32>,
        /// Absent if no attempt has ended by itself.
        started_at: Option<Timestamp>,
        abandoned: bool,
    },
    CallbackEnded {
        task: TaskIndex,
        failed: bool,
    },
    /// A note: it changes nothing.
    ContextConflict(Conflict),
}

/// Why an attempt, and with it perhaps the task, failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailReason {
    /// It returned an error, which tells more.
    Attempt,
    /// Its time was over.
    TimedOut,
    /// It panicked.
    Panicked,
    /// It reported that it was cancelled, although there was no request.
    Cancelled,
    /// The engine ended too often, or once too often, while the task was running.
    Interrupted,
    /// The process of its package ended by no fault of it.
    Lost,
}

/// Two tasks wrote different values to one key, and neither saw what the other wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Conflict {
    pub(crate) key: Arc<str>,
    /// The later in the workflow's order, whose value stands.
    pub(crate) winner: NodeId,
    pub(crate) loser: NodeId,
}

/// Something to do outside of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The task may run: let it wait for a slot.
    Enqueue { task: TaskIndex },
    /// Its callback is to be called: let it wait for a slot.
    EnqueueCallback { task: TaskIndex },
    /// Start that attempt.
    Perform { task: TaskIndex, attempt: u32 },
    /// Ask that attempt to stop, and give it up if it does not.
    Stop { task: TaskIndex, attempt: u32 },
    /// Say when it is time for the next attempt.
    WakeTask { task: TaskIndex, at: Timestamp },
    /// Say when it is time to start the run.
    WakeRun { at: Timestamp },
    /// Say when the run has reached its timeout.
    LimitRun { at: Timestamp },
    /// The run has ended: answer the waiting clients and forget it.
    Finish,
}

/// What else there is to know of a kind of transition.
#[derive(Clone, Copy, Debug)]
struct Nature {
    is_stored: bool,
    moves_run: bool,
    is_consequence: bool,
}

impl Transition {
    /// Whether it is a row of the run's history. What is not stored is implied by what is: see `replay`.
    pub(crate) fn is_stored(&self) -> bool {
        self.nature().is_stored
    }

    /// Whether the state of the run, or when it began or ended, is another after it.
    pub(crate) fn moves_run(&self) -> bool {
        self.nature().moves_run
    }

    /// Whether it follows, in the same decision, from the transition before it. Tasks that the transition before made
    /// ready are made so after the last that follows from it.
    pub(crate) fn is_consequence(&self) -> bool {
        self.nature().is_consequence
    }

    fn nature(&self) -> Nature {
        let plain = Nature { is_stored: true, moves_run: false, is_consequence: false };
        match self {
            Self::RunStarted { .. } | Self::RunPaused { .. } | Self::RunResumed { .. } => {
                Nature { moves_run: true, ..plain }
            }
            Self::RunFinished { .. } => Nature { moves_run: true, is_consequence: true, ..plain },
            Self::TaskReady { is_implied, .. } => Nature { is_stored: !is_implied, is_consequence: true, ..plain },
            Self::TaskSkipped { .. } | Self::ContextConflict(_) => Nature { is_consequence: true, ..plain },
            Self::AttemptStarted { is_durable, .. } => Nature { is_stored: *is_durable, ..plain },
            Self::TaskDue { .. } => Nature { is_stored: false, ..plain },
            Self::RunDelayed { .. }
            | Self::RunCancelRequested { .. }
            | Self::RunTimedOut
            | Self::TaskReleased { .. }
            | Self::AttemptInterrupted { .. }
            | Self::AttemptLost { .. }
            | Self::AttemptFailed { .. }
            | Self::RetryRequested { .. }
            | Self::TaskCompleted { .. }
            | Self::TaskReused { .. }
            | Self::TaskFailed { .. }
            | Self::TaskCancelled { .. }
            | Self::CallbackEnded { .. } => plain,
        }
    }
}

impl FailReason {
    /// What an error of that kind means.
    pub(crate) fn of_kind(kind: &str) -> Self {
        match kind {
            "timed_out" => Self::TimedOut,
            "panicked" => Self::Panicked,
            "cancelled" => Self::Cancelled,
            _ => Self::Attempt,
        }
    }
}

/// The moment so much earlier, or the beginning of time.
pub(crate) fn before(at: Timestamp, age: Duration) -> Timestamp {
    let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
    Timestamp::from_unix_micros(at.unix_micros().saturating_sub(age))
}

/// The moment so much later.
pub(crate) fn after(at: Timestamp, wait: Duration) -> Timestamp {
    let wait = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
    // Columns hold signed numbers, and no wait is longer than the largest.
    Timestamp::from_unix_micros(at.unix_micros().saturating_add(wait).min(i64::MAX.unsigned_abs()))
}
