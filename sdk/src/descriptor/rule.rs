//! Trigger rules as data: whether a task runs, and when the rule is evaluated.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A condition over the ends of upstream tasks and the values in the context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// Runs whatever happened upstream.
    Always,
    /// Every part holds.
    All(Vec<Rule>),
    /// At least one part holds.
    Any(Vec<Rule>),
    /// No part holds.
    None(Vec<Rule>),
    /// That task completed.
    TaskSuccess(String),
    /// That task failed.
    TaskFailed(String),
    /// That task was skipped.
    TaskSkipped(String),
    /// That task failed, or was skipped because a task before it failed.
    TaskUpstreamFailed(String),
    /// A comparison with a value of the context holds.
    ContextValue {
        /// The key.
        key: String,
        /// The comparison.
        op: Operator,
        /// What to compare with; absent for `exists` and `not_exists`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
    },
}

/// When a task's rule is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerWhen {
    /// Once all its dependencies are terminal.
    #[default]
    Terminal,
    /// As soon as the end of no open dependency can change the result.
    Decided,
}

impl TriggerWhen {
    /// Whether it is the default of a descriptor.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A comparison of a value in the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Equal as JSON.
    Equals,
    /// Not equal as JSON.
    NotEquals,
    /// A number or text after the given one.
    GreaterThan,
    /// A number or text not before the given one.
    GreaterOrEqual,
    /// A number or text before the given one.
    LessThan,
    /// A number or text not after the given one.
    LessOrEqual,
    /// An array with that element, an object with that key, or a text with that part.
    Contains,
    /// The opposite of `contains`.
    NotContains,
    /// The key exists.
    Exists,
    /// The key does not exist.
    NotExists,
}
