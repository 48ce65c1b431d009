//! What can be asked of a run, and the same of many.
//!
//! What was asked is durable when the answer comes. The answer is the run as it is then.

use cloacina::{RunId, RunReport, RunState, Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::{
    address::encoded,
    client::{BASE, Client},
    error::{Error, Problem},
    run::of_run,
};

/// What is asked of a run without saying more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Let a run begin that was created without.
    Start,
    /// Let it begin or go on, whichever it needs.
    Execute,
    /// Let nothing new start.
    Pause,
    /// Go on after a pause.
    Resume,
    /// End it.
    Cancel,
    /// Do not wait for the next attempts.
    Retry,
    /// Take it off the list of dead letters.
    Dismiss,
}

/// How a run is run again, as a new run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Again {
    /// Only what did not complete; the new run takes over the rest. Not for [`Client::fork`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Another input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Map<String, Value>>,
    /// Another version of the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// From where a run is run again, as the server reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Forked<'a> {
    pub(crate) task: &'a str,
    #[serde(flatten)]
    pub(crate) again: &'a Again,
}

/// What is asked of many runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkVerb {
    /// Let runs begin that were created without.
    Start,
    /// Let nothing new start.
    Pause,
    /// Go on after a pause.
    Resume,
    /// End them.
    Cancel,
    /// Do not wait for the next attempts.
    Retry,
    /// Run what failed again, as new runs.
    Rerun,
    /// Take them off the list of dead letters.
    Dismiss,
    /// Remove runs that have ended.
    Delete,
}

/// Which runs are asked; an absent part excludes none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BulkFilter {
    /// Only runs in one of these states; all if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<RunState>,
    /// Only runs of workflows that this name fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Only runs of this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only runs that were submitted at this moment or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_from: Option<Timestamp>,
    /// Only runs that were submitted before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Timestamp>,
}

/// The same for many runs, as the server reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Bulk<'a> {
    pub(crate) action: BulkVerb,
    pub(crate) filter: &'a BulkFilter,
    pub(crate) dry_run: bool,
}

/// What became of one run of many.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct BulkOutcome {
    /// The id of the run.
    pub run: RunId,
    /// What became of it.
    pub outcome: BulkDone,
    /// Why it was refused. Absent if it was not.
    pub problem: Option<Problem>,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BulkDone {
    /// It is done, durably.
    Done,
    /// It would be asked, if this was not a dry run.
    WouldBeAsked,
    /// The run refused.
    Refused,
}

impl Client {
    /// Asks something of a run.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn control(&self, run: RunId, verb: Verb) -> Result<RunReport, Error> {
        self.act(&of_run(run, &format!("/{}", verb.as_str()))).await
    }

    /// Lets a task not wait for its next attempt.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn retry_task(&self, run: RunId, task: &str) -> Result<RunReport, Error> {
        self.act(&of_run(run, &format!("/tasks/{}/retry", encoded(task)))).await
    }

    /// Runs a task, and nothing else of a run that is paused.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn run_task(&self, run: RunId, task: &str) -> Result<RunReport, Error> {
        self.act(&of_run(run, &format!("/tasks/{}/run", encoded(task)))).await
    }

    /// Runs a run again, as a new run, which is the answer.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn rerun(&self, run: RunId, again: &Again) -> Result<RunReport, Error> {
        self.post(&of_run(run, "/rerun"), again).await
    }

    /// Runs a run again from one task on, as a new run, which is the answer.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn fork(&self, run: RunId, task: &str, again: &Again) -> Result<RunReport, Error> {
        self.post(&of_run(run, "/fork"), &Forked { task, again }).await
    }

    /// Asks the same of all runs that a filter chooses, or only says which runs would be asked. Each run answers for itself.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn control_all(
        &self,
        action: BulkVerb,
        filter: &BulkFilter,
        dry_run: bool,
    ) -> Result<Vec<BulkOutcome>, Error> {
        self.post(&format!("{BASE}/runs/bulk"), &Bulk { action, filter, dry_run }).await
    }
}

impl Verb {
    /// The word in the path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Execute => "execute",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Dismiss => "dismiss",
        }
    }
}
