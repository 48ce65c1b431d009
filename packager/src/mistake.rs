//! What can be wrong with a descriptor: codes `DSC…`.
//!
//! The same mistakes that the macros refuse at compile time, for descriptors that were written by hand. They are
//! collected, never reported one by one; each names the workflow and, where there is one, the task.

use std::fmt;

use strsim::osa_distance;

/// One mistake in a descriptor.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// The workflow it is in, if it is in one.
    pub workflow: Option<String>,
    /// The task it is in, if it is in one.
    pub task: Option<String>,
    /// The line of the task in the text that was read, if it was read from one.
    pub line: Option<usize>,
    /// What is wrong.
    pub kind: MistakeKind,
}

/// What is wrong with a descriptor.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MistakeKind {
    /// Two tasks have one id.
    #[error("two tasks have the id `{id}`")]
    DuplicateTask { id: String },
    /// A dependency is not a task of the workflow.
    #[error("the dependency `{dependency}` is not a task of this workflow")]
    UnknownDependency { dependency: String, similar: Vec<String> },
    /// Tasks wait for each other.
    #[error("the tasks wait for each other: {}", .path.join(" → "))]
    Cycle { path: Vec<String> },
    /// A task waits for itself.
    #[error("the task depends on itself")]
    SelfDependency,
    /// A dependency is listed twice.
    #[error("the dependency `{dependency}` is listed twice")]
    DuplicateDependency { dependency: String },
    /// A name has characters or a length that are not allowed.
    #[error("{what} `{name}` is not allowed: {reason}")]
    BadName { what: &'static str, name: String, reason: &'static str },
    /// A value is out of its range.
    #[error("{attribute} is {found}, but must be {allowed}")]
    OutOfRange { attribute: &'static str, found: String, allowed: &'static str },
    /// Two functions have one index.
    #[error("the function index {index} is used by {first} and by {second}")]
    DuplicateIndex { index: u32, first: String, second: String },
    /// The indices of the functions have a gap.
    #[error(
        "the function index {index} of {function} is out of range: there are {n_functions} functions, counted from 0"
    )]
    IndexOutOfRange { index: u32, function: String, n_functions: usize },
    /// A trigger rule names an id that is not a task of the workflow.
    #[error("the trigger rule names `{named}`, which is not a task of this workflow")]
    UnknownTaskInRule { named: String, similar: Vec<String> },
    /// A trigger rule names a task that may not be over when the rule is evaluated.
    #[error("the trigger rule names `{named}`, which is not upstream of this task")]
    RuleNotUpstream { named: String },
    /// A trigger rule is malformed.
    #[error("the trigger rule is malformed: {reason}")]
    MalformedRule { reason: &'static str },
    /// A callback's index is none of the workflow's callbacks.
    #[error("{attribute} is {index}, which is not the index of a callback of this workflow")]
    UnknownCallback { attribute: &'static str, index: u32 },
    /// Two callbacks of one workflow have one name.
    #[error("two callbacks are called `{name}`")]
    DuplicateCallback { name: String },
    /// A task that must never start twice asks for retries.
    #[error("at_most_once excludes retries, but retry.attempts is {attempts}")]
    AtMostOnceWithRetries { attempts: u32 },
    /// Two workflows have one name.
    #[error("two workflows are called `{name}`")]
    DuplicateWorkflow { name: String },
    /// There is no workflow, or a workflow without a task.
    #[error("{what} has no {missing}")]
    Empty { what: &'static str, missing: &'static str },
    /// The version is not a semantic version.
    #[error("the version `{version}` is not a semantic version: {reason}")]
    BadVersion { version: String, reason: String },
    /// The fingerprint is not a sha-256.
    #[error("the fingerprint `{fingerprint}` is not 64 lower-case hex digits")]
    BadFingerprint { fingerprint: String },
    /// The modules of one package disagree.
    #[error("the workflows disagree on {member}: `{}` in `{}`, `{}` in `{}`", .first.0, .first.1, .second.0, .second.1)]
    Disagree { member: &'static str, first: (String, String), second: (String, String) },
    /// A definition cannot be read.
    #[error("the definition cannot be read: {reason}")]
    Unreadable { reason: String },
    /// What a task of a definition uses is not there.
    #[error("`{uses}` cannot be used: {reason}")]
    UnknownFunction { uses: String, reason: String, similar: Vec<String> },
    /// What a task of a definition uses cannot have these parameters.
    #[error("the parameters of `{uses}` are wrong: {reason}")]
    BadParameters { uses: String, reason: String },
}

impl Mistake {
    /// The stable code; `docs/errors/<code>.md` explains it.
    pub fn code(&self) -> &'static str {
        match &self.kind {
            MistakeKind::DuplicateTask { .. } => "DSC0001",
            MistakeKind::UnknownDependency { .. } => "DSC0002",
            MistakeKind::Cycle { .. } => "DSC0003",
            MistakeKind::SelfDependency => "DSC0004",
            MistakeKind::DuplicateDependency { .. } => "DSC0005",
            MistakeKind::BadName { .. } => "DSC0006",
            MistakeKind::OutOfRange { .. } => "DSC0007",
            MistakeKind::DuplicateIndex { .. } => "DSC0008",
            MistakeKind::IndexOutOfRange { .. } => "DSC0009",
            MistakeKind::UnknownTaskInRule { .. } => "DSC0010",
            MistakeKind::RuleNotUpstream { .. } => "DSC0011",
            MistakeKind::MalformedRule { .. } => "DSC0012",
            MistakeKind::UnknownCallback { .. } => "DSC0013",
            MistakeKind::DuplicateCallback { .. } => "DSC0014",
            MistakeKind::AtMostOnceWithRetries { .. } => "DSC0015",
            MistakeKind::DuplicateWorkflow { .. } => "DSC0016",
            MistakeKind::Empty { .. } => "DSC0017",
            MistakeKind::BadVersion { .. } => "DSC0018",
            MistakeKind::BadFingerprint { .. } => "DSC0019",
            MistakeKind::Disagree { .. } => "DSC0020",
            MistakeKind::Unreadable { .. } => "DSC0021",
            MistakeKind::UnknownFunction { .. } => "DSC0022",
            MistakeKind::BadParameters { .. } => "DSC0023",
        }
    }

    /// What the author can do about it.
    pub fn hints(&self) -> Vec<String> {
        match &self.kind {
            MistakeKind::UnknownDependency { similar, .. }
            | MistakeKind::UnknownTaskInRule { similar, .. }
            | MistakeKind::UnknownFunction { similar, .. } => {
                similar.iter().map(|name| format!("did you mean `{name}`?")).collect()
            }
            MistakeKind::Cycle { path } => {
                let edge = path.get(..2).map(|edge| format!("`{}` → `{}`", edge[0], edge[1]));
                edge.map(|edge| format!("remove one of these dependencies, for example {edge}")).into_iter().collect()
            }
            MistakeKind::SelfDependency => vec!["remove the task's own id from its dependencies".to_owned()],
            MistakeKind::RuleNotUpstream { named } => {
                vec![format!("add `{named}` to the dependencies, so that it is over when the rule is evaluated")]
            }
            MistakeKind::IndexOutOfRange { .. } | MistakeKind::DuplicateIndex { .. } => {
                vec!["number tasks and callbacks of a record from 0, without gaps".to_owned()]
            }
            MistakeKind::AtMostOnceWithRetries { .. } => {
                vec!["leave out the retries, or allow the task to start more than once".to_owned()]
            }
            MistakeKind::BadName { .. } => {
                vec![
                    "a name starts with a letter or `_`, continues with letters, digits, `_` and `-`, and has at most 128 bytes".to_owned(),
                ]
            }
            MistakeKind::DuplicateTask { .. }
            | MistakeKind::DuplicateDependency { .. }
            | MistakeKind::OutOfRange { .. }
            | MistakeKind::MalformedRule { .. }
            | MistakeKind::UnknownCallback { .. }
            | MistakeKind::DuplicateCallback { .. }
            | MistakeKind::DuplicateWorkflow { .. }
            | MistakeKind::Empty { .. }
            | MistakeKind::BadVersion { .. }
            | MistakeKind::BadFingerprint { .. }
            | MistakeKind::Disagree { .. }
            | MistakeKind::Unreadable { .. } => Vec::new(),
            MistakeKind::BadParameters { .. } => {
                vec!["docs/reference/definition.md has the parameters of each built-in".to_owned()]
            }
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        match (&self.workflow, &self.task) {
            (Some(workflow), Some(task)) => write!(formatter, "workflow `{workflow}`, task `{task}`: {}", self.kind),
            (Some(workflow), None) => write!(formatter, "workflow `{workflow}`: {}", self.kind),
            _ => fmt::Display::fmt(&self.kind, formatter),
        }
    }
}

/// The mistakes as lines.
pub(crate) fn list(mistakes: &[Mistake]) -> String {
    let lines: Vec<_> = mistakes.iter().map(|mistake| format!("  {}: {mistake}", mistake.code())).collect();
    lines.join("\n")
}

/// How many mistakes have suggestions: each one compares every name, and more would not be read.
pub(crate) const SUGGESTED_MAX: usize = 100;

/// Similar names, nearest first.
pub(crate) fn similar<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    const SHOWN_MAX: usize = 3;
    let tolerated = (given.chars().count() / 3).max(1);
    let mut near: Vec<_> =
        known.map(|name| (osa_distance(given, name), name)).filter(|(distance, _)| *distance <= tolerated).collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(SHOWN_MAX).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_suggested() {
        let known = ["collect_data", "collect_date", "report"];
        assert_eq!(similar("colect_data", known.into_iter()), ["collect_data", "collect_date"]);
        assert_eq!(similar("repotr", known.into_iter()), ["report"]);
        assert!(similar("x", known.into_iter()).is_empty());
    }
}
