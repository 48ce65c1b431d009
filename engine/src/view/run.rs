//! A run: in brief, in a list, and with all its tasks.
//!
//! The three share the fields of [`RunStatus`]: a field of a run is declared once.

use std::{collections::BTreeMap, ops::Deref};

use cloacina_packager::Digest;
use cloacina_workflow::{Context, Timestamp, Value};
use serde::{Deserialize, Serialize};

use super::{json::context, task::TaskReport};
use crate::{
    core::{run::State, task},
    id::RunId,
};

/// A run in brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct RunStatus {
    /// The id of the run, in full.
    #[serde(rename = "run")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub id: RunId,
    /// The full name of its workflow: `tenant::package::workflow`, or the bare name of one that is compiled in.
    pub workflow: String,
    /// The tenant of the workflow.
    pub tenant: String,
    /// The content digest of the package's version to which the run is pinned. Absent for a workflow that is compiled in.
    #[serde(rename = "content_digest", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub digest: Option<Digest>,
    /// The state of the run.
    pub state: State,
    /// How many of its tasks completed, in this run or in the run from which it was derived. Absent once retention removed
    /// its history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_tasks: Option<usize>,
    /// How many tasks it has.
    pub total_tasks: usize,
    /// When it was submitted.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub created_at: Timestamp,
    /// When its first task could start. Absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub started_at: Option<Timestamp>,
    /// When it ended. Absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub finished_at: Option<Timestamp>,
    /// When retention removed its input and what its tasks wrote. Absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub context_removed_at: Option<Timestamp>,
    /// When retention removed its history, and with it everything about its tasks. Absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub history_removed_at: Option<Timestamp>,
}

/// A run as the database lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct RunSummary {
    /// The run in brief.
    #[serde(flatten)]
    pub status: RunStatus,
    /// Whether an engine drives it now. Absent once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driven: Option<bool>,
    /// The actor that submitted it. Absent if none was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The actor that took it off the list of dead letters. Absent if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dismissed_by: Option<String>,
}

/// A run and all its tasks at one moment.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct RunReport {
    /// The run in brief.
    #[serde(flatten)]
    pub status: RunStatus,
    /// The tasks, in the order of the source; none once retention has removed the history.
    pub tasks: Vec<TaskReport>,
    /// The input overlaid with what the tasks wrote that completed so far; empty once retention has removed it.
    #[serde(with = "context")]
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    pub context: Context<Value>,
    /// The id of the task that wrote each key of the context. Keys of the input are absent.
    pub producers: BTreeMap<String, String>,
}

/// What the tasks of a run see.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct RunContext {
    /// The id of the run.
    #[serde(rename = "run")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub id: RunId,
    /// The values by key.
    #[serde(with = "context")]
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    pub context: Context<Value>,
    /// The id of the task that wrote each key. Keys of the input are absent.
    pub producers: BTreeMap<String, String>,
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

impl RunStatus {
    /// What retention has removed of the run, if it has removed anything.
    #[must_use]
    pub fn pruned(&self) -> Option<PrunedPart> {
        PrunedPart::of(self.context_removed_at, self.history_removed_at)
    }
}

/// A report is read as the run that it is about.
impl Deref for RunReport {
    type Target = RunStatus;

    fn deref(&self) -> &RunStatus {
        &self.status
    }
}

impl RunSummary {
    /// Whether the run goes on only once there is an engine again.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.status.state == State::Running && self.driven == Some(false)
    }
}

impl RunReport {
    /// The run as a list has it. What the database alone knows comes from the summary that is stored, if there is one.
    #[must_use]
    pub fn summary(&self, stored: Option<RunSummary>) -> RunSummary {
        let status = self.status.clone();
        let is_over = status.state.is_terminal();
        let Some(stored) = stored else {
            let driven = (!is_over).then_some(false);
            return RunSummary { status, driven, created_by: None, dismissed_by: None };
        };
        let RunStatus { context_removed_at, history_removed_at, .. } = stored.status;
        RunSummary {
            status: RunStatus { context_removed_at, history_removed_at, ..status },
            driven: stored.driven.filter(|_| !is_over),
            ..stored
        }
    }

    /// What the tasks see, without the rest.
    #[must_use]
    pub fn into_context(self) -> RunContext {
        RunContext { id: self.status.id, context: self.context, producers: self.producers }
    }

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
}

impl PrunedPart {
    pub(crate) fn of(context_removed_at: Option<Timestamp>, history_removed_at: Option<Timestamp>) -> Option<Self> {
        let context = context_removed_at.map(|at| Self::Context { at });
        history_removed_at.map(|at| Self::History { at }).or(context)
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
