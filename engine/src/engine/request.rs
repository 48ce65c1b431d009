//! A request for a new run: the workflow, its input, its start, and a submission key.
//!
//! Plain data; nothing here reads a clock or resolves a name.

use std::time::Duration;

use cloacina_workflow::{Context, Timestamp, Value};

use crate::runtime::SECRET_KEYS;

/// A request for a new run.
#[derive(Debug)]
#[must_use = "nothing is submitted before `Scheduler::submit`"]
pub struct RunRequest {
    pub(super) workflow: String,
    pub(super) input: Context<Value>,
    pub(super) begin: Beginning,
    pub(super) key: Option<String>,
    pub(super) by: Option<String>,
    pub(super) version: Option<String>,
}

/// When a run begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Beginning {
    Now,
    Held,
    At(Timestamp),
    After(Duration),
}

impl RunRequest {
    /// A run that begins at once.
    pub fn new(workflow: impl Into<String>, input: Context<Value>) -> Self {
        Self { workflow: workflow.into(), input, begin: Beginning::Now, key: None, by: None, version: None }
    }

    /// A secret value of its input, which is redacted in logs, errors and reports of the run. See [`SECRET_KEYS`] for the
    /// limits.
    pub fn secret(mut self, key: &str, value: Value) -> Self {
        let mut keys: Vec<String> = self.input.get_as(SECRET_KEYS).unwrap_or_default();
        if !keys.iter().any(|known| known == key) {
            keys.push(key.to_owned());
        }
        self.input.set(SECRET_KEYS, Value::from(keys));
        self.input.set(key, value);
        self
    }

    /// The run begins with a call of [`crate::RunHandle::start`].
    pub fn held(mut self) -> Self {
        self.begin = Beginning::Held;
        self
    }

    /// The run begins at that time, also if the engine was restarted in between.
    pub fn at(mut self, at: Timestamp) -> Self {
        self.begin = Beginning::At(at);
        self
    }

    /// The run begins after that duration.
    pub fn after(mut self, wait: Duration) -> Self {
        self.begin = Beginning::After(wait);
        self
    }

    /// A caller that submits the same workflow with the same key again gets the existing run, whatever its input is.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The run uses that version of its package, whatever other new runs get: the version, or the first digits of its digest after
    /// `sha256:`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// The actor of the request, as it is stored with the run.
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }
}
