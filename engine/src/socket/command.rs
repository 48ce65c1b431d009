//! What any client can ask of an engine: the verbs of the command line as plain data.
//!
//! A command names its run by its whole id; shortening ids is for people and happens before. Serialization is that of
//! the socket's frames and changes only with the version of the protocol.

use cloacina_workflow::Value;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::{api::Role, id::RunId};

/// Something to be done to a run; answered with the report of the run that it is about then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Command {
    /// Create a run that waits to be started, or for its moment.
    Create {
        /// What it runs.
        what: What,
        /// Its input.
        input: Map<String, Value>,
        /// When it begins by itself, in microseconds since the epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u64>,
        /// A caller that creates a run of the same workflow with the same key again gets the same run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The version of its package that it runs, as [`crate::RunRequest::version`] takes it; without one, what new runs get.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// Show it.
    Report {
        /// The run.
        run: RunId,
    },
    /// Let it begin.
    Start {
        /// The run.
        run: RunId,
    },
    /// Let it begin or go on, whichever it needs; one that runs or has ended is left alone.
    Execute {
        /// The run.
        run: RunId,
    },
    /// Run one task of it, and nothing else.
    RunTask {
        /// The run.
        run: RunId,
        /// The task.
        task: String,
    },
    /// Let nothing new start.
    Pause {
        /// The run.
        run: RunId,
    },
    /// Go on after a pause.
    Resume {
        /// The run.
        run: RunId,
    },
    /// End it.
    Cancel {
        /// The run.
        run: RunId,
    },
    /// Do not wait for the next attempt.
    Retry {
        /// The run.
        run: RunId,
        /// The task; without one, every task that waits for its next attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
    },
    /// Run it again, as a new run.
    Rerun {
        /// The run.
        run: RunId,
        /// Only what did not complete.
        failed: bool,
        /// Another input.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Map<String, Value>>,
        /// Another version of its package, as [`crate::RunHandle::on_version`] takes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// Run it again from one task on, as a new run.
    Fork {
        /// The run.
        run: RunId,
        /// The task.
        from: String,
        /// Another input.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Map<String, Value>>,
        /// Another version of its package, as [`crate::RunHandle::on_version`] takes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// Take it off the list of failed runs.
    Dismiss {
        /// The run.
        run: RunId,
    },
    /// Remove it with its history and its logs, once it has ended; answered with what it was.
    Delete {
        /// The run.
        run: RunId,
    },
}

impl Command {
    /// The least role that may ask for that.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Report { .. } => Role::Viewer,
            Self::Create { .. }
            | Self::Start { .. }
            | Self::Execute { .. }
            | Self::RunTask { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Cancel { .. }
            | Self::Retry { .. }
            | Self::Rerun { .. }
            | Self::Fork { .. }
            | Self::Dismiss { .. }
            | Self::Delete { .. } => Role::Operator,
        }
    }

    /// The run that it is about; none for one that is to be made.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::Create { .. } => None,
            Self::Report { run }
            | Self::Start { run }
            | Self::Execute { run }
            | Self::RunTask { run, .. }
            | Self::Pause { run }
            | Self::Resume { run }
            | Self::Cancel { run }
            | Self::Retry { run, .. }
            | Self::Rerun { run, .. }
            | Self::Fork { run, .. }
            | Self::Dismiss { run }
            | Self::Delete { run } => Some(*run),
        }
    }
}

/// What a new run runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum What {
    /// The workflow that this name fits.
    Workflow(String),
    /// A built-in workflow, whose tasks do nothing and depend on nothing.
    BuiltIn {
        /// Its name.
        name: String,
        /// How many tasks it has.
        tasks: usize,
    },
}
