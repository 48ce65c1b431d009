//! What is shown of a run to others: pictures, which are copies of handles and states of one moment.
//!
//! A snapshot is decoded where it is wanted, so that the driver spends little on it.

use std::{collections::BTreeMap, sync::Arc};

use cloacina_workflow::{TaskError, Timestamp};

use super::{active::RunRecord, catalog::Version, secret::Secrets};
use crate::{
    core::{
        context::{Key, Value},
        explain::{self, gates},
        node::{NodeId, TaskIndex},
        run,
        stage::Task,
        task,
    },
    id::RunId,
    view::GateHolder,
};

/// A gate in the run, or the one outside of it.
#[derive(Clone, Debug)]
pub(crate) enum SnapshotGate {
    Core(explain::Gate),
    Slot { running: usize, slots: usize, held_by: Vec<GateHolder> },
}

/// The slots of an engine as a snapshot shows them.
#[derive(Debug)]
pub(super) struct Slots {
    pub(super) n_running: usize,
    pub(super) n_slots: usize,
    /// Some of the tasks that hold a slot.
    pub(super) held_by: Vec<GateHolder>,
}

/// A run as it was at one moment; only handles are copied to make one.
#[derive(Debug)]
pub(crate) struct RunSnapshot {
    pub(crate) id: RunId,
    pub(crate) version: Arc<Version>,
    pub(crate) state: run::State,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    /// By number, each with the gates that it waits at.
    pub(crate) tasks: Vec<(Task, Vec<SnapshotGate>)>,
    pub(crate) errors: BTreeMap<TaskIndex, Arc<TaskError>>,
    pub(crate) deltas: BTreeMap<NodeId, BTreeMap<Key, Option<Value>>>,
    pub(crate) context: BTreeMap<Key, (Option<NodeId>, Value)>,
    /// What is not to be shown of it.
    pub(crate) secrets: Arc<Secrets>,
}

impl RunRecord {
    /// What can be seen of a run that nobody drives.
    pub(crate) fn snapshot(&self) -> RunSnapshot {
        self.snapshot_with(|_| Vec::new())
    }

    /// The same, with the gates of the run itself. There is no engine here whose slots a task could wait for.
    pub(crate) fn snapshot_with_gates(&self) -> RunSnapshot {
        self.snapshot_with(|task| gates(&self.run, task).into_iter().map(SnapshotGate::Core).collect())
    }

    /// What can be seen of a run that is being driven.
    pub(super) fn live_snapshot(&self, slots: &Slots) -> RunSnapshot {
        self.snapshot_with(|task| {
            let mut waits_at: Vec<_> = gates(&self.run, task).into_iter().map(SnapshotGate::Core).collect();
            if self.run.tasks()[task.place()].state() == task::State::Ready && waits_at.is_empty() {
                let &Slots { n_running, n_slots, ref held_by } = slots;
                waits_at.push(SnapshotGate::Slot { running: n_running, slots: n_slots, held_by: held_by.clone() });
            }
            waits_at
        })
    }

    fn snapshot_with(&self, gates: impl Fn(TaskIndex) -> Vec<SnapshotGate>) -> RunSnapshot {
        let tasks = self.run.numbered().map(|(number, task)| (task.clone(), gates(number)));
        RunSnapshot {
            id: self.id,
            version: self.version.clone(),
            state: self.run.state(),
            created_at: self.created_at,
            started_at: self.run.started_at(),
            finished_at: self.run.finished_at(),
            tasks: tasks.collect(),
            errors: self.errors.clone(),
            deltas: self.run.deltas(),
            context: self.run.context(),
            secrets: Arc::clone(&self.secrets),
        }
    }
}
