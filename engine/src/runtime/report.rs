//! What users are shown of runs.
//!
//! Plain data with names instead of numbers. It is decoded by the caller that asks for it, never on the driver's thread, and
//! is the same whether it comes from memory or from the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::{Context, TaskError, Timestamp, Value};

use super::{
    active::{Picture, PictureGate},
    secret::Secrets,
};
use crate::{
    core::{
        context::{Key, Value as Raw},
        decide,
        effect::FailReason,
        explain,
        rule::{SkipReason, When},
        run, task,
    },
    id::RunId,
    store::{Error as StoreError, RunRow},
};

/// A run and all its tasks at one moment.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// The run.
    pub id: RunId,
    /// The full name of its workflow.
    pub workflow: String,
    /// The content digest of the package's version that it is pinned to; none for a workflow that is compiled in.
    pub digest: Option<Digest>,
    /// Where it stands.
    pub state: run::State,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its first task could start.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The tasks in the order of the source.
    pub tasks: Vec<TaskReport>,
    /// The input overlaid with what the tasks wrote that completed so far.
    pub context: Context<Value>,
    /// The task that wrote each key of the context; keys of the input are absent.
    pub producers: BTreeMap<String, String>,
    /// What retention has removed of it; the tasks, the context and the producers are without that.
    pub pruned: Option<PrunedPart>,
}

/// What retention has removed of a run that is still listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrunedPart {
    /// Its input, and what its tasks wrote.
    Context {
        /// When.
        at: Timestamp,
    },
    /// Its history, and with it everything about its tasks.
    History {
        /// When.
        at: Timestamp,
    },
}

/// One task of a run at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskReport {
    /// The task's id.
    pub id: String,
    /// Whether no other task depends on it.
    pub is_leaf: bool,
    /// Where it stands.
    pub state: task::State,
    /// The attempt that is running, that was the last, or that comes next; counts from 1.
    pub attempt: u32,
    /// When the attempt began.
    pub started_at: Option<Timestamp>,
    /// When the task became terminal.
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<TaskError>,
    /// Why it was skipped.
    pub skipped: Option<Skipped>,
    /// How the last attempt that ended did so; absent before.
    pub outcome: Option<AttemptOutcome>,
    /// When a waiting task runs again.
    pub retry_at: Option<Timestamp>,
    /// What it wrote.
    pub set: BTreeMap<String, Value>,
    /// What it removed.
    pub unset: BTreeSet<String>,
    /// Why it is not running.
    pub gates: Vec<Gate>,
}

/// Why a task was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skipped {
    /// That dependency failed, or was skipped for this very reason. Without failures the task might have run.
    UpstreamFailed {
        /// The dependency.
        dependency: String,
    },
    /// That dependency was skipped, and no failure is why.
    UpstreamSkipped {
        /// The dependency.
        dependency: String,
    },
    /// Its trigger rule did not hold, and would not have held without failures either.
    RuleNotMet,
}

impl Skipped {
    /// The name that is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::UpstreamFailed { .. } => "upstream_failed",
            Self::UpstreamSkipped { .. } => "upstream_skipped",
            Self::RuleNotMet => "rule_not_met",
        }
    }

    /// The dependency that is why.
    #[must_use]
    pub fn dependency(&self) -> Option<&str> {
        match self {
            Self::UpstreamFailed { dependency } | Self::UpstreamSkipped { dependency } => Some(dependency),
            Self::RuleNotMet => None,
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// It succeeded.
    Ok,
    /// It returned an error.
    Failed,
    /// Its time was over.
    TimedOut,
    /// It stopped because it was asked to.
    Cancelled,
    /// It panicked.
    Panicked,
    /// The engine ended while it was, or could have been, running.
    Interrupted,
    /// The process of its package ended by no fault of it, or its package must not be loaded and nothing of it ran.
    Lost,
    /// It ended after it had been given up, and does not count.
    Fenced,
}

impl AttemptOutcome {
    /// All outcomes.
    pub(crate) const ALL: [Self; 8] = [
        Self::Ok,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Panicked,
        Self::Interrupted,
        Self::Lost,
        Self::Fenced,
    ];

    /// The name that is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::Interrupted => "interrupted",
            Self::Lost => "lost",
            Self::Fenced => "fenced",
        }
    }

    fn of(task: &decide::Task) -> Option<Self> {
        Some(match (task.state, task.fail_reason) {
            (task::State::Completed, _) => Self::Ok,
            (task::State::Cancelled, _) => return task.started_at.map(|_| Self::Cancelled),
            (_, None) if task.n_interruptions > 0 => Self::Interrupted,
            (_, None) => return None,
            (_, Some(FailReason::Attempt)) => Self::Failed,
            (_, Some(FailReason::TimedOut)) => Self::TimedOut,
            (_, Some(FailReason::Panicked)) => Self::Panicked,
            (_, Some(FailReason::Cancelled)) => Self::Cancelled,
            (_, Some(FailReason::Interrupted)) => Self::Interrupted,
            (_, Some(FailReason::Lost)) => Self::Lost,
        })
    }
}

impl std::fmt::Display for AttemptOutcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// One reason why a task waits, with its present value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gate {
    /// The run has not been started.
    RunPending,
    /// The run starts later.
    RunDelayed {
        /// When.
        until: Timestamp,
    },
    /// The run is paused.
    RunPaused {
        /// Who paused it.
        by: String,
    },
    /// The run is being cancelled, or its time is over.
    RunClosing,
    /// The last attempt failed; the next one comes later.
    RetryAt {
        /// When.
        at: Timestamp,
    },
    /// The trigger rule is asked once all dependencies are terminal, or as soon as it is decided.
    TriggerRule {
        /// The rule as it is written in the source.
        rule: String,
        /// The tasks that it looks at and where they stand.
        tasks: Vec<(String, task::State)>,
        /// The keys of the context that it looks at.
        keys: Vec<String>,
        /// Whether the task does not wait for all its dependencies once the rule is decided.
        early: bool,
    },
    /// A dependency is not terminal.
    Dependency {
        /// The dependency.
        task: String,
        /// Where it stands.
        state: task::State,
    },
    /// All slots are taken, or other tasks are first.
    Slot {
        /// Attempts that are running.
        running: usize,
        /// How many may run at once.
        slots: usize,
        /// Some of those who hold them: run and task.
        held_by: Vec<(RunId, String)>,
    },
    /// The package of the run's workflow did harm, or is not trusted any more, and must not be used now.
    Quarantined {
        /// What it did.
        reason: String,
        /// When it is tried again; absent if somebody has to say so.
        until: Option<Timestamp>,
    },
    /// The package of the run's workflow is registered, but this engine cannot use it.
    Withheld {
        /// Why, and what may be done about it.
        reason: String,
    },
    /// The code of the run's workflow is not there.
    PackageMissing {
        /// The full name of the workflow.
        workflow: String,
    },
    /// The store refuses what happened to the run, so nothing follows from it. The engine tries again.
    StoreRefused {
        /// What the store said.
        reason: String,
        /// When the engine tries again.
        until: Timestamp,
    },
    /// The history of the run cannot be read. The engine tries again.
    HistoryUnread {
        /// What the store said.
        reason: String,
        /// When the engine tries again.
        until: Timestamp,
    },
    /// On a server: the engine that the run belongs to, which alone can start its tasks. The other gates are those that
    /// stand in the database.
    Owner {
        /// Its process.
        pid: Option<u32>,
        /// Its machine.
        host: Option<String>,
        /// Until when nobody else may take the run over.
        lease_until: Option<Timestamp>,
        /// Whether that moment has passed: the engine is dead, or cut off, and another one takes the run over.
        is_dead: bool,
    },
}

/// A run in brief.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunStatus {
    /// The run.
    pub id: RunId,
    /// The full name of its workflow.
    pub workflow: String,
    /// Where it stands.
    pub state: run::State,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its first task could start.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// One row of a run's history.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunEvent {
    /// Counts from 0 within the run, without gaps.
    pub sequence: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, such as `task_completed`.
    pub kind: &'static str,
    /// The task, if it is about one.
    pub task: Option<String>,
    /// The attempt, if it is about one.
    pub attempt: Option<u32>,
    /// The content digest of the package's version that ran the attempt.
    pub digest: Option<Digest>,
    /// What else is known: the input, a delta, an error.
    pub details: Value,
    /// For the end of an attempt: the processor time that it used up, as far as it is known.
    pub cpu: Option<Duration>,
    /// For the end of an attempt that was alone in its process: the most memory that this held, if it ended with it.
    pub peak_bytes: Option<u64>,
}

impl RunReport {
    /// How many tasks completed.
    #[must_use]
    pub fn n_completed(&self) -> usize {
        self.tasks.iter().filter(|task| task.state == task::State::Completed).count()
    }

    /// The tasks on which no other depends, in the order of the source.
    pub fn leaves(&self) -> impl Iterator<Item = &TaskReport> {
        self.tasks.iter().filter(|task| task.is_leaf)
    }

    /// Those of the leaves that were skipped: what the run did not do, whatever its state says.
    pub fn leaves_skipped(&self) -> impl Iterator<Item = &TaskReport> {
        self.leaves().filter(|task| task.state == task::State::Skipped)
    }

    /// The task of that id.
    #[must_use]
    pub fn task(&self, id: &str) -> Option<&TaskReport> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// Says of each task that has not ended that it waits there before all else.
    pub(crate) fn close(&mut self, gate: &Gate) {
        for task in self.tasks.iter_mut().filter(|task| !task.state.is_terminal()) {
            task.gates.insert(0, gate.clone());
        }
    }

    pub(crate) fn new(picture: Picture) -> Result<Self, StoreError> {
        let Picture {
            id,
            version,
            state,
            created_at,
            started_at,
            finished_at,
            tasks,
            errors,
            deltas,
            context,
            secrets,
        } = picture;
        let decode = |raw: &Raw| {
            let mut value = decode(raw)?;
            secrets.hide_json(&mut value);
            Ok::<Value, StoreError>(value)
        };
        let shown = |key: &Key, raw: &Raw| if secrets.is_key(key) { Ok(Secrets::hidden()) } else { decode(raw) };
        let name = |task: u32| version.plan.task(task).id.as_ref().to_owned();
        let states: Vec<task::State> = tasks.iter().map(|(task, _)| task.state).collect();
        let mut reports = Vec::with_capacity(tasks.len());
        for ((task, gates), number) in tasks.into_iter().zip(0..) {
            let (mut set, mut unset) = (BTreeMap::new(), BTreeSet::new());
            for (key, value) in deltas.get(&number).into_iter().flatten() {
                match value {
                    Some(value) => drop(set.insert(key.as_ref().to_owned(), shown(key, value)?)),
                    None => drop(unset.insert(key.as_ref().to_owned())),
                }
            }
            reports.push(TaskReport {
                id: name(number),
                is_leaf: version.plan.graph.children(number).is_empty(),
                state: task.state,
                attempt: task.attempt,
                started_at: task.started_at,
                finished_at: task.finished_at,
                error: errors.get(&number).map(|error| (**error).clone()),
                outcome: AttemptOutcome::of(&task),
                retry_at: task.due_at,
                skipped: task.skip_reason.map(|reason| match reason {
                    SkipReason::UpstreamFailed { dependency } => {
                        Skipped::UpstreamFailed { dependency: name(dependency) }
                    }
                    SkipReason::UpstreamSkipped { dependency } => {
                        Skipped::UpstreamSkipped { dependency: name(dependency) }
                    }
                    SkipReason::RuleNotMet => Skipped::RuleNotMet,
                }),
                set,
                unset,
                gates: gates.into_iter().map(|gate| Gate::named(gate, &name, &states)).collect(),
            });
        }
        let mut values = serde_json::Map::new();
        let mut producers = BTreeMap::new();
        for (key, (writer, value)) in context {
            values.insert(key.as_ref().to_owned(), shown(&key, &value)?);
            if let Some(writer) = writer {
                producers.insert(key.as_ref().to_owned(), name(writer));
            }
        }
        Ok(Self {
            id,
            workflow: version.key.full_name(),
            digest: version.key.content_digest(),
            state,
            created_at,
            started_at,
            finished_at,
            tasks: reports,
            context: Context::from_object(Value::Object(values)).unwrap_or_default(),
            producers,
            pruned: None,
        })
    }
}

impl PrunedPart {
    pub(crate) fn of(run: &RunRow) -> Option<Self> {
        let context = run.context_pruned_at.map(|at| Self::Context { at });
        run.events_pruned_at.map(|at| Self::History { at }).or(context)
    }

    /// When it was removed.
    #[must_use]
    pub fn at(self) -> Timestamp {
        match self {
            Self::Context { at } | Self::History { at } => at,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Context { .. } => "context",
            Self::History { .. } => "history",
        }
    }
}

impl Gate {
    fn named(gate: PictureGate, name: &dyn Fn(u32) -> String, states: &[task::State]) -> Self {
        let gate = match gate {
            PictureGate::Slot { running, slots, held_by } => return Self::Slot { running, slots, held_by },
            PictureGate::Core(gate) => gate,
        };
        match gate {
            explain::Gate::RunPending => Self::RunPending,
            explain::Gate::RunDelayed { until } => Self::RunDelayed { until },
            explain::Gate::RunPaused { by } => {
                Self::RunPaused { by: by.map_or_else(|| "unknown".to_owned(), |by| by.as_ref().to_owned()) }
            }
            explain::Gate::RunClosing => Self::RunClosing,
            explain::Gate::Dependency { task, state } => Self::Dependency { task: name(task), state },
            explain::Gate::Quarantined { reason, until } => {
                Self::Quarantined { reason: reason.as_ref().to_owned(), until }
            }
            explain::Gate::Withheld { reason } => Self::Withheld { reason: reason.as_ref().to_owned() },
            explain::Gate::RetryAt { at } => Self::RetryAt { at },
            explain::Gate::Rule { text, tasks, keys, when } => {
                let tasks = tasks.into_iter().map(|task| (name(task), states[task as usize]));
                Self::TriggerRule { rule: text, tasks: tasks.collect(), keys, early: when == When::Decided }
            }
        }
    }
}

fn decode(raw: &Raw) -> Result<Value, StoreError> {
    let raw: &Arc<_> = raw;
    serde_json::from_str(raw.get()).map_err(|error| StoreError::Corrupt { reason: format!("a value: {error}") })
}
