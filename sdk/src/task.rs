//! A task as its runner sees it: a function, its kind, and its outcome.
//!
//! The macros put one [`StaticWorkflow`] into each workflow module: the descriptor's JSON in pieces (versions are
//! spliced in by the compiler) and the functions by their index. [`Workflow`] is the handle to it that
//! `module::workflow()` returns.

use std::{fmt, future::Future, pin::Pin};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Context, TaskError,
    descriptor::{self, Descriptor},
    error::ErrorRecord,
};

/// The future that an `async fn` task or callback returns, boxed.
pub type TaskFuture<'a> = Pin<Box<dyn Future<Output = Result<(), TaskError>> + Send + 'a>>;

/// A function of a workflow module.
#[derive(Clone, Copy)]
pub enum Function {
    /// A plain `fn` task; runs where blocking is allowed.
    Task(fn(&mut Context<Value>) -> Result<(), TaskError>),
    /// An `async fn` task.
    AsyncTask(for<'a> fn(&'a mut Context<Value>) -> TaskFuture<'a>),
    /// A plain `fn` callback.
    Callback(fn(&Outcome, &Context<Value>) -> Result<(), TaskError>),
    /// An `async fn` callback.
    AsyncCallback(for<'a> fn(&'a Outcome, &'a Context<Value>) -> TaskFuture<'a>),
}

impl fmt::Debug for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Task(_) => "Task",
            Self::AsyncTask(_) => "AsyncTask",
            Self::Callback(_) => "Callback",
            Self::AsyncCallback(_) => "AsyncCallback",
        })
    }
}

/// How a task ended, as its callbacks (`on_success`, `on_failure`) receive it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The task's id.
    pub task: String,
    /// The last attempt, counted from 1.
    pub attempt: u32,
    /// Why it failed; `None` when it completed.
    pub error: Option<TaskError>,
}

impl Outcome {
    /// The outcome of a task whose last attempt is known; for engines and for tests of callbacks.
    pub fn new(task: impl Into<String>, attempt: u32, error: Option<TaskError>) -> Self {
        Self { task: task.into(), attempt, error }
    }

    /// Whether the task completed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.error.is_none()
    }
}

/// An [`Outcome`] as it crosses the ABI.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutcomeRecord {
    task: String,
    attempt: u32,
    error: Option<ErrorFields>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ErrorFields {
    kind: String,
    message: String,
    #[serde(default)]
    details: Value,
    retryable: bool,
}

impl From<&Outcome> for OutcomeRecord {
    fn from(outcome: &Outcome) -> Self {
        let error = outcome.error.as_ref().map(|error| {
            let ErrorRecord { kind, message, details, retryable, retry_after: _ } = error.to_record();
            ErrorFields { kind, message, details, retryable }
        });
        Self { task: outcome.task.clone(), attempt: outcome.attempt, error }
    }
}

impl From<OutcomeRecord> for Outcome {
    fn from(record: OutcomeRecord) -> Self {
        let error = record.error.map(|fields| {
            let ErrorFields { kind, message, details, retryable } = fields;
            TaskError::from_record(ErrorRecord { kind, message, details, retryable, retry_after: None })
        });
        Self { task: record.task, attempt: record.attempt, error }
    }
}

/// The static data that the macros put into a workflow module.
#[derive(Debug)]
pub struct StaticWorkflow {
    /// The workflow's name, by which records are ordered.
    pub name: &'static str,
    /// The descriptor's JSON in pieces.
    pub json: &'static [&'static str],
    /// The functions by their index in the descriptor.
    pub functions: &'static [Function],
}

/// A workflow compiled into this program; what `module::workflow()` returns.
#[derive(Clone, Copy, Debug)]
pub struct Workflow {
    fixed: &'static StaticWorkflow,
}

impl Workflow {
    /// Called by generated code.
    #[must_use]
    pub const fn new(fixed: &'static StaticWorkflow) -> Self {
        Self { fixed }
    }

    /// The workflow's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.fixed.name
    }

    /// The functions by their index in the descriptor.
    #[must_use]
    pub fn functions(&self) -> &'static [Function] {
        self.fixed.functions
    }

    /// The descriptor that the macro wrote, the same as in a package.
    ///
    /// # Errors
    /// Only if the versions of the macros and of the sdk do not fit together, which the build refuses.
    pub fn descriptor(&self) -> Result<Descriptor, descriptor::Error> {
        Descriptor::parse(&self.fixed.json.concat())
    }
}
