//! A run to be, and what becomes of it.
//!
//! The fields are those of the description of the interface, which a test compares.

use cloacina::{RunId, Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::error::Problem;

/// A run to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NewRun {
    /// The workflow: `workflow`, `package::workflow` or `tenant::package::workflow`.
    pub workflow: String,
    /// The input, which the tasks see as their context.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub input: Map<String, Value>,
    /// The keys of the input whose values are secret: they are left out of logs, errors and reports of the run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Wait until somebody starts the run, instead of beginning at once.
    pub held: bool,
    /// When the run begins by itself, instead of at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The version of the package, or the first digits of its digest after `sha256:`. Without one, what new runs get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The submission key: the same workflow submitted again with the same key is the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What became of one run of a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Outcome {
    /// It was submitted, durably.
    Submitted {
        /// Its id.
        run: RunId,
    },
    /// It was refused.
    Refused {
        /// Why.
        problem: Problem,
    },
}

/// A run that was submitted.
#[derive(Debug, Deserialize)]
pub(crate) struct Submitted {
    pub(crate) run: RunId,
}

impl NewRun {
    /// A run of that workflow, without an input.
    #[must_use]
    pub fn new(workflow: &str) -> Self {
        Self { workflow: workflow.to_owned(), ..Self::default() }
    }
}
