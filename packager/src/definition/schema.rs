//! The types of a definition, with its defaults: what an author may write.
//!
//! Unknown members are refused everywhere. Attributes have the names, the values and the defaults of a package's description;
//! `uses` and `with` are the two that a package does not have.

use std::collections::BTreeMap;

use cloacina_workflow::descriptor::{Durability, Retry, Rule, TriggerWhen};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the format that is read and written.
pub(super) const FORMAT: u32 = 1;

/// Bytes of a definition at most. All definitions of an engine are in its memory.
pub const DEFINITION_BYTES_MAX: usize = 1 << 20;

/// A workflow as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Version of this format.
    #[serde(default = "format")]
    pub format: u32,
    /// The name of the workflow.
    pub name: String,
    /// The package whose versions its definitions are; without one, the name of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Semantic version, for people. Without one, any number of definitions may follow each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// One sentence or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Name and address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Longest time for a whole run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// When a dependent may start.
    #[serde(default)]
    pub durability: Durability,
    /// The tasks; their order settles ties in the order of the graph.
    pub tasks: Vec<TaskDefinition>,
}

/// A task of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDefinition {
    /// Unique in its workflow.
    pub id: String,
    /// What runs: `package::workflow::task`, with `@version` or `@sha256:…` behind it, or the name of a built-in.
    pub uses: String,
    /// The parameters of a built-in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, Value>,
    /// One sentence or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Ids of the tasks that must be terminal first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// What happens after a failed attempt; without it, what the function declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Longest time for one attempt, in milliseconds; without it, what the function declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// When it runs once its dependencies are terminal; absent: when all of them completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_rules: Option<Rule>,
    /// When the rule is evaluated.
    #[serde(default, skip_serializing_if = "TriggerWhen::is_default")]
    pub trigger_when: TriggerWhen,
    /// -100 to 100, higher first.
    #[serde(default)]
    pub priority: i32,
    /// Whether its failure leaves the run partially completed instead of failed.
    #[serde(default)]
    pub optional: bool,
    /// Whether it is never started twice; always so if the function says it.
    #[serde(default)]
    pub at_most_once: bool,
}

fn format() -> u32 {
    FORMAT
}
