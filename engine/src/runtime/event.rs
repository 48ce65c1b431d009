//! Everything that wakes the driver.
//!
//! The queue has no bound of its own; its sources have: submissions hold a permit until they are answered, attempts a
//! slot until they end, and each commit belongs to one of those.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cloacina_workflow::Timestamp;
use tokio::sync::{oneshot, watch};

use super::{
    active::RunRecord,
    catalog::{Version, Workflow},
    dormant::Asked,
    prune::Step,
    runner::{Ended, TaskRunner},
    snapshot::RunSnapshot,
};
use crate::{
    Error,
    core::{
        context::{Key, Value},
        effect::Actor,
        stage::Quarantine,
    },
    id::{RunId, WorkflowId},
    store::{Error as StoreError, EventRow, Outcome, RunRow, TakenOver},
    view::Gate,
};

/// Something for the driver to do.
pub(crate) enum Event {
    /// New runs, which are handed over together.
    Submit(Vec<(Submission, SubmissionAnswer)>),
    /// An attempt ended.
    Ended(Box<Ended>),
    /// Somebody asks something of a run.
    Control { run: RunId, action: Action, by: Actor, answer: oneshot::Sender<Result<(), Error>> },
    /// The store answers the oldest commits, in order.
    Committed(Vec<Outcome>),
    /// Code that runs may wait for is there now.
    WorkflowAdded(Workflow),
    /// Nothing of these workflows starts, for that reason; without one, it goes on.
    Quarantine { workflows: Vec<WorkflowId>, quarantine: Option<Quarantine> },
    /// Histories of runs that waited for their code.
    Loaded {
        /// The epoch under which they were asked for.
        epoch: Option<i64>,
        version: Arc<Version>,
        /// Absent if the code is not there, and something is to be done without it.
        runner: Option<Arc<dyn TaskRunner>>,
        /// One that cannot be read keeps no other from being driven.
        runs: Vec<HistoryRead>,
    },
    /// Somebody wants to wait for a run; `None` if it is not one that this engine drives.
    Watch { run: RunId, answer: oneshot::Sender<Option<watch::Receiver<Phase>>> },
    /// Somebody wants to look at a run.
    Inspect { run: RunId, answer: oneshot::Sender<Inspected> },
    /// The engine knows its workflows; answered when the runs that it can go on with are its own.
    Seek { answer: oneshot::Sender<()> },
    /// Epochs of other engines are over.
    Orphaned { epochs: Vec<i64> },
    /// Runs that were taken over.
    TakenOver { epoch: i64, taken: Result<TakenOver, StoreError> },
    /// The run about which an engine that runs nothing was asked; nothing if it has an owner that lives.
    Claimed { run: RunId, claimed: Result<TakenOver, StoreError>, asked: Box<Asked> },
    /// Another engine has ended this epoch.
    EpochEnded { epoch: i64 },
    /// There is an epoch in the place of one that has ended.
    EpochBegun { before: i64, begun: Result<i64, StoreError> },
    /// The engine ends: attempts may finish for so long.
    Stop { grace: Duration },
    /// How many finished runs there are that count against the limit.
    FinishedCounted(Result<u64, StoreError>),
    /// A step of removing expired runs and logs was done.
    Pruned(Result<Step, StoreError>),
    /// The store's writer has ended, which it does not do by itself.
    WriterGone,
}

/// A run and its history, or why that cannot be read.
pub(crate) type HistoryRead = (RunRow, Result<Vec<EventRow>, Arc<StoreError>>);

/// What the driver has of a run.
#[derive(Debug)]
pub(crate) enum Inspected {
    /// It drives the run.
    Live(RunSnapshot),
    /// The run waits for its code.
    Dormant,
    /// It drives the run, and waits for the store.
    Waiting(Gate),
    /// Whatever there is stands in the store.
    Elsewhere,
}

/// What can be asked of a run that has not ended.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Start,
    Pause,
    Resume,
    Cancel,
    /// Do not wait for the time of the task's next attempt.
    RetryNow {
        task: String,
    },
    /// Run that task, and nothing else of a run that waits to be started or is paused.
    Release {
        task: String,
    },
}

/// When a new run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    Now,
    At(Timestamp),
    /// When somebody starts it.
    Held,
}

/// From where a new run takes results.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    pub(crate) from: RunId,
    /// `rerun` or `fork`.
    pub(crate) how: &'static str,
    /// The task from which it runs anew, for a fork.
    pub(crate) task: Option<String>,
    pub(crate) by: Actor,
    /// The rows of what is not run again; their sequence is given to them later.
    pub(crate) reused: Vec<EventRow>,
}

/// Where a run comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// A caller that submits the same again gets the same run.
    pub(crate) key: Option<String>,
    /// Who asks for it, if somebody was named.
    pub(crate) by: Option<Actor>,
    /// Only with [`Begin::Now`].
    pub(crate) derived: Option<Derived>,
}

/// A run to be.
pub(crate) struct Submission {
    pub(crate) id: RunId,
    pub(crate) workflow: Workflow,
    pub(crate) input: BTreeMap<Key, Value>,
    /// The input as it is stored.
    pub(crate) payload: Vec<u8>,
    pub(crate) created_at: Timestamp,
    pub(crate) begin: Begin,
    pub(crate) origin: Origin,
}

/// Told when a submission is durable.
pub(crate) type SubmissionAnswer = oneshot::Sender<Result<watch::Receiver<Phase>, NotSubmitted>>;

/// Why a submission was not accepted; nothing of it is stored.
#[derive(Debug)]
pub(crate) enum NotSubmitted {
    /// Another run has its key.
    KeyTaken,
    /// The epoch under which it was to be written has ended. It may be submitted again.
    EpochEnded,
    Failed(Error),
}

/// What those who wait for a run see. When the sender is gone without an end, the engine has shut down.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// It has not ended.
    Active,
    /// It has, durably.
    Ended(Arc<RunRecord>),
    /// The store keeps the engine from going on with it, for longer than anyone should wait unknowing.
    Lost(Arc<StoreError>),
    /// Another engine has taken it over.
    Fenced,
}
