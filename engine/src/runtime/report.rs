//! From what the driver knows of a run to what is shown of it.
//!
//! Plain data with names instead of numbers. It is decoded by the caller that asks for it, never on the driver's thread, and
//! is the same whether it comes from memory or from the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cloacina_workflow::{Context, Timestamp, Value};

use super::{
    catalog::Version,
    secret::Secrets,
    snapshot::{RunSnapshot, SnapshotGate},
};
use crate::{
    core::{
        context::{Key, Value as Raw},
        effect::FailReason,
        explain,
        node::NodeId,
        rule::{SkipReason, When},
        stage::Task,
        task,
    },
    store::{Error as StoreError, RunRow},
    view::{AttemptOutcome, Gate, GateTask, RunReport, RunStatus, Skipped, TaskReport},
};

impl RunStatus {
    /// A run whose tasks are not looked at.
    pub(crate) fn new(run: &RunRow, version: &Version, completed_tasks: Option<usize>) -> Self {
        Self {
            id: run.id,
            workflow: version.key.full_name(),
            tenant: version.key.tenant.clone(),
            digest: version.key.content_digest(),
            state: run.state,
            completed_tasks,
            total_tasks: version.plan.tasks.len(),
            created_at: run.created_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            context_removed_at: run.context_pruned_at,
            history_removed_at: run.events_pruned_at,
        }
    }
}

/// The number of the attempt that runs or was the last to begin: the driver counts on as soon as an attempt has failed.
pub(super) fn begun(attempt: u32, started_at: Option<Timestamp>) -> Option<u32> {
    match started_at {
        Some(_) => Some(attempt),
        None => attempt.checked_sub(1).filter(|attempt| *attempt > 0),
    }
}

impl AttemptOutcome {
    fn of(task: &Task) -> Option<Self> {
        Some(match (task.state(), task.fail_reason()) {
            (task::State::Completed, _) => Self::Ok,
            (task::State::Cancelled, _) => return task.started_at().map(|_| Self::Cancelled),
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

impl RunReport {
    /// Says of each task that has not ended that it waits there before all else.
    pub(crate) fn close(&mut self, gate: &Gate) {
        for task in self.tasks.iter_mut().filter(|task| !task.state.is_terminal()) {
            task.gates.insert(0, gate.clone());
        }
    }

    /// Says of each task that has not ended that it waits there as well.
    pub(crate) fn add_gate(&mut self, gate: &Gate) {
        for task in self.tasks.iter_mut().filter(|task| !task.state.is_terminal()) {
            task.gates.push(gate.clone());
        }
    }

    pub(crate) fn new(snapshot: RunSnapshot) -> Result<Self, StoreError> {
        let RunSnapshot {
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
        } = snapshot;
        let decode = |raw: &Raw| {
            let mut value = decode(raw)?;
            secrets.hide_json(&mut value);
            Ok::<Value, StoreError>(value)
        };
        let shown = |key: &Key, raw: &Raw| if secrets.is_key(key) { Ok(Secrets::hidden()) } else { decode(raw) };
        let name = |task: NodeId| version.plan.task(task).id.as_ref().to_owned();
        let states: Vec<task::State> = tasks.iter().map(|(task, _)| task.state()).collect();
        let mut reports = Vec::with_capacity(tasks.len());
        for (node, (task, gates)) in (0..).map(NodeId::at).zip(tasks) {
            let (mut set, mut unset) = (BTreeMap::new(), BTreeSet::new());
            for (key, value) in deltas.get(&node).into_iter().flatten() {
                match value {
                    Some(value) => drop(set.insert(key.as_ref().to_owned(), shown(key, value)?)),
                    None => drop(unset.insert(key.as_ref().to_owned())),
                }
            }
            reports.push(TaskReport {
                id: name(node),
                is_leaf: version.plan.graph.children(node).is_empty(),
                state: task.state(),
                attempt: begun(task.attempt, task.started_at()),
                started_at: task.started_at(),
                finished_at: task.finished_at(),
                error: errors.get(&node.task()).map(|error| (**error).clone()),
                outcome: AttemptOutcome::of(&task),
                retry_at: task.due_at(),
                skipped: task.skip_reason().map(|reason| match reason {
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
            status: RunStatus {
                id,
                workflow: version.key.full_name(),
                tenant: version.key.tenant.clone(),
                digest: version.key.content_digest(),
                state,
                completed_tasks: Some(states.iter().filter(|state| **state == task::State::Completed).count()),
                total_tasks: states.len(),
                created_at,
                started_at,
                finished_at,
                context_removed_at: None,
                history_removed_at: None,
            },
            tasks: reports,
            context: Context::from_object(Value::Object(values)).unwrap_or_default(),
            producers,
        })
    }
}

impl Gate {
    fn named(gate: SnapshotGate, name: &dyn Fn(NodeId) -> String, states: &[task::State]) -> Self {
        let gate = match gate {
            SnapshotGate::Slot { running, slots, held_by } => return Self::Slot { running, slots, held_by },
            SnapshotGate::Core(gate) => gate,
        };
        match gate {
            explain::Gate::RunPending => Self::RunPending,
            explain::Gate::RunDelayed { until } => Self::RunDelayed { until },
            explain::Gate::RunPaused { by } => Self::RunPaused { by: by.as_ref().to_owned() },
            explain::Gate::RunClosing => Self::RunClosing,
            explain::Gate::Dependency { task, state } => Self::Dependency { task: name(task), state },
            explain::Gate::Quarantined { reason, until } => {
                Self::Quarantined { reason: reason.as_ref().to_owned(), until }
            }
            explain::Gate::Withheld { reason } => Self::Withheld { reason: reason.as_ref().to_owned() },
            explain::Gate::RetryAt { at } => Self::RetryAt { at },
            explain::Gate::Rule { text, tasks, keys, when } => {
                let tasks =
                    tasks.into_iter().map(|task| GateTask { task: name(task), state: states[task.task().place()] });
                Self::TriggerRule { rule: text, tasks: tasks.collect(), keys, early: when == When::Decided }
            }
        }
    }
}

fn decode(raw: &Raw) -> Result<Value, StoreError> {
    let raw: &Arc<_> = raw;
    serde_json::from_str(raw.get()).map_err(|error| StoreError::Corrupt { reason: format!("a value: {error}") })
}
