//! A run in the driver's memory, and what is shown of it to others.

use std::{collections::BTreeMap, sync::Arc};

use cloacina_workflow::{TaskError, Timestamp};
use tokio::sync::watch;

use super::{catalog::Version, event::Phase, runner::TaskRunner};
use crate::{
    core::{
        admit::Admission,
        context::{Key, Value},
        decide::{Run, Task},
        explain::{Gate, gates},
        run,
    },
    id::RunId,
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
}

/// A run that this engine drives now.
#[derive(Debug)]
pub(super) struct ActiveRun {
    pub(super) record: RunRecord,
    pub(super) runner: Arc<dyn TaskRunner>,
    /// The number of the next row in its history.
    pub(super) next_sequence: i64,
    pub(super) phase: watch::Sender<Phase>,
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
    pub(crate) tasks: Vec<(Task, Vec<Gate>)>,
    pub(crate) errors: BTreeMap<u32, Arc<TaskError>>,
    pub(crate) deltas: BTreeMap<u32, BTreeMap<Key, Option<Value>>>,
    pub(crate) context: BTreeMap<Key, (Option<u32>, Value)>,
}

impl RunRecord {
    /// What can be seen of the run now; gates only of a run that is being driven.
    pub(crate) fn picture(&self, admission: Option<&Admission>) -> Picture {
        let tasks = self.run.tasks().iter().zip(0..).map(|(task, number)| {
            let gates = admission.map(|admission| gates(&self.run, number, admission)).unwrap_or_default();
            (task.clone(), gates)
        });
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
        }
    }
}
