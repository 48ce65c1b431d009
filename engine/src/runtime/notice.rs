//! Notices: what happens in an engine, told live to every subscriber.
//!
//! A notice is told after what it says is durable; logs and heartbeats are told at once and kept nowhere. Listening
//! never slows the engine: each listener has room for a bounded number of notices, and one that falls behind loses
//! the oldest and is told how many.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use cloacina_workflow::{Level, TaskError, Timestamp};
use tokio::sync::broadcast;

use super::{active::RunRecord, catalog::Version};
use crate::{
    RunState,
    core::{
        effect::Transition,
        node::{NodeId, TaskIndex},
        rule::SkipReason,
    },
    id::{RunId, Scope},
    store::{RunSignal, RunSignals},
};

/// Notices that a listener may be behind. Room for the logs of some hundred attempts that all talk at once.
const NOTICES_MAX: usize = 4096;

/// One thing that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Notice {
    /// The run that it happened to.
    pub run: RunId,
    /// The task, if it is about one.
    pub task: Option<Arc<str>>,
    /// The attempt, counted from 1; 0 if it is about none.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: NoticeKind,
    /// The version of its workflow, which knows the tenant; none of a run that the engine has just forgotten.
    pub(crate) version: Option<Arc<Version>>,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NoticeKind {
    /// The run was created and begins.
    RunStarted,
    /// An attempt begins.
    Started,
    /// The task completed.
    Completed,
    /// The task failed.
    Failed {
        /// Why.
        error: TaskError,
    },
    /// The task will not run.
    Skipped {
        /// The dependency that failed or was itself skipped.
        because_of: Arc<str>,
    },
    /// The task will not run because its trigger rule did not hold.
    RuledOut,
    /// The attempt failed and another one follows.
    Retrying {
        /// Why it failed.
        error: TaskError,
        /// When the next one comes.
        at: Timestamp,
    },
    /// The task was cancelled with its run.
    Cancelled,
    /// The callback of the task was called.
    CallbackEnded {
        /// Why it failed, if it did.
        error: Option<TaskError>,
    },
    /// The run was paused.
    RunPaused,
    /// The run was resumed.
    RunResumed,
    /// The run is being cancelled.
    RunCancelling,
    /// The run has used up its time.
    RunTimedOut,
    /// The engine ended while the attempt could have been running; another one follows.
    Interrupted,
    /// The process in which the attempt ran ended by no fault of it, or its package must not be loaded; another one
    /// follows as soon as the run's gates are open.
    Lost {
        /// How the process ended, or why the package must not be loaded.
        error: TaskError,
    },
    /// Two tasks wrote different values to one key.
    ContextConflict {
        /// The key.
        key: Arc<str>,
        /// The task whose value stands.
        winner: Arc<str>,
        /// The task whose value is hidden.
        loser: Arc<str>,
    },
    /// The task wrote a line to its log.
    Log {
        /// How important it is.
        level: Level,
        /// Where it came from, by convention a module.
        target: String,
        /// The line.
        message: String,
        /// A JSON object as text, or empty.
        fields: String,
    },
    /// The task showed that it is alive.
    Heartbeat {
        /// How far it is, in thousandths.
        permille: u32,
        /// What it is at.
        note: String,
    },
    /// The run has ended.
    RunFinished {
        /// How.
        state: RunState,
    },
}

/// What listeners are told of a transition that has become durable, and of which task and attempt; nothing of some.
pub(super) fn told(transition: &Transition, record: &RunRecord) -> Option<(Option<(TaskIndex, u32)>, NoticeKind)> {
    let name = |task: NodeId| Arc::clone(&record.version.plan.task(task).id);
    let error = |task: &TaskIndex| record.errors.get(task).map(|error| (**error).clone());
    Some(match transition {
        Transition::RunStarted { .. } => (None, NoticeKind::RunStarted),
        Transition::RunPaused { .. } => (None, NoticeKind::RunPaused),
        Transition::RunResumed { .. } => (None, NoticeKind::RunResumed),
        Transition::RunCancelRequested { .. } => (None, NoticeKind::RunCancelling),
        Transition::RunTimedOut => (None, NoticeKind::RunTimedOut),
        Transition::RunFinished { end } => (None, NoticeKind::RunFinished { state: end.state() }),
        // An attempt is told of when it starts, and the end of a callback where its error is known.
        Transition::AttemptStarted { .. }
        | Transition::CallbackEnded { .. }
        | Transition::RunDelayed { .. }
        | Transition::RetryRequested { .. }
        | Transition::TaskReady { .. }
        | Transition::TaskDue { .. }
        | Transition::TaskReused { .. }
        | Transition::TaskReleased { .. } => return None,
        Transition::AttemptInterrupted { task, attempt } => (Some((*task, *attempt)), NoticeKind::Interrupted),
        Transition::AttemptLost { task, attempt, .. } => {
            (Some((*task, *attempt)), NoticeKind::Lost { error: error(task)? })
        }
        Transition::TaskCompleted { task, attempt, .. } => (Some((*task, *attempt)), NoticeKind::Completed),
        Transition::AttemptFailed { task, attempt, due_at, .. } => {
            (Some((*task, *attempt)), NoticeKind::Retrying { error: error(task)?, at: *due_at })
        }
        Transition::TaskFailed { task, attempt, .. } => {
            (Some((*task, *attempt)), NoticeKind::Failed { error: error(task)? })
        }
        Transition::TaskCancelled { task, attempt, .. } => (Some((*task, attempt.unwrap_or(0))), NoticeKind::Cancelled),
        Transition::TaskSkipped {
            task,
            reason: SkipReason::UpstreamFailed { dependency } | SkipReason::UpstreamSkipped { dependency },
        } => (Some((*task, 0)), NoticeKind::Skipped { because_of: name(*dependency) }),
        Transition::TaskSkipped { task, reason: SkipReason::RuleNotMet } => (Some((*task, 0)), NoticeKind::RuledOut),
        Transition::ContextConflict(conflict) => {
            let (winner, loser) = (name(conflict.winner), name(conflict.loser));
            (None, NoticeKind::ContextConflict { key: Arc::clone(&conflict.key), winner, loser })
        }
    })
}

/// A listener's notices; made by `Engine::subscribe`.
#[derive(Debug)]
pub struct Notices {
    /// Gone once the engine has shut down.
    receiver: Option<broadcast::Receiver<Option<Notice>>>,
    n_dropped: u64,
    /// Of which tenants.
    scope: Scope,
}

impl Notice {
    fn is_of(&self, scope: &Scope) -> bool {
        let tenant = self.version.as_ref().map(|version| version.key.tenant.as_str());
        *scope == Scope::Every || tenant.is_some_and(|tenant| scope.has(tenant))
    }
}

impl Notices {
    /// The next notice; `None` when the engine has shut down.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            match self.receiver.as_mut()?.recv().await {
                Ok(Some(notice)) if notice.is_of(&self.scope) => return Some(notice),
                Ok(Some(_)) => {}
                Err(broadcast::error::RecvError::Lagged(n_dropped)) => self.n_dropped += n_dropped,
                Ok(None) | Err(broadcast::error::RecvError::Closed) => self.receiver = None,
            }
        }
    }

    /// How many notices were lost because this listener was behind.
    #[must_use]
    pub fn n_dropped(&self) -> u64 {
        self.n_dropped
    }
}

/// Where notices are put up.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    /// `None` is the last of all.
    sender: broadcast::Sender<Option<Notice>>,
    is_closed: Arc<AtomicBool>,
    /// Tells those who follow a run that its history has become longer. They read that, and need no notices.
    histories: RunSignals,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(NOTICES_MAX),
            is_closed: Arc::default(),
            histories: RunSignals::default(),
        }
    }

    pub(crate) fn subscribe(&self, scope: Scope) -> Notices {
        let receiver = self.sender.subscribe();
        // Asked after subscribing, so a caller that is not told here is told by the last notice.
        let is_closed = self.is_closed.load(Ordering::SeqCst);
        Notices { receiver: (!is_closed).then_some(receiver), n_dropped: 0, scope }
    }

    /// Follows the history of a run: tells when more of it is durable.
    pub(crate) fn follow(&self, run: RunId) -> RunSignal {
        self.histories.follow(run)
    }

    /// Tells those who follow the run that more of its history is durable.
    pub(super) fn more_of(&self, run: RunId) {
        self.histories.give([run]);
    }

    /// Tells all listeners that nothing follows.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        // There may be no listener.
        self.sender.send(None).ok();
    }

    /// Whether anyone listens; if not, notices need not even be made.
    pub(crate) fn is_watched(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    pub(crate) fn put(&self, notice: Notice) {
        if self.is_watched() {
            // The last listener may have left just now.
            self.sender.send(Some(notice)).ok();
        }
    }
}
