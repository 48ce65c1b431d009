//! A task of a run, the end of its last attempt, and why it failed or was skipped.
//!
//! Each value of the context is shown as the task wrote it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use cloacina_workflow::{ErrorRecord, TaskError, Timestamp, Value};
use serde::{Deserialize, Serialize};

use super::{gate::Gate, json::failure};
use crate::core::task::State;

/// One task of a run at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TaskReport {
    /// The id of the task, unique in its workflow.
    pub id: String,
    /// Whether no other task depends on it.
    pub is_leaf: bool,
    /// The state of the task.
    pub state: State,
    /// The number of the attempt that runs or was the last to begin, counted from 1. Absent as long as none began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When that attempt began. Absent while none runs and the task has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub started_at: Option<Timestamp>,
    /// When the task ended. Absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub finished_at: Option<Timestamp>,
    /// When the next attempt begins, for a task that waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub retry_at: Option<Timestamp>,
    /// How the last attempt that ended did so. Absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AttemptOutcome>,
    /// Why the last attempt failed. Absent if none did, or if a later one completed.
    #[serde(default, with = "failure", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Failure>))]
    pub error: Option<TaskError>,
    /// Why the task was skipped. Absent for a task that was not.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = super::schema::SkippedFields))]
    pub skipped: Option<Skipped>,
    /// The keys of the context that the task wrote, with their values.
    pub set: BTreeMap<String, Value>,
    /// The keys of the context that the task removed.
    pub unset: BTreeSet<String>,
    /// What keeps the task from running: all of these must open.
    pub gates: Vec<Gate>,
}

/// Why the task was skipped. Absent for a task that was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "skipped", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Skipped {
    /// That dependency failed, or was skipped for this very reason. Without failures the task might have run.
    UpstreamFailed {
        /// The dependency because of which the task was skipped.
        #[serde(rename = "skipped_because_of")]
        dependency: String,
    },
    /// That dependency was skipped, and no failure is why.
    UpstreamSkipped {
        /// The dependency because of which the task was skipped.
        #[serde(rename = "skipped_because_of")]
        dependency: String,
    },
    /// Its trigger rule did not hold, and would not have held without failures either.
    RuleNotMet,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
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

/// The error of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Failure {
    /// The kind of the error, as the task names it; `panicked`, `timed_out` and `interrupted` are the engine's own.
    pub kind: String,
    /// The error in words.
    pub message: String,
    /// What else the task says of the error. Absent if it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Value>))]
    pub details: Option<Value>,
    /// Whether another attempt may succeed.
    pub retryable: bool,
    /// How long the task asked to wait before another attempt, in milliseconds. Absent if it did not ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// The error as plain data.
    #[must_use]
    pub fn new(error: &TaskError) -> Self {
        let ErrorRecord { kind, message, details, retryable, retry_after } = error.to_record();
        let details = Some(details).filter(|details| !details.is_null());
        let retry_after_ms = retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        Self { kind, message, details, retryable, retry_after_ms }
    }

    pub(super) fn into_error(self) -> TaskError {
        let Self { kind, message, details, retryable, retry_after_ms } = self;
        let (details, retry_after) = (details.unwrap_or_default(), retry_after_ms.map(Duration::from_millis));
        TaskError::from_record(ErrorRecord { kind, message, details, retryable, retry_after })
    }
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

impl AttemptOutcome {
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
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
