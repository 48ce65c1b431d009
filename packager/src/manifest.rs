//! `manifest.toml`: what an archive holds, written from the descriptors of its libraries.
//!
//! The manifest is a summary for readers; the descriptor inside each library is the truth. `Manifest::describe`
//! makes the one manifest that belongs to some libraries, and reading an archive makes it again and compares, field by
//! field. Unknown fields are refused: a field that one program ignores and another obeys is a way to lie to one of
//! them. The same libraries give the same text.

use cloacina_workflow::descriptor::{Descriptor, Panic, Workflow};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Error;
use crate::graph::Graph;
use crate::target::Target;

/// The version of the archive format that this program writes and reads.
pub const FORMAT: u32 = 1;

/// The content of `manifest.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the archive format.
    pub format: u32,
    /// What the package is.
    pub package: PackageFacts,
    /// One library for each target, sorted by triple.
    pub targets: Vec<TargetFacts>,
    /// The workflows, sorted by name.
    pub workflows: Vec<WorkflowFacts>,
}

/// What the package is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageFacts {
    /// The name.
    pub name: String,
    /// The semantic version.
    pub version: String,
    /// The tenant that the package is for; any, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The version of the ABI, `major.minor`.
    pub abi: String,
}

/// One library of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetFacts {
    /// The target triple.
    pub triple: String,
    /// The path inside the archive.
    pub library: String,
    /// The digest of the library's bytes, 64 hex digits.
    pub sha256: String,
    /// The number of the library's bytes.
    pub size: u64,
    /// What a panic does, `unwind` or `abort`.
    pub panic: String,
    /// The compiler, where the descriptor names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// The sdk, where the descriptor names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<String>,
}

/// One workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowFacts {
    /// The name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The digest of the code without comments and layout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The ids of the tasks in the order of execution: dependencies first, ties by place in the source.
    pub order: Vec<String>,
    /// The tasks, by place in the source.
    pub tasks: Vec<TaskFacts>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskFacts {
    /// The id.
    pub id: String,
    /// The function's number.
    pub index: u32,
    /// The ids of the tasks that it depends on.
    pub dependencies: Vec<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A library with what is known of it, to be described.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described<'a> {
    pub(crate) target: Target,
    pub(crate) path: &'a str,
    pub(crate) bytes: &'a [u8],
    pub(crate) descriptor: &'a Descriptor,
}

impl Manifest {
    /// The manifest of libraries that hold the same workflows; the first one's descriptor speaks for all.
    pub(crate) fn describe(libraries: &[Described<'_>]) -> Result<Manifest, Error> {
        let descriptor = libraries.first().map(|library| library.descriptor);
        let descriptor = descriptor.ok_or_else(|| Error::MissingFile { entry: "lib/".to_owned() })?;
        crate::check::check(descriptor).map_err(|mistakes| Error::Mistakes { mistakes })?;
        let mut targets: Vec<_> = libraries.iter().map(TargetFacts::describe).collect();
        targets.sort_by(|one, other| one.triple.cmp(&other.triple));
        Ok(Manifest {
            format: FORMAT,
            package: PackageFacts {
                name: descriptor.package.clone(),
                version: descriptor.version.clone(),
                tenant: descriptor.tenant.clone(),
                abi: descriptor.abi.clone(),
            },
            targets,
            workflows: descriptor.workflows.iter().map(WorkflowFacts::describe).collect::<Result<_, _>>()?,
        })
    }

    /// Reads the text of a manifest.
    pub fn parse(text: &[u8]) -> Result<Manifest, Error> {
        let unreadable = |reason: String| Error::ManifestUnreadable { reason };
        let text = std::str::from_utf8(text).map_err(|error| unreadable(error.to_string()))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| unreadable(one_line(&error)))?;
        // The version is checked first: an unknown field of a newer format is not a misspelled field.
        match table.get("format") {
            Some(toml::Value::Integer(format)) if *format == i64::from(FORMAT) => {}
            Some(toml::Value::Integer(format)) => {
                return Err(Error::ManifestFormat { found: *format, expected: FORMAT });
            }
            _ => return Err(unreadable("it does not begin with `format = 1`".to_owned())),
        }
        toml::from_str(text).map_err(|error| match error.message().starts_with("unknown field") {
            true => Error::ManifestUnknownField { reason: one_line(&error) },
            false => unreadable(one_line(&error)),
        })
    }

    /// Writes the text of the manifest.
    pub fn render(&self) -> String {
        toml::to_string(self).expect("invariant: a manifest is a table of strings, numbers and tables")
    }

    /// The first field in which the manifest, as read, differs from the one that the libraries ask for.
    pub(crate) fn first_difference(&self, expected: &Manifest) -> Option<(String, String, String)> {
        let [found, expected] = [self, expected].map(|manifest| toml::Value::try_from(manifest).ok());
        difference("", found.as_ref(), expected.as_ref())
    }
}

impl TargetFacts {
    fn describe(library: &Described<'_>) -> TargetFacts {
        let build = library.descriptor.build.as_ref();
        let panic = build.map(|build| build.panic).unwrap_or_default();
        TargetFacts {
            triple: library.target.triple().to_owned(),
            library: library.path.to_owned(),
            sha256: Digest::of(library.bytes).hex(),
            size: library.bytes.len() as u64,
            panic: match panic {
                Panic::Unwind => "unwind".to_owned(),
                Panic::Abort => "abort".to_owned(),
            },
            compiler: build.map(|build| build.compiler.clone()),
            sdk: build.map(|build| build.sdk.clone()),
        }
    }
}

impl WorkflowFacts {
    fn describe(workflow: &Workflow) -> Result<WorkflowFacts, Error> {
        let graph = Graph::new(workflow).map_err(|mistakes| Error::Mistakes { mistakes })?;
        let tasks = workflow.tasks.iter().map(|task| TaskFacts {
            id: task.id.clone(),
            index: task.index,
            dependencies: task.dependencies.clone(),
            description: task.description.clone(),
        });
        Ok(WorkflowFacts {
            name: workflow.name.clone(),
            description: workflow.description.clone(),
            fingerprint: workflow.fingerprint.clone(),
            order: graph.order().iter().map(|task| graph.id(*task).to_owned()).collect(),
            tasks: tasks.collect(),
        })
    }
}

/// The path of the first value that differs, and both values as text.
fn difference(
    path: &str,
    found: Option<&toml::Value>,
    expected: Option<&toml::Value>,
) -> Option<(String, String, String)> {
    use toml::Value::{Array, Table};
    let join = |part: &str| if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") };
    match (found, expected) {
        (Some(Table(one)), Some(Table(other))) => {
            let mut keys: Vec<_> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            keys.into_iter().find_map(|key| difference(&join(key), one.get(key), other.get(key)))
        }
        (Some(Array(one)), Some(Array(other))) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .enumerate()
            .find_map(|(place, (one, other))| difference(&format!("{path}[{place}]"), Some(one), Some(other))),
        (one, other) if one == other => None,
        (one, other) => Some((path.to_owned(), shown(one), shown(other))),
    }
}

fn shown(value: Option<&toml::Value>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(toml::Value::Array(items)) => format!("a list of {}", items.len()),
        Some(toml::Value::Table(_)) => "a table".to_owned(),
        Some(value) => format!("`{value}`"),
    }
}

/// What the parser says, with the line, without the excerpt that it draws.
fn one_line(error: &toml::de::Error) -> String {
    let message = error.message().trim().replace('\n', ", ");
    match error.span() {
        Some(span) => format!("{message} (at byte {})", span.start),
        None => message,
    }
}
