//! A run in the driver's memory, and what is shown of it to others.
//!
//! Only the driver changes a run. Others are given pictures: copies of handles and states of one moment, which are
//! decoded where they are wanted. A run that has ended is shared as it is, as nothing changes it any more.

use std::{collections::BTreeMap, sync::Arc};

use cloacina_workflow::{TaskError, Timestamp};
use tokio::sync::watch;

use super::{catalog::Version, event::Phase, runner::TaskRunner, secret::Secrets};
use crate::{
    core::{
        admit::Admission,
        context::{Key, Value},
        decide::{Run, Task},
        explain::{self, gates},
        run, task,
    },
    id::RunId,
    view::GateHolder,
};

/// A run with what the core does not need to know of it.
#[derive(Debug)]
pub(crate) struct RunRecord {
    pub(crate) id: RunId,
    pub(crate) version: Arc<Version>,
    pub(crate) run: Run,
    pub(crate) created_at: Timestamp,
    /// Why tasks failed, by number.
    pub(crate) errors: BTreeMap<u32, Arc<TaskError>>,
    /// What must not be told of it.
    pub(crate) secrets: Arc<Secrets>,
}

/// A run that this engine drives now.
#[derive(Debug)]
pub(super) struct ActiveRun {
    pub(super) record: RunRecord,
    /// Absent while something is done to a run whose code is not there; then none of its tasks starts.
    pub(super) runner: Option<Arc<dyn TaskRunner>>,
    /// The number of the next row in its history.
    pub(super) next_sequence: i64,
    pub(super) phase: watch::Sender<Phase>,
    /// When its time is over, if that is being waited for.
    pub(super) limit: Option<Timestamp>,
    /// Commits of it that the store has not answered.
    pub(super) n_pending: usize,
    /// Higher each time that commits which the store refused are handed over again.
    pub(super) term: u32,
}

/// A gate in the run, or the one outside of it.
#[derive(Clone, Debug)]
pub(crate) enum PictureGate {
    Core(explain::Gate),
    Slot { running: usize, slots: usize, held_by: Vec<GateHolder> },
}

/// The slots of an engine as a picture shows them.
#[derive(Debug)]
pub(super) struct Slots<'a> {
    pub(super) admission: &'a Admission,
    /// Some of those who hold a slot.
    pub(super) held_by: Vec<GateHolder>,
}

/// A run as it was at one moment; only handles are copied to make one.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) id: RunId,
    pub(crate) version: Arc<Version>,
    pub(crate) state: run::State,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    /// By number, each with the gates that it waits at.
    pub(crate) tasks: Vec<(Task, Vec<PictureGate>)>,
    pub(crate) errors: BTreeMap<u32, Arc<TaskError>>,
    pub(crate) deltas: BTreeMap<u32, BTreeMap<Key, Option<Value>>>,
    pub(crate) context: BTreeMap<Key, (Option<u32>, Value)>,
    /// What is not to be shown of it.
    pub(crate) secrets: Arc<Secrets>,
}

impl ActiveRun {
    /// The run, if its tasks can be started.
    pub(super) fn with_code(&self) -> Option<(&Self, Arc<dyn TaskRunner>)> {
        self.runner.clone().map(|runner| (self, runner))
    }
}

impl RunRecord {
    /// What can be seen of a run that nobody drives.
    pub(crate) fn picture(&self) -> Picture {
        self.picture_with(|_| Vec::new())
    }

    /// The same, with the gates of the run itself. There is no engine here whose slots a task could wait for.
    pub(crate) fn picture_at_gates(&self) -> Picture {
        self.picture_with(|task| gates(&self.run, task).into_iter().map(PictureGate::Core).collect())
    }

    /// What can be seen of a run that is being driven.
    pub(super) fn picture_live(&self, slots: &Slots<'_>) -> Picture {
        self.picture_with(|task| {
            let mut waits_at: Vec<_> = gates(&self.run, task).into_iter().map(PictureGate::Core).collect();
            if self.run.tasks()[task as usize].state == task::State::Ready && waits_at.is_empty() {
                let Slots { admission, held_by } = slots;
                let (running, slots) = (admission.n_running(), admission.slots());
                waits_at.push(PictureGate::Slot { running, slots, held_by: held_by.clone() });
            }
            waits_at
        })
    }

    fn picture_with(&self, gates: impl Fn(u32) -> Vec<PictureGate>) -> Picture {
        let tasks = self.run.tasks().iter().zip(0..).map(|(task, number)| (task.clone(), gates(number)));
        Picture {
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
