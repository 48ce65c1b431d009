//! Why the tasks of a run are not running: those that wait, with their gates, and those that were skipped, with the reason.
//!
//! It is worked out from a report, so that every way to ask gives the same answer. What it says in words is written here
//! and by [`Gate`].

use serde::{Deserialize, Serialize};

use super::{
    gate::Gate,
    run::RunReport,
    task::{Skipped, TaskReport},
};
use crate::{
    core::{run, task::State},
    id::RunId,
};

/// Why tasks of a run are not running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Why {
    /// The id of the run.
    #[serde(rename = "run")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub id: RunId,
    /// The full name of its workflow.
    pub workflow: String,
    /// The state of the run.
    pub state: run::State,
    /// The tasks that wait. A task that runs or has ended waits for nothing.
    pub waiting: Vec<WaitingTask>,
    /// The tasks that were skipped, in the order of the source.
    pub skipped: Vec<SkippedTask>,
}

/// A task that waits, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WaitingTask {
    /// The id of the task.
    pub task: String,
    /// The state of the task.
    pub state: State,
    /// What keeps it from running: all of these must open.
    pub gates: Vec<GateInWords>,
}

/// One thing that a task waits for, also in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct GateInWords {
    /// The gate.
    #[serde(flatten)]
    pub gate: Gate,
    /// The gate with its present value, in words.
    pub text: String,
}

/// A task that was skipped, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SkippedTask {
    /// The id of the task.
    pub task: String,
    /// The reason: `upstream_failed`, `upstream_skipped` or `rule_not_met`.
    pub reason: String,
    /// The dependency that kept it from running. Absent with `rule_not_met`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because_of: Option<String>,
    /// The reason in words.
    pub text: String,
}

impl RunReport {
    /// Why its tasks are not running. Without an engine, every task that has not ended waits for one.
    #[must_use]
    pub fn why(&self, has_engine: bool) -> Why {
        let open = self.tasks.iter().filter(|task| !task.state.is_terminal());
        let waiting = open.map(|task| WaitingTask::new(task, has_engine)).filter(|waiting| !waiting.gates.is_empty());
        Why {
            id: self.id,
            workflow: self.workflow.clone(),
            state: self.state,
            waiting: waiting.collect(),
            skipped: self.tasks.iter().filter_map(|task| SkippedTask::new(self, task)).collect(),
        }
    }

    /// Why a task of the run was skipped, in words.
    #[must_use]
    pub fn skip_in_words(&self, skipped: &Skipped) -> String {
        match skipped {
            Skipped::UpstreamFailed { dependency } => match self.task(dependency).map(|task| task.state) {
                Some(State::Failed) => format!("{dependency} failed"),
                _ => format!("{dependency} was skipped because of a failure"),
            },
            Skipped::UpstreamSkipped { dependency } => format!("{dependency} was skipped"),
            Skipped::RuleNotMet => "its rule did not hold".to_owned(),
        }
    }
}

impl WaitingTask {
    /// The task and what it waits for, in one line.
    #[must_use]
    pub fn text(&self) -> String {
        let gates: Vec<&str> = self.gates.iter().map(|gate| gate.text.as_str()).collect();
        format!("{} waits: {}", self.task, gates.join("; "))
    }

    fn new(task: &TaskReport, has_engine: bool) -> Self {
        let gates = task.gates.iter().cloned().chain((!has_engine).then_some(Gate::NoEngine));
        let gates = gates.map(|gate| GateInWords { text: gate.to_string(), gate });
        Self { task: task.id.clone(), state: task.state, gates: gates.collect() }
    }
}

impl SkippedTask {
    fn new(report: &RunReport, task: &TaskReport) -> Option<Self> {
        let skipped = task.skipped.as_ref()?;
        Some(Self {
            task: task.id.clone(),
            reason: skipped.as_str().to_owned(),
            because_of: skipped.dependency().map(str::to_owned),
            text: report.skip_in_words(skipped),
        })
    }
}
