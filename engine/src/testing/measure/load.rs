//! A load: runs of a chain of tasks that do nothing, as the commits which the engine would make of them.
//!
//! Commits are made before the clock starts, so that only writing them is measured. The runs are as far apart as
//! those of a busy engine, because how their ids lie in the index decides how much of it a transaction touches.

use std::time::Duration;

use cloacina_workflow::Timestamp;

use crate::{
    clock::{Clock, SystemClock},
    core::run,
    id::{RunId, WorkflowId},
    store::{Commit, EventRow, Kind, NewRun, RunUpdate},
};

/// The time between two runs of a load, as of an engine that starts 25,000 a second.
const APART_MICROS: u64 = 40;

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many runs.
    pub runs: usize,
    /// How many tasks each has, one after the other.
    pub tasks: u32,
    /// How many runs are under way at once.
    pub at_once: usize,
    /// How many rows a transaction writes at least, where the load is written without the store.
    pub changes_per_transaction: usize,
}

/// How it went.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// From the first row to the last answer.
    pub elapsed: Duration,
    /// How long each transaction took (raw), or each commit from being handed over to its answer (store).
    pub latencies: Vec<Duration>,
    /// How many transactions were committed.
    pub n_transactions: u64,
}

impl Load {
    /// How many rows are written or changed for one run.
    #[must_use]
    pub fn changes_per_run(&self) -> usize {
        // The run, its creation, its start; each task; the end, and the run again.
        5 + self.tasks as usize
    }

    /// The commits of every run, in their order.
    pub(super) fn commits(&self, workflow: WorkflowId, epoch: i64) -> Vec<Vec<Commit>> {
        let begin = SystemClock.now().unix_micros();
        let runs = (0..self.runs as u64).map(|number| {
            let at = Timestamp::from_unix_micros(begin + number * APART_MICROS);
            self.run(RunId::new(at), workflow, epoch, at)
        });
        runs.collect()
    }

    fn run(&self, run: RunId, workflow: WorkflowId, epoch: i64, at: Timestamp) -> Vec<Commit> {
        let row = |sequence: i64, kind: Kind, payload: Option<&str>| EventRow {
            sequence,
            kind,
            task: None,
            attempt: None,
            at,
            started_at: None,
            cpu_us: None,
            peak_bytes: None,
            payload: payload.map(|payload| payload.as_bytes().to_vec()),
        };
        let create =
            NewRun { workflow, state: run::State::Running, created_at: at, started_at: Some(at), key: None, by: None };
        let events = vec![row(0, Kind::RunCreated, Some("{}")), row(1, Kind::RunStarted, None)];
        let mut commits = vec![Commit { run, epoch, term: 0, create: Some(create), events, update: None }];
        for (task, sequence) in (0..self.tasks).zip(2..) {
            let mut completed = row(sequence, Kind::TaskCompleted, None);
            (completed.task, completed.attempt) = (i32::try_from(task).ok(), Some(1));
            completed.started_at = Some(at);
            let (mut events, mut update) = (vec![completed], None);
            if task + 1 == self.tasks {
                let state = run::State::Completed;
                events.push(row(sequence + 1, Kind::RunFinished, Some(r#"{"state":"completed"}"#)));
                update = Some(RunUpdate { state, started_at: Some(at), finished_at: Some(at) });
            }
            commits.push(Commit { run, epoch, term: 0, create: None, events, update });
        }
        commits
    }
}
