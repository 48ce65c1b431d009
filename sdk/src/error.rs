//! What can go wrong inside a task, as data: a kind, a message, details, and whether another attempt may help.
//!
//! Errors cross the C ABI in that form ([`ErrorRecord`]), so a failure of a packaged task looks the same as one of
//! an embedded task. Nothing here decides about retries: an error only carries what its author knew.

use std::{fmt, time::Duration};

use serde_json::{Value, json};

use crate::Timestamp;

/// Why a task failed.
///
/// `?` in a task body converts any error type, boxed errors and texts into this type ([`From`]), and
/// [`ResultExt`](crate::ResultExt) adds to any error whether another attempt may help.
///
/// `TaskError` is therefore not a [`std::error::Error`] itself; [`TaskError::into_error`] converts it into one.
///
/// ```
/// use cloacina_workflow::TaskError;
///
/// let error = TaskError::ValidationFailed { message: "raw_data is missing".to_owned() };
/// assert_eq!(error.kind(), "validation_failed");
/// assert!(!error.is_retryable());
/// assert!(TaskError::transient("the service answered 503").is_retryable());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TaskError {
    /// The work itself failed; another attempt may succeed.
    ExecutionFailed {
        /// What happened.
        message: String,
        /// The task that failed.
        task_id: String,
        /// When it failed.
        timestamp: Timestamp,
    },
    /// The input is wrong. Another attempt would see the same input, so it is not retried.
    ValidationFailed {
        /// What is wrong with the input.
        message: String,
    },
    /// An external failure that is expected to pass: a network, a lock, a busy service.
    Transient {
        /// What happened.
        message: String,
        /// The minimum wait before another attempt; if absent, the retry policy decides.
        retry_after: Option<Duration>,
    },
    /// Another attempt would fail in the same way.
    Permanent {
        /// What happened.
        message: String,
    },
    /// The context does not have the requested key, or its value does not have the requested type. Not retried.
    Context(ContextError),
    /// The task's code panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// `file:line:column` where it was raised, when known.
        location: Option<String>,
    },
    /// The attempt was asked to stop and did.
    Cancelled {
        /// What requested the stop.
        message: String,
    },
    /// An error of another type, which `?` converted; see [`ResultExt`](crate::ResultExt) for ways to add to it.
    Other {
        /// The name of the error's type in `snake_case`, such as `parse_int_error`; `execution_failed` where the error
        /// has no specific type (a text, a boxed error), `transient` for an error of input and output.
        kind: String,
        /// The message of the error.
        message: String,
        /// The messages of its sources, the nearest first.
        causes: Vec<String>,
        /// Whether another attempt may succeed.
        retryable: bool,
        /// The minimum wait before another attempt; if absent, the retry policy decides.
        retry_after: Option<Duration>,
    },
    /// A failure with its own kind, also one that a package in another language reports.
    Custom {
        /// A short stable name, `snake_case` by convention.
        kind: String,
        /// What happened.
        message: String,
        /// Further data for the reader of the failure.
        details: Value,
        /// Whether another attempt may succeed.
        retryable: bool,
    },
}

impl TaskError {
    /// An external failure that is expected to pass.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient { message: message.into(), retry_after: None }
    }

    /// A failure that another attempt would repeat.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent { message: message.into() }
    }

    /// A failure with its own kind that may be retried; build [`TaskError::Custom`] for full control.
    pub fn custom(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Custom { kind: kind.into(), message: message.into(), details: Value::Null, retryable: true }
    }

    /// The stable short name that retry conditions, logs and programs match on.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::ExecutionFailed { .. } => "execution_failed",
            Self::ValidationFailed { .. } => "validation_failed",
            Self::Transient { .. } => "transient",
            Self::Permanent { .. } => "permanent",
            Self::Context(_) => "context",
            Self::Panicked { .. } => "panicked",
            Self::Cancelled { .. } => "cancelled",
            Self::Other { kind, .. } | Self::Custom { kind, .. } => kind,
        }
    }

    /// Whether another attempt may succeed, as far as the author of the error knew.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ExecutionFailed { .. } | Self::Transient { .. } | Self::Panicked { .. } => true,
            Self::ValidationFailed { .. } | Self::Permanent { .. } | Self::Context(_) | Self::Cancelled { .. } => false,
            Self::Other { retryable, .. } | Self::Custom { retryable, .. } => *retryable,
        }
    }

    /// The wait before another attempt that the failing side requested.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Transient { retry_after, .. } | Self::Other { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The message without kind and details.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::ExecutionFailed { message, .. }
            | Self::ValidationFailed { message }
            | Self::Transient { message, .. }
            | Self::Permanent { message }
            | Self::Panicked { message, .. }
            | Self::Cancelled { message }
            | Self::Other { message, .. }
            | Self::Custom { message, .. } => message.clone(),
            Self::Context(error) => error.to_string(),
        }
    }

    /// The same failure as plain data, as it is stored and as it crosses the C ABI.
    #[must_use]
    pub fn to_record(&self) -> ErrorRecord {
        let details = match self {
            Self::ExecutionFailed { task_id, timestamp, .. } => json!({ "task_id": task_id, "timestamp": timestamp }),
            Self::Panicked { location: Some(location), .. } => json!({ "location": location }),
            Self::Context(error) => json!({ "problem": error.problem(), "key": error.key() }),
            Self::Other { causes, .. } => json!({ CAUSES: causes }),
            Self::Custom { details, .. } => details.clone(),
            _ => Value::Null,
        };
        ErrorRecord {
            kind: self.kind().to_owned(),
            message: self.message(),
            details,
            retryable: self.is_retryable(),
            retry_after: self.retry_after(),
        }
    }

    /// The failure that a record describes; kinds this version does not know become [`TaskError::Custom`].
    #[must_use]
    pub fn from_record(record: ErrorRecord) -> Self {
        let ErrorRecord { kind, message, details, retryable, retry_after } = record;
        if let Some(causes) = only_causes(&details) {
            return Self::Other { kind, message, causes, retryable, retry_after };
        }
        let text = |name: &str| details.get(name).and_then(Value::as_str).map(str::to_owned);
        match kind.as_str() {
            "validation_failed" if !retryable => Self::ValidationFailed { message },
            "transient" if retryable => Self::Transient { message, retry_after },
            "permanent" if !retryable => Self::Permanent { message },
            "cancelled" if !retryable => Self::Cancelled { message },
            "panicked" if retryable => Self::Panicked { message, location: text("location") },
            "execution_failed" if retryable => {
                let timestamp = details.get("timestamp").cloned().and_then(|value| serde_json::from_value(value).ok());
                match (text("task_id"), timestamp) {
                    (Some(task_id), Some(timestamp)) => Self::ExecutionFailed { message, task_id, timestamp },
                    _ => Self::Custom { kind, message, details, retryable },
                }
            }
            "context" if !retryable => {
                let problem = text("problem").unwrap_or_default();
                match ContextError::from_problem(&problem, text("key").unwrap_or_default(), &message) {
                    Some(error) => Self::Context(error),
                    None => Self::Custom { kind, message, details, retryable },
                }
            }
            _ => Self::Custom { kind, message, details, retryable },
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExecutionFailed { message, task_id, .. } => write!(formatter, "task {task_id} failed: {message}"),
            Self::ValidationFailed { message } => write!(formatter, "validation failed: {message}"),
            Self::Transient { message, .. } => write!(formatter, "temporary failure: {message}"),
            Self::Permanent { message } => formatter.write_str(message),
            Self::Context(error) => write!(formatter, "context: {error}"),
            Self::Panicked { message, location: Some(location) } => {
                write!(formatter, "panicked at {location}: {message}")
            }
            Self::Panicked { message, location: None } => write!(formatter, "panicked: {message}"),
            Self::Cancelled { message } => write!(formatter, "cancelled: {message}"),
            Self::Other { message, causes, .. } => {
                formatter.write_str(message)?;
                causes.iter().try_for_each(|cause| write!(formatter, ": {cause}"))
            }
            Self::Custom { kind, message, .. } => write!(formatter, "{kind}: {message}"),
        }
    }
}

/// The name of the field in the details of a record that holds the causes of an error.
const CAUSES: &str = "causes";

/// The causes of a record whose details hold nothing else.
fn only_causes(details: &Value) -> Option<Vec<String>> {
    let fields = details.as_object().filter(|fields| fields.len() == 1)?;
    let causes = fields.get(CAUSES)?.as_array()?;
    causes.iter().map(|cause| cause.as_str().map(str::to_owned)).collect()
}

/// A task's failure as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorRecord {
    /// Stable short name, see [`TaskError::kind`].
    pub kind: String,
    /// What happened, for people.
    pub message: String,
    /// Further details as JSON; `null` if there are none.
    pub details: Value,
    /// Whether another attempt may succeed.
    pub retryable: bool,
    /// The requested wait before another attempt.
    pub retry_after: Option<Duration>,
}

/// What is wrong with a request to the context.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextError {
    /// `insert` found the key taken; `update` or `set` overwrite.
    KeyExists {
        /// The key.
        key: String,
    },
    /// The key does not exist.
    KeyMissing {
        /// The key.
        key: String,
    },
    /// The value exists, but cannot be read as, or written from, the requested type.
    WrongType {
        /// The key.
        key: String,
        /// The message of serde.
        reason: String,
    },
    /// The value nests deeper than contexts may, see [`crate::payload::DEPTH_MAX`].
    TooDeep {
        /// The key.
        key: String,
    },
}

impl ContextError {
    /// The key in question.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::KeyExists { key }
            | Self::KeyMissing { key }
            | Self::WrongType { key, .. }
            | Self::TooDeep { key } => key,
        }
    }

    fn problem(&self) -> &'static str {
        match self {
            Self::KeyExists { .. } => "key_exists",
            Self::KeyMissing { .. } => "key_missing",
            Self::WrongType { .. } => "wrong_type",
            Self::TooDeep { .. } => "too_deep",
        }
    }

    fn from_problem(problem: &str, key: String, message: &str) -> Option<Self> {
        match problem {
            "key_exists" => Some(Self::KeyExists { key }),
            "key_missing" => Some(Self::KeyMissing { key }),
            "wrong_type" => {
                let reason = message.split_once("type asked for: ").map_or(message, |(_, reason)| reason).to_owned();
                Some(Self::WrongType { key, reason })
            }
            "too_deep" => Some(Self::TooDeep { key }),
            _ => None,
        }
    }
}

impl fmt::Display for ContextError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyExists { key } => {
                write!(formatter, "the key {key:?} exists already; use update or set to overwrite it")
            }
            Self::KeyMissing { key } => write!(formatter, "there is no key {key:?}"),
            Self::WrongType { key, reason } => {
                write!(formatter, "the value of {key:?} does not fit the type asked for: {reason}")
            }
            Self::TooDeep { key } => {
                write!(formatter, "the value of {key:?} nests deeper than {} levels", crate::payload::DEPTH_MAX)
            }
        }
    }
}

impl std::error::Error for ContextError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_the_same_after_crossing_as_a_record() {
        let errors = [
            TaskError::ExecutionFailed {
                message: "m".to_owned(),
                task_id: "t".to_owned(),
                timestamp: Timestamp::from_unix_micros(1),
            },
            TaskError::ValidationFailed { message: "m".to_owned() },
            TaskError::Transient { message: "m".to_owned(), retry_after: Some(Duration::from_millis(20)) },
            TaskError::permanent("m"),
            TaskError::Context(ContextError::KeyMissing { key: "k".to_owned() }),
            TaskError::Context(ContextError::KeyExists { key: "k".to_owned() }),
            TaskError::Context(ContextError::TooDeep { key: "k".to_owned() }),
            TaskError::Context(ContextError::WrongType { key: "k".to_owned(), reason: "r".to_owned() }),
            TaskError::Panicked { message: "m".to_owned(), location: Some("a.rs:1:2".to_owned()) },
            TaskError::Panicked { message: "m".to_owned(), location: None },
            TaskError::Cancelled { message: "m".to_owned() },
            TaskError::Custom { kind: "x".to_owned(), message: "m".to_owned(), details: json!([1]), retryable: false },
            TaskError::Other {
                kind: "transient".to_owned(),
                message: "m".to_owned(),
                causes: vec!["c".to_owned()],
                retryable: true,
                retry_after: Some(Duration::from_secs(1)),
            },
            TaskError::Other {
                kind: "x".to_owned(),
                message: "m".to_owned(),
                causes: Vec::new(),
                retryable: false,
                retry_after: None,
            },
        ];
        for error in errors {
            assert_eq!(TaskError::from_record(error.to_record()), error);
        }
    }

    #[test]
    fn a_known_kind_with_another_retryability_is_kept_as_it_was_said() {
        let record = ErrorRecord {
            kind: "permanent".to_owned(),
            message: "m".to_owned(),
            details: Value::Null,
            retryable: true,
            retry_after: None,
        };
        assert!(TaskError::from_record(record).is_retryable());
    }
}
