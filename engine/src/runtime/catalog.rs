//! The workflows that this engine can run, and how a name finds one.
//!
//! A workflow is known by its full name: `tenant::package::workflow`, or just `workflow` if it was compiled into the
//! program without a package. A full name always wins; otherwise `package::workflow` and `workflow` find the one
//! workflow that they fit. Each full name has one active version, the one that new runs get. Runs keep the version
//! that they started with, so versions also stay known by their id.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use cloacina_workflow::descriptor;

use super::runner::TaskRunner;
use crate::{
    core::{
        graph::Graph,
        plan::{self, Plan},
        retry::Policy,
        rule::{Condition, Rule},
        task,
    },
    id::WorkflowId,
    store::{Error as StoreError, WorkflowKey, WorkflowRow},
};

/// How many near names an error lists.
const SUGGESTIONS_MAX: usize = 3;

/// One version of a workflow as runs know it; needs no code, so it can also be made from what the store kept.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) id: WorkflowId,
    pub(crate) key: WorkflowKey,
    pub(crate) plan: Arc<Plan>,
}

/// A version that can be run.
#[derive(Clone, Debug)]
pub(crate) struct Workflow {
    pub(crate) version: Arc<Version>,
    pub(crate) runner: Arc<dyn TaskRunner>,
}

/// The workflows of one engine; shared by all its handles.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// By full name.
    active: BTreeMap<String, Workflow>,
    versions: HashMap<WorkflowId, Workflow>,
}

/// Why a name finds no workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// Nothing fits; near names, if there are any.
    Unknown { suggestions: Vec<String> },
    /// Several fit; their full names.
    Ambiguous { candidates: Vec<String> },
}

/// A description from which no plan can be made. Whoever registers checks it before, so this is damage.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("task {task:?} depends on {dependency:?}, which the workflow does not have")]
    UnknownDependency { task: String, dependency: String },
    #[error(transparent)]
    Graph(#[from] crate::core::graph::Error),
}

impl Catalog {
    /// Makes the version known, so that runs which are pinned to it can go on.
    pub(crate) fn add(&self, workflow: Workflow) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.versions.insert(workflow.version.id, workflow);
    }

    /// Makes the version the one that new runs get; returns the one before.
    pub(crate) fn activate(&self, workflow: Workflow) -> Option<Workflow> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.versions.insert(workflow.version.id, workflow.clone());
        entries.active.insert(workflow.version.key.full_name(), workflow)
    }

    /// Makes these versions the ones that new runs of a package get; they find nothing else of it. Versions stay known
    /// for the runs that they have.
    pub(crate) fn offer(&self, tenant: &str, package: &str, workflows: Vec<Workflow>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let is_of = |key: &WorkflowKey| key.tenant == tenant && key.package == package && !key.digest.is_empty();
        entries.active.retain(|_, workflow| !is_of(&workflow.version.key));
        for workflow in workflows {
            entries.active.insert(workflow.version.key.full_name(), workflow);
        }
    }

    /// Forgets a version that no unfinished run needs.
    pub(crate) fn forget(&self, id: WorkflowId) -> Option<Workflow> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.versions.remove(&id)
    }

    /// The version of that id, if its code is there.
    pub(crate) fn version(&self, id: WorkflowId) -> Option<Workflow> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.versions.get(&id).cloned()
    }

    /// Full names of the workflows that new runs find, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.active.keys().cloned().collect()
    }

    /// The active version of the one workflow that the name fits.
    pub(crate) fn resolve(&self, name: &str) -> Result<Workflow, Unresolved> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(workflow) = entries.active.get(name) {
            return Ok(workflow.clone());
        }
        let ending = format!("::{name}");
        let mut fitting = entries.active.iter().filter(|(full, _)| full.ends_with(&ending));
        match (fitting.next(), fitting.next()) {
            (Some((_, workflow)), None) => Ok(workflow.clone()),
            (Some((first, _)), Some((second, _))) => {
                let rest = fitting.map(|(full, _)| full);
                Err(Unresolved::Ambiguous { candidates: [first, second].into_iter().chain(rest).cloned().collect() })
            }
            (None, _) => Err(Unresolved::Unknown { suggestions: near(name, entries.active.keys()) }),
        }
    }
}

impl WorkflowKey {
    /// The name that is the workflow's alone.
    pub(crate) fn full_name(&self) -> String {
        let Self { tenant, package, name, .. } = self;
        if package.is_empty() { name.clone() } else { format!("{tenant}::{package}::{name}") }
    }
}

impl Version {
    /// Whether a run that was pinned to the other version may go on with this one: the same, or a workflow compiled
    /// into the program that has kept its tasks and on what they depend: a history is read with the rules by which it was made.
    pub(crate) fn continues(&self, other: &Self) -> bool {
        fn identity(task: &plan::Task) -> (&str, &Rule, [bool; 3]) {
            (&task.id, &task.rule, [task.on_success.is_some(), task.on_failure.is_some(), task.optional])
        }
        let same_tasks = || {
            self.plan.graph == other.plan.graph
                && self.plan.tasks.iter().map(identity).eq(other.plan.tasks.iter().map(identity))
        };
        let compiled_in = self.key.digest.is_empty() && other.key.digest.is_empty();
        self.id == other.id || (compiled_in && self.key.full_name() == other.key.full_name() && same_tasks())
    }
}

/// What the core needs to know of a workflow.
pub(crate) fn plan(workflow: &descriptor::Workflow) -> Result<Plan, PlanError> {
    let numbers: HashMap<&str, u32> = workflow.tasks.iter().map(|task| task.id.as_str()).zip(0..).collect();
    let mut dependencies = Vec::with_capacity(workflow.tasks.len());
    for task in &workflow.tasks {
        let number = |dependency: &String| {
            numbers
                .get(dependency.as_str())
                .copied()
                .ok_or_else(|| PlanError::UnknownDependency { task: task.id.clone(), dependency: dependency.clone() })
        };
        dependencies.push(task.dependencies.iter().map(number).collect::<Result<Vec<u32>, _>>()?);
    }
    let tasks = workflow.tasks.iter().map(|task| {
        let callback = |index: Option<u32>| {
            let declared = index.and_then(|index| workflow.callbacks.iter().find(|callback| callback.index == index));
            declared.map(|callback| plan::Function { index: callback.index, blocking: callback.blocking })
        };
        Ok(plan::Task {
            rule: match &task.trigger_rules {
                None => Rule::AllCompleted,
                Some(rule) => Rule::When(condition(rule, &task.id, &numbers)?),
            },
            retry: Policy::new(&task.retry),
            timeout: task.timeout_ms.map(Duration::from_millis),
            on_success: callback(task.on_success),
            on_failure: callback(task.on_failure),
            priority: task.priority,
            optional: task.optional,
            at_most_once: task.at_most_once,
            ..plan::Task::new(&*task.id, plan::Function { index: task.index, blocking: task.blocking })
        })
    });
    let tasks = tasks.collect::<Result<_, PlanError>>()?;
    let timeout = workflow.timeout_ms.map(Duration::from_millis);
    let pipelined = workflow.durability == descriptor::Durability::Pipelined;
    Ok(Plan { graph: Graph::new(&dependencies)?, tasks, timeout, pipelined })
}

/// The rule with numbers instead of names.
fn condition(rule: &descriptor::Rule, task: &str, numbers: &HashMap<&str, u32>) -> Result<Condition, PlanError> {
    let ended = |id: &String, state| match numbers.get(id.as_str()) {
        Some(number) => Ok(Condition::Ended { task: *number, state }),
        None => Err(PlanError::UnknownDependency { task: task.to_owned(), dependency: id.clone() }),
    };
    let parts = |parts: &[descriptor::Rule]| -> Result<Vec<Condition>, PlanError> {
        parts.iter().map(|part| condition(part, task, numbers)).collect()
    };
    Ok(match rule {
        descriptor::Rule::Always => Condition::Always,
        descriptor::Rule::All(rules) => Condition::All(parts(rules)?),
        descriptor::Rule::Any(rules) => Condition::Any(parts(rules)?),
        descriptor::Rule::None(rules) => Condition::None(parts(rules)?),
        descriptor::Rule::TaskSuccess(id) => ended(id, task::State::Completed)?,
        descriptor::Rule::TaskFailed(id) => ended(id, task::State::Failed)?,
        descriptor::Rule::TaskSkipped(id) => ended(id, task::State::Skipped)?,
        descriptor::Rule::ContextValue { key, op, value } => {
            Condition::Value { key: key.as_str().into(), op: *op, value: value.clone() }
        }
    })
}

/// The version that a row of the store describes.
pub(crate) fn stored_version(row: &WorkflowRow) -> Result<Version, StoreError> {
    let corrupt =
        |reason: String| StoreError::Corrupt { reason: format!("workflow {}: {reason}", row.key.full_name()) };
    let workflow: descriptor::Workflow =
        serde_json::from_str(&row.descriptor).map_err(|error| corrupt(error.to_string()))?;
    let plan = plan(&workflow).map_err(|error| corrupt(error.to_string()))?;
    Ok(Version { id: row.id, key: row.key.clone(), plan: Arc::new(plan) })
}

/// The names that a typing error could have been meant for: those whose last part is near, nearest first.
fn near<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let last = |name: &str| name.rsplit("::").next().unwrap_or_default().to_owned();
    let wanted = last(name);
    let allowed = (wanted.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &String)> =
        names.map(|full| (distance(&wanted, &last(full)), full)).filter(|(distance, _)| *distance <= allowed).collect();
    near.sort();
    near.into_iter().take(SUGGESTIONS_MAX).map(|(_, full)| full.clone()).collect()
}

/// How many letters must be added, removed or replaced to make one word the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for column in 0..other.len() {
            let replaced = diagonal + usize::from(letter != other[column]);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.key.full_name())
    }
}

#[cfg(test)]
mod tests {
    use cloacina_workflow::Timestamp;

    use super::*;
    use crate::runtime::runner::Attempt;

    #[derive(Debug)]
    struct NoRunner;

    impl TaskRunner for NoRunner {
        fn start(&self, _: Attempt) {}
    }

    fn workflow(tenant: &str, package: &str, name: &str) -> Workflow {
        let key = WorkflowKey {
            tenant: tenant.to_owned(),
            package: package.to_owned(),
            name: name.to_owned(),
            digest: if package.is_empty() { Vec::new() } else { vec![1; 32] },
            fingerprint: String::new(),
        };
        let plan = Plan { graph: Graph::new(&[]).unwrap(), tasks: Box::default(), timeout: None, pipelined: false };
        let id = WorkflowId::new(Timestamp::from_unix_micros(0));
        Workflow { version: Arc::new(Version { id, key, plan: Arc::new(plan) }), runner: Arc::new(NoRunner) }
    }

    #[test]
    fn names_find_the_one_workflow_that_they_fit() {
        let catalog = Catalog::default();
        for (tenant, package, name) in [
            ("public", "", "cleanup"),
            ("public", "billing", "invoices"),
            ("acme", "billing", "invoices"),
            ("acme", "billing", "cleanup"),
            ("acme", "reports", "monthly"),
        ] {
            assert!(catalog.activate(workflow(tenant, package, name)).is_none());
        }
        let unknown = |suggestions: &[&str]| {
            Err(Unresolved::Unknown { suggestions: suggestions.iter().map(|name| (*name).to_owned()).collect() })
        };
        let both = ["acme::billing::invoices", "public::billing::invoices"].map(str::to_owned).to_vec();
        for (name, expected) in [
            ("monthly", Ok("acme::reports::monthly")),
            ("reports::monthly", Ok("acme::reports::monthly")),
            ("public::billing::invoices", Ok("public::billing::invoices")),
            ("cleanup", Ok("cleanup")),
            ("billing::cleanup", Ok("acme::billing::cleanup")),
            ("invoices", Err(Unresolved::Ambiguous { candidates: both.clone() })),
            ("billing::invoices", Err(Unresolved::Ambiguous { candidates: both })),
            ("montly", unknown(&["acme::reports::monthly"])),
            ("cleanups", unknown(&["acme::billing::cleanup", "cleanup"])),
            ("nothing_like_it", unknown(&[])),
            ("onthly", unknown(&["acme::reports::monthly"])),
        ] {
            let found = catalog.resolve(name).map(|workflow| workflow.version.to_string());
            assert_eq!(found, expected.map(str::to_owned), "{name}");
        }
    }

    #[test]
    fn old_versions_stay_known_when_a_new_one_is_active() {
        let catalog = Catalog::default();
        let (old, new) = (workflow("public", "p", "w"), workflow("public", "p", "w"));
        catalog.activate(old.clone());
        assert_eq!(catalog.activate(new.clone()).map(|before| before.version.id), Some(old.version.id));
        assert_eq!(catalog.resolve("w").map(|found| found.version.id), Ok(new.version.id));
        assert!(catalog.version(old.version.id).is_some());
        catalog.offer("public", "p", Vec::new());
        assert!(catalog.resolve("w").is_err() && catalog.version(new.version.id).is_some());
    }

    #[test]
    fn plans_come_from_descriptions() {
        let described = serde_json::json!({"name": "w", "tasks": [
            {"id": "b", "index": 3, "dependencies": ["a"], "priority": 5, "optional": true},
            {"id": "a", "index": 1, "blocking": true, "at_most_once": true},
        ]});
        let mut described: descriptor::Workflow = serde_json::from_value(described).unwrap();
        let made = plan(&described).unwrap();
        assert_eq!(made.graph.order(), [1, 0]);
        let (a, b) = (made.task(1), made.task(0));
        assert!(a.function.blocking && a.at_most_once && !b.function.blocking && b.optional);
        assert_eq!((a.function.index, b.function.index, b.priority), (1, 3, 5));
        described.tasks[0].dependencies.push("c".to_owned());
        assert!(matches!(plan(&described), Err(PlanError::UnknownDependency { .. })));
    }
}
