//! The types of the description's JSON, with its defaults.
//!
//! Unknown members are refused everywhere. Names, ranges and the graph are not checked here: a descriptor that can be
//! read may still be wrong.

use serde::{Deserialize, Serialize};

use super::{Error, Rule, TriggerWhen};
use crate::payload::check_exact;

/// The version of the JSON schema that this sdk writes and reads.
pub const FORMAT: u32 = 1;

/// The maximum number of tasks and callbacks of a package, which limits the cost of checking and loading it. The
/// macros refuse a larger workflow while it is compiled.
pub const FUNCTIONS_MAX: usize = 50_000;

/// One package, or, before merging, the part of it that one record describes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// Version of this schema, [`FORMAT`].
    pub format: u32,
    /// ABI that the package was built against, `major.minor`.
    pub abi: String,
    /// The package's name.
    pub package: String,
    /// The tenant that the author expects; a default, never a right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Semantic version, for people; identity is the content digest.
    pub version: String,
    /// One sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Name and address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// How the library was built; absent for hand-written descriptors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// The workflows, by name.
    pub workflows: Vec<Workflow>,
}

/// Facts of the build that decide whether a library can be loaded, and help to explain when it can't.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Name and version of the library that made the record.
    pub sdk: String,
    /// Name and version of the compiler.
    pub compiler: String,
    /// Target triple.
    pub target: String,
    /// The effect of a panic.
    #[serde(default)]
    pub panic: Panic,
    /// The crate that holds the module.
    #[serde(rename = "crate", default, skip_serializing_if = "String::is_empty")]
    pub krate: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub crate_version: String,
}

/// The effect of a panic in the package on its process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Panic {
    /// It is caught at the boundary and fails the attempt.
    #[default]
    Unwind,
    /// It ends the process, so the package may only run in a child.
    Abort,
}

/// A DAG of tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// Unique in its package.
    pub name: String,
    /// One sentence or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// sha-256 over the module's code without comments and layout, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Longest time for a whole run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// When a dependent may start.
    #[serde(default)]
    pub durability: Durability,
    /// The external resources that the tasks need.
    #[serde(default)]
    pub needs: Needs,
    /// The tasks in the order of the source, which settles ties in the order of the graph.
    pub tasks: Vec<Task>,
    /// Functions that tasks name in `on_success` and `on_failure`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callbacks: Vec<Callback>,
}

/// When a dependent may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// After its parents' results are on disk.
    #[default]
    Strict,
    /// As soon as its parents ended; after a crash it may run again, with a result that was lost and computed again.
    Pipelined,
}

/// The external resources that a workflow needs; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Needs {
    /// Network: named hosts, or every host.
    pub net: Need,
    /// Paths to read.
    pub read: Need,
    /// Paths to write.
    pub write: Need,
    /// Environment variables.
    pub env: Need,
}

/// One kind of need: `false`, `true`, or a list in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "NeedJson", into = "NeedJson")]
pub enum Need {
    /// No access.
    #[default]
    Nothing,
    /// Unlimited access.
    Anything,
    /// Only these.
    Only(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NeedJson {
    All(bool),
    Only(Vec<String>),
}

impl From<NeedJson> for Need {
    fn from(json: NeedJson) -> Self {
        match json {
            NeedJson::All(false) => Self::Nothing,
            NeedJson::All(true) => Self::Anything,
            NeedJson::Only(list) => Self::Only(list),
        }
    }
}

impl From<Need> for NeedJson {
    fn from(need: Need) -> Self {
        match need {
            Need::Nothing => Self::All(false),
            Need::Anything => Self::All(true),
            Need::Only(list) => Self::Only(list),
        }
    }
}

/// A node of the DAG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Unique in its workflow.
    pub id: String,
    /// What `start` is called with.
    pub index: u32,
    /// One sentence or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Ids of the tasks that must be terminal first.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Whether it is started on a thread where blocking is allowed.
    #[serde(default)]
    pub blocking: bool,
    /// Where it stands, `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What happens after a failed attempt.
    #[serde(default)]
    pub retry: Retry,
    /// Longest time for one attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// When it runs once its dependencies are terminal; absent: when all of them completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_rules: Option<Rule>,
    /// When the rule is evaluated.
    #[serde(default, skip_serializing_if = "TriggerWhen::is_default")]
    pub trigger_when: TriggerWhen,
    /// Index of the callback after completion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<u32>,
    /// Index of the callback after the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<u32>,
    /// -100 to 100, higher first.
    #[serde(default)]
    pub priority: i32,
    /// Whether its failure leaves the run partially completed instead of failed.
    #[serde(default)]
    pub optional: bool,
    /// Whether its start is durable before it happens; such a task is never started twice.
    #[serde(default)]
    pub at_most_once: bool,
}

/// What happens after a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Retries after the first attempt, 0 to 1,000.
    pub attempts: u32,
    /// How the delay grows.
    pub backoff: Backoff,
    /// Delay before the first retry, in milliseconds.
    pub delay_ms: u64,
    /// Longest delay, in milliseconds.
    pub max_delay_ms: u64,
    /// Whether delays are spread at random.
    pub jitter: bool,
    /// Which failures are retried.
    pub condition: RetryCondition,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 0,
            backoff: Backoff::Exponential,
            delay_ms: 1_000,
            max_delay_ms: 60_000,
            jitter: true,
            condition: RetryCondition::All,
        }
    }
}

/// How the delay between attempts grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// The delay stays the same.
    Fixed,
    /// The delay grows by the first delay each time.
    Linear,
    /// The delay doubles each time.
    #[default]
    Exponential,
}

/// Which of the retryable failures are retried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ConditionJson", into = "ConditionJson")]
pub enum RetryCondition {
    /// None.
    Never,
    /// All retryable failures.
    #[default]
    All,
    /// Those of kind `transient`.
    Transient,
    /// Failures with a kind or message that contains one of these.
    Patterns(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ConditionJson {
    Named(String),
    Patterns(Vec<String>),
}

impl TryFrom<ConditionJson> for RetryCondition {
    type Error = String;

    fn try_from(json: ConditionJson) -> Result<Self, Self::Error> {
        match json {
            ConditionJson::Patterns(patterns) => Ok(Self::Patterns(patterns)),
            ConditionJson::Named(name) => match name.as_str() {
                "never" => Ok(Self::Never),
                "all" => Ok(Self::All),
                "transient" => Ok(Self::Transient),
                _ => Err(format!(
                    "the retry condition {name:?} is not one of never, all, transient or a list of patterns"
                )),
            },
        }
    }
}

impl From<RetryCondition> for ConditionJson {
    fn from(condition: RetryCondition) -> Self {
        match condition {
            RetryCondition::Never => Self::Named("never".to_owned()),
            RetryCondition::All => Self::Named("all".to_owned()),
            RetryCondition::Transient => Self::Named("transient".to_owned()),
            RetryCondition::Patterns(patterns) => Self::Patterns(patterns),
        }
    }
}

/// A function that tasks name in `on_success` or `on_failure`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// The function's name.
    pub name: String,
    /// What `start` is called with.
    pub index: u32,
    /// Whether it is started on a thread where blocking is allowed.
    #[serde(default)]
    pub blocking: bool,
}

impl Descriptor {
    /// Reads the JSON of one record.
    ///
    /// # Errors
    /// [`Error::Format`] for a schema of another version, [`Error::Json`] for anything that does not fit.
    pub fn parse(json: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| Error::Json { reason: error.to_string() };
        let version: Version = serde_json::from_str(json).map_err(unreadable)?;
        if version.format != FORMAT {
            return Err(Error::Format { found: version.format });
        }
        let descriptor = serde_json::from_str(json).map_err(unreadable)?;
        check_exact(json).map_err(|inexact| Error::Json { reason: inexact.to_string() })?;
        Ok(descriptor)
    }

    /// How many functions the record counts: tasks and callbacks of all its workflows.
    #[must_use]
    pub fn n_functions(&self) -> usize {
        self.workflows.iter().map(|workflow| workflow.tasks.len() + workflow.callbacks.len()).sum()
    }

    /// The name that orders records: that of the first workflow.
    pub(super) fn sort_key(&self) -> &str {
        self.workflows.first().map_or("", |workflow| &workflow.name)
    }
}
