//! Everything that a macro would have refused, for descriptors that were written by hand.
//!
//! Reads a descriptor and collects its mistakes; changes nothing, reads nothing else. The rules for names and ranges
//! are those of the macros' grammar.

use std::collections::{BTreeMap, BTreeSet};

use cloacina_workflow::descriptor::{Descriptor, FUNCTIONS_MAX, Operator, RetryCondition, Rule, Task, Workflow};

use crate::digest::Digest;
use crate::graph::{Ancestors, Graph};
use crate::mistake::{Mistake, MistakeKind, SUGGESTED_MAX, similar};

/// The longest name of anything.
const NAME_BYTES_MAX: usize = 128;
/// Retries after the first attempt.
const RETRIES_MAX: u32 = 1_000;
/// Exact in every JSON reader, and still an `i64` when counted in microseconds.
const MILLISECONDS_MAX: u64 = 9_007_199_254_740_991;
const PRIORITY_MAX: i32 = 100;
/// How deep rules may be nested; people lose track long before.
const RULE_DEPTH_MAX: usize = 16;

/// Checks a whole descriptor.
///
/// # Errors
/// Every mistake found, in the order of the descriptor.
pub fn check(descriptor: &Descriptor) -> Result<(), Vec<Mistake>> {
    let mut checker = Checker { mistakes: Vec::new(), workflow: None, task: None };
    let n_functions = descriptor.n_functions();
    checker.range("the number of tasks and callbacks", n_functions <= FUNCTIONS_MAX, &n_functions, "0 to 50000");
    if !checker.mistakes.is_empty() {
        return Err(checker.mistakes);
    }
    checker.name("the package name", &descriptor.package);
    if let Some(tenant) = &descriptor.tenant {
        checker.name("the tenant", tenant);
    }
    if let Err(error) = semver::Version::parse(&descriptor.version) {
        let version = descriptor.version.clone();
        checker.add(MistakeKind::BadVersion { version, reason: error.to_string() });
    } else if descriptor.version.len() > NAME_BYTES_MAX {
        let (version, reason) = (descriptor.version.clone(), "it is longer than 128 bytes".to_owned());
        checker.add(MistakeKind::BadVersion { version, reason });
    }
    if descriptor.workflows.is_empty() {
        checker.add(MistakeKind::Empty { what: "the package", missing: "workflow" });
    }
    let mut names = BTreeSet::new();
    for workflow in &descriptor.workflows {
        if !names.insert(&workflow.name) {
            checker.add(MistakeKind::DuplicateWorkflow { name: workflow.name.clone() });
        }
    }
    checker.indices(descriptor);
    for workflow in &descriptor.workflows {
        checker.workflow(workflow);
    }
    match checker.mistakes.is_empty() {
        true => Ok(()),
        false => Err(checker.mistakes),
    }
}

/// What is wrong with a text as the name of a tenant, a package or a workflow, if anything is.
#[must_use]
pub fn name_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > NAME_BYTES_MAX {
        Some("it is longer than 128 bytes")
    } else if !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        Some("it does not start with a letter or `_`")
    } else if !name.chars().all(|character| character.is_ascii_alphanumeric() || "_-".contains(character)) {
        Some("it holds other characters than letters, digits, `_` and `-`")
    } else {
        None
    }
}

struct Checker<'a> {
    mistakes: Vec<Mistake>,
    workflow: Option<&'a str>,
    task: Option<&'a str>,
}

impl<'a> Checker<'a> {
    fn add(&mut self, kind: MistakeKind) {
        let workflow = self.workflow.map(str::to_owned);
        let task = self.task.map(str::to_owned);
        self.mistakes.push(Mistake { workflow, task, line: None, kind });
    }

    fn name(&mut self, what: &'static str, name: &str) {
        if let Some(reason) = name_problem(name) {
            self.add(MistakeKind::BadName { what, name: name.to_owned(), reason });
        }
    }

    fn range(&mut self, attribute: &'static str, inside: bool, found: &dyn ToString, allowed: &'static str) {
        if !inside {
            self.add(MistakeKind::OutOfRange { attribute, found: found.to_string(), allowed });
        }
    }

    /// Functions are numbered from 0 without gaps, each once.
    fn indices(&mut self, descriptor: &Descriptor) {
        let mut functions = Vec::new();
        for workflow in &descriptor.workflows {
            let tasks = workflow.tasks.iter().map(|task| (task.index, format!("task `{}`", task.id)));
            let callbacks =
                workflow.callbacks.iter().map(|callback| (callback.index, format!("callback `{}`", callback.name)));
            functions.extend(tasks.chain(callbacks));
        }
        let n_functions = functions.len();
        let mut users: BTreeMap<u32, String> = BTreeMap::new();
        for (index, function) in functions {
            if let Some(first) = users.get(&index) {
                let first = first.clone();
                self.add(MistakeKind::DuplicateIndex { index, first, second: function });
            } else if index as usize >= n_functions {
                self.add(MistakeKind::IndexOutOfRange { index, function, n_functions });
            } else {
                users.insert(index, function);
            }
        }
    }

    fn workflow(&mut self, workflow: &'a Workflow) {
        self.workflow = Some(&workflow.name);
        self.name("the workflow name", &workflow.name);
        if workflow.tasks.is_empty() {
            self.add(MistakeKind::Empty { what: "the workflow", missing: "task" });
        }
        if let Some(fingerprint) = &workflow.fingerprint
            && Digest::from_hex(fingerprint).is_err()
        {
            self.add(MistakeKind::BadFingerprint { fingerprint: fingerprint.clone() });
        }
        self.milliseconds("timeout_ms", workflow.timeout_ms);
        let mut names = BTreeSet::new();
        for callback in &workflow.callbacks {
            self.name("the callback name", &callback.name);
            if !names.insert(&callback.name) {
                self.add(MistakeKind::DuplicateCallback { name: callback.name.clone() });
            }
        }
        let graph = match Graph::new(workflow) {
            Ok(graph) => Some(graph),
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                None
            }
        };
        let upstream = Upstream::new(workflow, graph.as_ref());
        for (place, task) in workflow.tasks.iter().enumerate() {
            self.task = Some(&task.id);
            self.name("the task id", &task.id);
            self.task(task, workflow);
            if let Some(rule) = &task.trigger_rules {
                self.rule(rule, place, &upstream, 0);
            }
            self.task = None;
        }
        self.workflow = None;
    }

    fn milliseconds(&mut self, attribute: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.range(attribute, (1..=MILLISECONDS_MAX).contains(&value), &value, "1 to 9007199254740991");
        }
    }

    fn task(&mut self, task: &Task, workflow: &Workflow) {
        let retry = &task.retry;
        self.range("retry.attempts", retry.attempts <= RETRIES_MAX, &retry.attempts, "0 to 1000");
        let (delay_ms, max_delay_ms) = (retry.delay_ms, retry.max_delay_ms);
        self.range("retry.max_delay_ms", max_delay_ms <= MILLISECONDS_MAX, &max_delay_ms, "0 to 9007199254740991");
        self.range("retry.delay_ms", delay_ms <= max_delay_ms, &delay_ms, "0 to retry.max_delay_ms");
        if retry.condition == RetryCondition::Patterns(Vec::new()) {
            self.range(
                "retry.condition",
                false,
                &"an empty list",
                "\"never\", \"all\", \"transient\" or at least one pattern",
            );
        }
        let priority = (-PRIORITY_MAX..=PRIORITY_MAX).contains(&task.priority);
        self.range("priority", priority, &task.priority, "-100 to 100");
        self.milliseconds("timeout_ms", task.timeout_ms);
        if task.at_most_once && retry.attempts > 0 {
            self.add(MistakeKind::AtMostOnceWithRetries { attempts: retry.attempts });
        }
        for (attribute, index) in [("on_success", task.on_success), ("on_failure", task.on_failure)] {
            if let Some(index) = index
                && !workflow.callbacks.iter().any(|callback| callback.index == index)
            {
                self.add(MistakeKind::UnknownCallback { attribute, index });
            }
        }
    }

    fn rule(&mut self, rule: &Rule, task: usize, upstream: &Upstream<'_>, depth: usize) {
        if depth > RULE_DEPTH_MAX {
            return self.add(MistakeKind::MalformedRule { reason: "it is nested more than 16 deep" });
        }
        match rule {
            Rule::Always => {}
            Rule::All(parts) | Rule::Any(parts) | Rule::None(parts) => {
                if parts.is_empty() {
                    self.add(MistakeKind::MalformedRule { reason: "`all`, `any` and `none` need at least one part" });
                }
                for part in parts {
                    self.rule(part, task, upstream, depth + 1);
                }
            }
            Rule::TaskSuccess(named)
            | Rule::TaskFailed(named)
            | Rule::TaskSkipped(named)
            | Rule::TaskUpstreamFailed(named) => match upstream.places.get(named.as_str()) {
                Some(place) if upstream.contains(task, *place) => {}
                Some(_) => self.add(MistakeKind::RuleNotUpstream { named: named.clone() }),
                None => {
                    let others = upstream.places.keys().copied().filter(|_| self.mistakes.len() < SUGGESTED_MAX);
                    let similar = similar(named, others);
                    self.add(MistakeKind::UnknownTaskInRule { named: named.clone(), similar });
                }
            },
            Rule::ContextValue { key, op, value } => {
                if key.is_empty() {
                    self.add(MistakeKind::MalformedRule { reason: "the key of a `context_value` is empty" });
                }
                let unary = matches!(op, Operator::Exists | Operator::NotExists);
                if unary == value.is_some() {
                    let reason = match unary {
                        true => "`exists` and `not_exists` take no value",
                        false => "every comparison but `exists` and `not_exists` needs a value",
                    };
                    self.add(MistakeKind::MalformedRule { reason });
                }
            }
        }
    }
}

/// What is upstream of which task, as far as the graph is valid and rules look there.
struct Upstream<'a> {
    places: BTreeMap<&'a str, usize>,
    /// Each task that a rule looks at as its own dependency, which most do: the rule's task and the other one.
    direct: BTreeSet<(usize, usize)>,
    ancestors: Option<Ancestors>,
}

impl<'a> Upstream<'a> {
    fn new(workflow: &'a Workflow, graph: Option<&Graph>) -> Self {
        let places: BTreeMap<&str, usize> =
            workflow.tasks.iter().enumerate().map(|(place, task)| (task.id.as_str(), place)).collect();
        let (mut direct, mut wanted) = (BTreeSet::new(), BTreeSet::new());
        for (place, task) in workflow.tasks.iter().enumerate() {
            let Some(rule) = &task.trigger_rules else { continue };
            let dependencies: BTreeSet<&str> = task.dependencies.iter().map(String::as_str).collect();
            let mut names = Vec::new();
            references(rule, &mut names);
            for (name, other) in names.into_iter().filter_map(|name| Some((name, *places.get(name)?))) {
                if dependencies.contains(name) {
                    direct.insert((place, other));
                } else {
                    wanted.insert(other);
                }
            }
        }
        let ancestors = graph.map(|graph| graph.ancestors_among(&wanted));
        Self { places, direct, ancestors }
    }

    /// True also where the graph could not be built: its own mistakes come first.
    fn contains(&self, task: usize, ancestor: usize) -> bool {
        let is_above = |ancestors: &Ancestors| ancestors.contains(task, ancestor);
        self.direct.contains(&(task, ancestor)) || self.ancestors.as_ref().is_none_or(is_above)
    }
}

/// The tasks that a rule names.
fn references<'a>(rule: &'a Rule, names: &mut Vec<&'a str>) {
    match rule {
        Rule::Always | Rule::ContextValue { .. } => {}
        Rule::All(rules) | Rule::Any(rules) | Rule::None(rules) => {
            rules.iter().for_each(|nested| references(nested, names));
        }
        Rule::TaskSuccess(name) | Rule::TaskFailed(name) | Rule::TaskSkipped(name) | Rule::TaskUpstreamFailed(name) => {
            names.push(name)
        }
    }
}
