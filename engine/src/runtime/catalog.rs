//! The workflows that this engine can run, and how a name finds one.
//!
//! A workflow is known by its full name: `tenant::package::workflow`, or just `workflow` if it was compiled into the
//! program without a package. A full name always wins; otherwise `package::workflow` and `workflow` find the one
//! workflow that they fit. Each full name has one active version, the one that new runs get. Runs keep the version
//! that they started with, so versions also stay known by their id.

use std::{
    collections::{BTreeMap, HashMap, HashSet, btree_map::Entry},
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::descriptor;
use strsim::osa_distance;

use super::runner::TaskRunner;
use crate::{
    core::{
        graph::Graph,
        node::NodeId,
        plan::{self, Plan},
        retry::Policy,
        rule::{Condition, Rule, When},
        task,
    },
    id::{Scope, WorkflowId, is_name_of},
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
    observer: OnceLock<PackageObserver>,
}

/// Has somebody look for what other engines changed. Must not block.
pub(crate) struct PackageObserver(Box<dyn Fn() + Send + Sync>);

/// What new runs of a workflow get.
#[derive(Clone, Debug)]
pub(crate) struct ActiveWorkflow {
    /// The version that they get.
    main: Workflow,
    /// Another version that gets some of them, and the percentage.
    sharing: Option<(Workflow, u8)>,
}

#[derive(Debug, Default)]
struct Entries {
    /// By full name.
    active: BTreeMap<String, ActiveWorkflow>,
    versions: HashMap<WorkflowId, Workflow>,
    /// Those of packages, by tenant, content and name.
    packaged: HashMap<(String, Digest, String), WorkflowId>,
    /// Those of which nothing new is started.
    quarantined: HashSet<WorkflowId>,
}

/// Why a name finds no workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// Nothing fits; near names, if there are any.
    Unknown { suggestions: Vec<String> },
    /// Several fit; their full names.
    Ambiguous { candidates: Vec<String> },
}

/// A description from which no plan can be made. The registration checks it before, so this is damage.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("task {task:?} depends on {dependency:?}, which the workflow does not have")]
    UnknownDependency { task: String, dependency: String },
    #[error(transparent)]
    Graph(#[from] crate::core::graph::Error),
}

impl Catalog {
    /// Says whom to ask when other engines may have changed what there is.
    pub(crate) fn set_observer(&self, observer: Box<dyn Fn() + Send + Sync>) {
        // An engine says it once.
        drop(self.observer.set(PackageObserver(observer)));
    }

    /// Other engines may have changed what there is.
    pub(crate) fn check_packages(&self) {
        if let Some(PackageObserver(notify)) = self.observer.get() {
            notify();
        }
    }

    /// Says of versions whether anything new of them may be started.
    pub(crate) fn quarantine(&self, ids: impl Iterator<Item = WorkflowId>, is_quarantined: bool) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            match is_quarantined {
                true => entries.quarantined.insert(id),
                false => entries.quarantined.remove(&id),
            };
        }
    }

    /// Whether nothing new of that version may be started.
    pub(crate) fn is_quarantined(&self, id: WorkflowId) -> bool {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.quarantined.contains(&id)
    }

    /// Makes the version known, so that runs which are pinned to it can go on.
    pub(crate) fn add(&self, workflow: Workflow) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let WorkflowKey { tenant, name, .. } = &workflow.version.key;
        if let Some(digest) = workflow.version.key.content_digest() {
            entries.packaged.insert((tenant.clone(), digest, name.clone()), workflow.version.id);
        }
        entries.versions.insert(workflow.version.id, workflow);
    }

    /// Makes the version the one that all new runs get; returns the one before.
    pub(crate) fn activate(&self, workflow: Workflow) -> Option<Workflow> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.versions.insert(workflow.version.id, workflow.clone());
        let active = ActiveWorkflow { main: workflow.clone(), sharing: None };
        entries.active.insert(workflow.version.key.full_name(), active).map(|before| before.main)
    }

    /// Makes these versions the ones that new runs of a package get, and those others for that percentage of them; they
    /// find nothing else of it. A workflow that only one of both has is always that one's. Versions stay known for the
    /// runs that they have.
    pub(crate) fn set_active(
        &self,
        tenant: &str,
        package: &str,
        main: Vec<Workflow>,
        sharing: Vec<Workflow>,
        share: u8,
    ) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let is_of = |key: &WorkflowKey| key.tenant == tenant && key.package == package && !key.digest.is_empty();
        entries.active.retain(|_, active| !is_of(&active.main.version.key));
        for workflow in main {
            let name = workflow.version.key.full_name();
            entries.active.insert(name, ActiveWorkflow { main: workflow, sharing: None });
        }
        for workflow in sharing {
            match entries.active.entry(workflow.version.key.full_name()) {
                Entry::Occupied(mut active) => active.get_mut().sharing = Some((workflow, share)),
                Entry::Vacant(vacant) => drop(vacant.insert(ActiveWorkflow { main: workflow, sharing: None })),
            }
        }
    }

    /// Forgets a version that no unfinished run needs.
    pub(crate) fn forget(&self, id: WorkflowId) -> Option<Workflow> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.quarantined.remove(&id);
        entries.packaged.retain(|_, known| *known != id);
        entries.versions.remove(&id)
    }

    /// The version of that id, if its code is there.
    pub(crate) fn version(&self, id: WorkflowId) -> Option<Workflow> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.versions.get(&id).cloned()
    }

    /// The workflow of that version of a package, if its code is there.
    pub(crate) fn of_package(&self, tenant: &str, digest: Digest, name: &str) -> Option<Workflow> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let id = *entries.packaged.get(&(tenant.to_owned(), digest, name.to_owned()))?;
        entries.versions.get(&id).cloned()
    }

    /// Full names of the workflows that new runs of those tenants find, in order.
    pub(crate) fn names(&self, scope: &Scope) -> Vec<String> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.seen_by(scope).map(|(name, _)| name.clone()).collect()
    }

    /// The main active version of the one workflow that the name fits.
    pub(crate) fn resolve(&self, name: &str) -> Result<Workflow, Unresolved> {
        self.active(&Scope::Every, name).map(|active| active.main)
    }

    /// What new runs get of the one workflow of those tenants that the name fits.
    pub(crate) fn active(&self, scope: &Scope, name: &str) -> Result<ActiveWorkflow, Unresolved> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(workflow) = entries.active.get(name).filter(|workflow| workflow.is_of(scope)) {
            return Ok(workflow.clone());
        }
        let mut fitting = entries.seen_by(scope).filter(|(full, _)| is_name_of(name, full));
        match (fitting.next(), fitting.next()) {
            (Some((_, workflow)), None) => Ok(workflow.clone()),
            (Some((first, _)), Some((second, _))) => {
                let rest = fitting.map(|(full, _)| full);
                Err(Unresolved::Ambiguous { candidates: [first, second].into_iter().chain(rest).cloned().collect() })
            }
            (None, _) => {
                Err(Unresolved::Unknown { suggestions: near(name, entries.seen_by(scope).map(|(full, _)| full)) })
            }
        }
    }
}

impl Entries {
    /// What new runs of those tenants find, by full name.
    fn seen_by(&self, scope: &Scope) -> impl Iterator<Item = (&String, &ActiveWorkflow)> {
        self.active.iter().filter(|(_, active)| active.is_of(scope))
    }
}

impl ActiveWorkflow {
    fn is_of(&self, scope: &Scope) -> bool {
        scope.has(&self.main.version.key.tenant)
    }

    /// The version for the run with that key. It depends on nothing but the package, the key and the percentage, so it is
    /// the same in every engine and after a restart, and workflows of a package that are started with one key get the
    /// same version. A run that gets the other version at one percentage gets it at every higher one.
    pub(crate) fn choose(self, key: &str) -> Workflow {
        let Self { main, sharing } = self;
        let Some((sharing, share)) = sharing else { return main };
        let WorkflowKey { tenant, package, .. } = &main.version.key;
        let digest = Digest::of(format!("{tenant}::{package}/{key}").as_bytes());
        let mut number = [0; 8];
        number.copy_from_slice(&digest.as_bytes()[..8]);
        if u64::from_be_bytes(number) % 100 < u64::from(share) { sharing } else { main }
    }
}

impl WorkflowKey {
    /// The package's content digest, if the workflow is of one.
    pub(crate) fn content_digest(&self) -> Option<Digest> {
        <[u8; 32]>::try_from(self.digest.as_slice()).ok().map(Digest::from_bytes)
    }

    /// The name that is the workflow's alone.
    pub(crate) fn full_name(&self) -> String {
        full_name(&self.tenant, &self.package, &self.name)
    }
}

fn full_name(tenant: &str, package: &str, name: &str) -> String {
    if package.is_empty() { name.to_owned() } else { format!("{tenant}::{package}::{name}") }
}

impl Version {
    /// Whether a run that was pinned to the other version may go on with this one: the same, or a workflow compiled
    /// into the program that has kept its tasks and on what they depend: a history is read with the rules by which it was made.
    pub(crate) fn continues(&self, other: &Self) -> bool {
        fn identity(task: &plan::Task) -> (&str, &Rule, When, [bool; 3]) {
            (&task.id, &task.rule, task.when, [task.on_success.is_some(), task.on_failure.is_some(), task.optional])
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
    let ids = workflow.tasks.iter().map(|task| task.id.as_str());
    let numbers: HashMap<&str, NodeId> = ids.zip((0..).map(NodeId::at)).collect();
    let mut dependencies = Vec::with_capacity(workflow.tasks.len());
    for task in &workflow.tasks {
        let number = |dependency: &String| {
            numbers
                .get(dependency.as_str())
                .copied()
                .ok_or_else(|| PlanError::UnknownDependency { task: task.id.clone(), dependency: dependency.clone() })
        };
        dependencies.push(task.dependencies.iter().map(number).collect::<Result<Vec<NodeId>, _>>()?);
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
            when: match task.trigger_when {
                descriptor::TriggerWhen::Terminal => When::Terminal,
                descriptor::TriggerWhen::Decided => When::Decided,
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
fn condition(rule: &descriptor::Rule, task: &str, numbers: &HashMap<&str, NodeId>) -> Result<Condition, PlanError> {
    let number = |id: &String| {
        let unknown = || PlanError::UnknownDependency { task: task.to_owned(), dependency: id.clone() };
        numbers.get(id.as_str()).copied().ok_or_else(unknown)
    };
    let ended = |id: &String, state| Ok::<_, PlanError>(Condition::Ended { task: number(id)?, state });
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
        descriptor::Rule::TaskUpstreamFailed(id) => Condition::UpstreamFailed { task: number(id)? },
        descriptor::Rule::ContextValue { key, op, value } => {
            Condition::Value { key: key.as_str().into(), op: *op, value: value.clone() }
        }
    })
}

/// The version that a row of the store describes.
pub(crate) fn stored_version(row: &WorkflowRow) -> Result<Version, StoreError> {
    let plan = plan(&stored_workflow(row)?).map_err(|error| corrupt(row, &error.to_string()))?;
    Ok(Version { id: row.id, key: row.key.clone(), plan: Arc::new(plan) })
}

/// What the workflow of a row of the store consists of.
pub(crate) fn stored_workflow(row: &WorkflowRow) -> Result<descriptor::Workflow, StoreError> {
    serde_json::from_str(&row.descriptor).map_err(|error| corrupt(row, &error.to_string()))
}

fn corrupt(row: &WorkflowRow, reason: &str) -> StoreError {
    StoreError::Corrupt { reason: format!("workflow {}: {reason}", row.key.full_name()) }
}

/// The names that a typing error could have been meant for: those whose last part is near, nearest first.
fn near<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let last = |name: &str| name.rsplit("::").next().unwrap_or_default().to_owned();
    let wanted = last(name);
    let allowed = (wanted.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &String)> = names
        .map(|full| (osa_distance(&wanted, &last(full)), full))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    near.sort();
    near.into_iter().take(SUGGESTIONS_MAX).map(|(_, full)| full.clone()).collect()
}

impl fmt::Debug for PackageObserver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PackageObserver")
    }
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
        catalog.set_active("public", "p", Vec::new(), Vec::new(), 0);
        assert!(catalog.resolve("w").is_err() && catalog.version(new.version.id).is_some());
    }

    #[test]
    fn a_share_of_new_runs_is_chosen_by_their_key_alone() {
        let catalog = Catalog::default();
        let (main, sharing) = (workflow("public", "p", "w"), workflow("public", "p", "w"));
        let only_new = workflow("public", "p", "new");
        let gets = |share: u8, name: &str, key: &str| {
            let others = vec![sharing.clone(), only_new.clone()];
            catalog.set_active("public", "p", vec![main.clone()], others, share);
            catalog.active(&Scope::Every, name).unwrap().choose(key).version.id == sharing.version.id
        };
        let keys: Vec<String> = (0..10_000).map(|number| format!("order-{number}")).collect();
        let chosen = |share| keys.iter().filter(|key| gets(share, "w", key)).collect::<Vec<_>>();
        let (tenth, half) = (chosen(10), chosen(50));
        // Four standard deviations around the middle; keys are fixed, so this never changes.
        assert!((880..=1_120).contains(&tenth.len()) && (4_800..=5_200).contains(&half.len()), "{}", tenth.len());
        assert_eq!(tenth, chosen(10));
        assert!(tenth.iter().all(|key| half.contains(key)), "a key that has the version keeps it when the share grows");
        // What only the other version has is its own.
        assert_eq!(catalog.active(&Scope::Every, "new").unwrap().choose("any").version.id, only_new.version.id);
        assert_eq!(catalog.resolve("w").unwrap().version.id, main.version.id);
    }

    #[test]
    fn plans_come_from_descriptions() {
        let described = serde_json::json!({"name": "w", "tasks": [
            {"id": "b", "index": 3, "dependencies": ["a"], "priority": 5, "optional": true},
            {"id": "a", "index": 1, "blocking": true, "at_most_once": true},
        ]});
        let mut described: descriptor::Workflow = serde_json::from_value(described).unwrap();
        let made = plan(&described).unwrap();
        assert_eq!(made.graph.order(), [1, 0].map(NodeId::new));
        let (a, b) = (made.task(NodeId::new(1)), made.task(NodeId::new(0)));
        assert!(a.function.blocking && a.at_most_once && !b.function.blocking && b.optional);
        assert_eq!((a.function.index, b.function.index, b.priority), (1, 3, 5));
        described.tasks[0].dependencies.push("c".to_owned());
        assert!(matches!(plan(&described), Err(PlanError::UnknownDependency { .. })));
    }
}
