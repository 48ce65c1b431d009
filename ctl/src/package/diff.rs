//! `package diff`: what is different about two versions of a package, by what their descriptions say.
//!
//! Works on archives and on registered versions alike, as both have the description. Whether the code behind a
//! description changed is told by the fingerprint of its workflow, which covers the source of all its tasks. Of workflows as data,
//! what their tasks use is compared as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cloacina::RegistryError;
use cloacina_packager::definition::{Definition, TaskDefinition};
use cloacina_packager::{Limits, ReadOptions};
use cloacina_workflow::descriptor::{Descriptor, Task, Workflow};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::place;
use crate::cli::DiffArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::place::Place;

/// What of the description is compared in another way, or follows from something else.
const PACKAGE_APART: &[&str] = &["workflows", "build", "format"];
const WORKFLOW_APART: &[&str] = &["name", "tasks", "callbacks", "fingerprint"];
const TASK_APART: &[&str] = &["id", "index", "dependencies"];

/// What differs between two versions of a package.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Difference {
    /// The version on the left.
    old: Side,
    /// The version on the right.
    new: Side,
    /// Whether both have the same content digest.
    same_content: bool,
    /// The attributes of the package that differ.
    attributes: Vec<Attribute>,
    /// The workflows of both.
    workflows: Vec<WorkflowDifference>,
}

impl Document for Difference {}

/// One of the two versions.
#[derive(Debug, Serialize, ToSchema)]
struct Side {
    /// The name of the package.
    package: String,
    /// Its version.
    version: String,
    /// Its content digest.
    content_digest: String,
    #[serde(skip)]
    descriptor: Descriptor,
    #[serde(skip)]
    uses: Uses,
}

/// What the tasks of a workflow as data use, by their ids.
type Uses = BTreeMap<String, Map<String, Value>>;

/// What differs in a workflow.
#[derive(Debug, Serialize, ToSchema)]
struct WorkflowDifference {
    /// The name of the workflow.
    workflow: String,
    /// `added`, `removed`, `changed` or `same`.
    change: Change,
    /// Whether the source of its tasks is the same. Absent if a side does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    same_code: Option<bool>,
    /// The attributes of the workflow that differ.
    attributes: Vec<Attribute>,
    /// The tasks that differ.
    tasks: Vec<TaskDifference>,
    /// Dependencies that only the right side has: the task that is waited for, and the task that waits.
    edges_added: Vec<[String; 2]>,
    /// Dependencies that only the left side has.
    edges_removed: Vec<[String; 2]>,
}

/// What differs in a task.
#[derive(Debug, Serialize, ToSchema)]
struct TaskDifference {
    /// The id of the task.
    task: String,
    /// `added`, `removed` or `changed`.
    change: Change,
    /// The attributes of the task that differ.
    attributes: Vec<Attribute>,
}

/// An attribute that differs.
#[derive(Debug, Serialize, ToSchema)]
struct Attribute {
    /// The name of the attribute in [the description](../abi.md) of a package.
    name: String,
    /// Its value on the left side. Absent if it has its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Value>,
    /// Its value on the right side. Absent if it has its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Change {
    Added,
    Removed,
    Changed,
    Same,
}

/// Compares two versions.
pub(crate) fn diff(arguments: &DiffArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let side = |text: &str| Side::open(text, arguments, config);
    let difference = Difference::of(side(&arguments.old)?, side(&arguments.new)?);
    output.answer(&difference, |_| difference.text())?;
    Ok(exit::SUCCESS)
}

impl Side {
    fn open(text: &str, arguments: &DiffArgs, config: &Config) -> Result<Self, Error> {
        let path = Path::new(text);
        if path.is_file() {
            let archive = place::read(path)?;
            // An archive for another machine can be compared as well.
            let options = ReadOptions { limits: Limits::default(), ..ReadOptions::default() };
            let package = cloacina_packager::read_with(&archive, &options).map_err(Error::of_file(path))?;
            let descriptor = package.descriptor().clone();
            return Ok(Self::new(descriptor, package.content_digest().to_string(), Uses::new()));
        }
        let database = Place::database(&arguments.database, config)?;
        let unknown = || RegistryError::UnknownPackage { name: text.to_owned(), known: Vec::new() };
        let mut records = database.records_if_any()?.ok_or_else(unknown)?;
        let (digest, descriptor) = records.package_descriptor(text)?;
        let definition = records.package_definition(text)?;
        Ok(Self::new(descriptor, digest.to_string(), definition.as_deref().map(uses).unwrap_or_default()))
    }

    fn new(descriptor: Descriptor, content_digest: String, uses: Uses) -> Self {
        let (package, version) = (descriptor.package.clone(), descriptor.version.clone());
        Self { package, version, content_digest, descriptor, uses }
    }
}

impl Difference {
    fn of(old: Side, new: Side) -> Self {
        let attributes = attributes(&object(&old.descriptor), &object(&new.descriptor), PACKAGE_APART);
        let named = |descriptor: &Descriptor| -> BTreeMap<String, Workflow> {
            descriptor.workflows.iter().map(|workflow| (workflow.name.clone(), workflow.clone())).collect()
        };
        let (before, after) = (named(&old.descriptor), named(&new.descriptor));
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let (old_uses, new_uses) = (&old.uses, &new.uses);
        let workflows = names
            .into_iter()
            .map(|name| WorkflowDifference::of(name, (before.get(name), old_uses), (after.get(name), new_uses)));
        let workflows = workflows.collect();
        Self { same_content: old.content_digest == new.content_digest, attributes, workflows, old, new }
    }

    fn text(&self) -> String {
        let side = |side: &Side| format!("{}@{} {}", side.package, side.version, side.content_digest);
        let mut text = format!("old  {}\nnew  {}\n", side(&self.old), side(&self.new));
        if self.same_content {
            text.push_str("the same content\n");
            return text;
        }
        self.attributes.iter().for_each(|attribute| text.push_str(&attribute.line("")));
        self.workflows.iter().for_each(|workflow| text.push_str(&workflow.text()));
        text
    }
}

impl WorkflowDifference {
    fn of(
        name: &str,
        (old, old_uses): (Option<&Workflow>, &Uses),
        (new, new_uses): (Option<&Workflow>, &Uses),
    ) -> Self {
        let empty = Map::new();
        let (old_object, new_object) = (old.map_or(empty.clone(), object), new.map_or(empty, object));
        let is_both = old.is_some() && new.is_some();
        let attributes = if is_both { attributes(&old_object, &new_object, WORKFLOW_APART) } else { Vec::new() };
        let fingerprint = |workflow: Option<&Workflow>| workflow.and_then(|workflow| workflow.fingerprint.clone());
        let same_code = fingerprint(old).zip(fingerprint(new)).map(|(old, new)| old == new);
        let (before, after) = (tasks(old, old_uses), tasks(new, new_uses));
        let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let tasks: Vec<TaskDifference> = ids
            .into_iter()
            .map(|id| TaskDifference::of(id, before.get(id), after.get(id)))
            .filter(|task| task.change != Change::Same)
            .collect();
        let (edges_before, edges_after) = (edges(old), edges(new));
        let only =
            |one: &BTreeSet<[String; 2]>, other: &BTreeSet<[String; 2]>| one.difference(other).cloned().collect();
        let (edges_added, edges_removed) = (only(&edges_after, &edges_before), only(&edges_before, &edges_after));
        let is_same = attributes.is_empty() && tasks.is_empty() && edges_before == edges_after;
        let change = match (old, new) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ if is_same && same_code != Some(false) => Change::Same,
            _ => Change::Changed,
        };
        Self { workflow: name.to_owned(), change, same_code, attributes, tasks, edges_added, edges_removed }
    }

    fn text(&self) -> String {
        let code = match (self.change, self.same_code) {
            (Change::Added | Change::Removed, _) | (_, None) => "",
            (_, Some(true)) => ", the same code",
            (_, Some(false)) => ", other code",
        };
        let mut text = format!("{}workflow {}{}{code}\n", self.change.sign(), self.workflow, self.change.word());
        self.attributes.iter().for_each(|attribute| text.push_str(&attribute.line("    ")));
        for task in &self.tasks {
            text.push_str(&format!("  {}task {}{}\n", task.change.sign(), task.task, task.change.word()));
            task.attributes.iter().for_each(|attribute| text.push_str(&attribute.line("      ")));
        }
        for (sign, edges) in [("+", &self.edges_added), ("-", &self.edges_removed)] {
            edges.iter().for_each(|[from, to]| text.push_str(&format!("  {sign} edge {from} -> {to}\n")));
        }
        text
    }
}

impl TaskDifference {
    fn of(id: &str, old: Option<&Value>, new: Option<&Value>) -> Self {
        let parts = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
        let (change, attributes) = match (old, new) {
            (None, _) => (Change::Added, Vec::new()),
            (_, None) => (Change::Removed, Vec::new()),
            _ => {
                let attributes = attributes(&parts(old), &parts(new), TASK_APART);
                (if attributes.is_empty() { Change::Same } else { Change::Changed }, attributes)
            }
        };
        Self { task: id.to_owned(), change, attributes }
    }
}

impl Attribute {
    fn line(&self, indent: &str) -> String {
        let lines = leaves(&self.name, self.old.as_ref(), self.new.as_ref()).into_iter();
        lines.map(|(name, old, new)| format!("{indent}~ {name}: {old} -> {new}\n")).collect()
    }
}

impl Change {
    fn sign(self) -> &'static str {
        match self {
            Self::Added => "+ ",
            Self::Removed => "- ",
            Self::Changed => "~ ",
            Self::Same => "= ",
        }
    }

    /// The sign in words.
    fn word(self) -> &'static str {
        match self {
            Self::Added => " is new",
            Self::Removed => " is gone",
            Self::Changed => " changed",
            Self::Same => " is described in the same way",
        }
    }
}

/// What the tasks of a definition use. One that cannot be read is not of this version, and is compared by its description.
fn uses(definition: &str) -> Uses {
    let tasks = serde_json::from_str(definition).map_or(Vec::new(), |Definition { tasks, .. }| tasks);
    let used = |TaskDefinition { id, uses, with, .. }| {
        let mut used = Map::from_iter([("uses".to_owned(), Value::String(uses))]);
        if !with.is_empty() {
            used.insert("with".to_owned(), Value::Object(with.into_iter().collect()));
        }
        (id, used)
    };
    tasks.into_iter().map(used).collect()
}

/// The tasks by id, with what they use, and with callbacks by name instead of number.
fn tasks(workflow: Option<&Workflow>, uses: &Uses) -> BTreeMap<String, Value> {
    let Some(workflow) = workflow else { return BTreeMap::new() };
    let described = |task: &Task| {
        let mut parts = object(task);
        parts.extend(uses.get(&task.id).cloned().unwrap_or_default());
        for (key, index) in [("on_success", task.on_success), ("on_failure", task.on_failure)] {
            let callback = workflow.callbacks.iter().find(|callback| Some(callback.index) == index);
            if let Some(callback) = callback {
                parts.insert(key.to_owned(), Value::String(callback.name.clone()));
            }
        }
        Value::Object(parts)
    };
    workflow.tasks.iter().map(|task| (task.id.clone(), described(task))).collect()
}

/// From each task to those that depend on it.
fn edges(workflow: Option<&Workflow>) -> BTreeSet<[String; 2]> {
    let tasks = workflow.iter().flat_map(|workflow| &workflow.tasks);
    tasks.flat_map(|task| task.dependencies.iter().map(|from| [from.clone(), task.id.clone()])).collect()
}

/// A description as JSON; what has its default is absent.
fn object(described: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(described) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// What differs, but for some keys.
fn attributes(old: &Map<String, Value>, new: &Map<String, Value>, apart: &[&str]) -> Vec<Attribute> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).filter(|key| !apart.contains(&key.as_str())).collect();
    let value = |object: &Map<String, Value>, key: &String| object.get(key).cloned();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| Attribute { name: key.clone(), old: value(old, key), new: value(new, key) })
        .collect()
}

/// The values that differ within two values, each with its path below `name`.
fn leaves(name: &str, old: Option<&Value>, new: Option<&Value>) -> Vec<(String, String, String)> {
    let empty = Map::new();
    let parts = match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => Some((old, new)),
        (None, Some(Value::Object(new))) => Some((&empty, new)),
        (Some(Value::Object(old)), None) => Some((old, &empty)),
        _ => None,
    };
    let Some((old, new)) = parts else { return vec![(name.to_owned(), shown_or_default(old), shown_or_default(new))] };
    let differing = attributes(old, new, &[]).into_iter();
    differing.flat_map(|part| leaves(&format!("{name}.{}", part.name), part.old.as_ref(), part.new.as_ref())).collect()
}

/// A value in words; what is absent has its default.
fn shown_or_default(value: Option<&Value>) -> String {
    value.map_or_else(|| "default".to_owned(), shown)
}

/// A value in words.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(values) => {
            let parts = values.iter().map(|(name, value)| match value {
                Value::Array(_) | Value::Object(_) => format!("{name}({})", shown(value)),
                value => format!("{name} {}", shown(value)),
            });
            parts.collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_told_value_by_value() {
        let told = |old: Option<Value>, new: Option<Value>| {
            Attribute { name: "retry".to_owned(), old, new }.line("").trim_end().to_owned()
        };
        for (old, new, expected) in [
            (None, Some(json!(5)), "~ retry: default -> 5"),
            (
                Some(json!({"attempts": 1, "delay_ms": 9})),
                Some(json!({"attempts": 2, "delay_ms": 9})),
                "~ retry.attempts: 1 -> 2",
            ),
            (Some(json!({"attempts": 1})), None, "~ retry.attempts: 1 -> default"),
            (Some(json!(["a"])), Some(json!(["a", "b"])), "~ retry: a -> a, b"),
            (
                Some(json!({"all": [{"task_success": "a"}]})),
                Some(json!({"any": [{"task_success": "a"}]})),
                "~ retry.all: task_success a -> default\n~ retry.any: default -> task_success a",
            ),
        ] {
            assert_eq!(told(old, new), expected);
        }
    }
}
