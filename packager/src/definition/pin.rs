//! From a definition to what is stored: nothing in it depends any longer on what is active.
//!
//! Each function gets the digest of its package, and the declarations that the task does not make itself. The canonical
//! form is compact JSON of all that, with its members in a fixed order; reading and pinning it again gives the same bytes.

use std::{collections::BTreeMap, sync::Arc};

use cloacina_workflow::__private::v1::ABI;
use cloacina_workflow::descriptor::{Descriptor, FORMAT, Needs, Task, Workflow};

use super::built_in::BuiltIn;
use super::read::{Lines, read, unreadable};
use super::schema::{Definition, TaskDefinition};
use super::uses::{FunctionName, Uses};
use crate::check::check;
use crate::digest::Digest;
use crate::error::Error;
use crate::mistake::{Mistake, MistakeKind, similar};

/// The version of a definition that names none.
const VERSION: &str = "1.0.0";

/// The name under which the canonical form counts in the content digest.
pub const FILE: &str = "workflow.json";

/// The version of a package that a name means.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its content digest.
    pub digest: Digest,
    /// What it says of itself.
    pub descriptor: Arc<Descriptor>,
}

/// A definition of which nothing changes any more.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The canonical form.
    pub bytes: Vec<u8>,
    /// The digest by which its version is known.
    pub content_digest: Digest,
    /// The description, as a package has one.
    pub descriptor: Descriptor,
    /// Whether the author named the version.
    pub has_version: bool,
}

/// What a task of a pinned definition does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskWork {
    /// The work of a built-in.
    BuiltIn(BuiltIn),
    /// The function of that version of a package.
    Function(FunctionName, Digest),
}

impl Definition {
    /// Reads a definition and pins it. `find` looks for a version of a package: `package`, `package@version`, or
    /// `sha256:` and digits.
    ///
    /// # Errors
    /// [`Error::Mistakes`] with everything that is wrong with it, each with its line if that is known.
    pub fn pin(text: &[u8], find: impl Fn(&FunctionName) -> Result<Found, String>) -> Result<Pinned, Error> {
        let (mut definition, lines) = read(text)?;
        let (mut mistakes, has_version) = (Vec::new(), definition.version.is_some());
        for task in &mut definition.tasks {
            if let Err(kind) = task.pin(&find) {
                mistakes.push(Mistake { workflow: None, task: Some(task.id.clone()), line: None, kind });
            }
        }
        let name = definition.name.clone();
        definition.package.get_or_insert_with(|| name.clone());
        let descriptor = definition.descriptor();
        if let Err(more) = check(&descriptor) {
            mistakes.extend(more);
        }
        if !mistakes.is_empty() {
            return Err(Error::Mistakes { mistakes: placed(mistakes, &name, &lines) });
        }
        // Texts, numbers, lists and tables are always JSON.
        let bytes = serde_json::to_vec(&definition).unwrap_or_default();
        // What is stored must be readable, and with the pins it is longer than what was sent.
        if read(&bytes)?.0 != definition {
            return Err(unreadable(None, "it has a value that JSON cannot keep".to_owned()));
        }
        let content_digest = Digest::of_content([(FILE, Digest::of(&bytes))]);
        Ok(Pinned { bytes, content_digest, descriptor, has_version })
    }

    /// What the tasks of a pinned definition do, in their order.
    ///
    /// # Errors
    /// [`Error::Mistakes`] if it is not the canonical form of a definition.
    pub fn work(bytes: &[u8]) -> Result<Vec<TaskWork>, Error> {
        let (definition, _) = read(bytes)?;
        let mistake = |task: &TaskDefinition, kind| Error::Mistakes {
            mistakes: vec![Mistake { workflow: None, task: Some(task.id.clone()), line: None, kind }],
        };
        let tasks = definition.tasks.iter();
        tasks.map(|task| task.work().map_err(|kind| mistake(task, kind))).collect()
    }

    /// What each task of a pinned definition names, by the ids of the tasks.
    ///
    /// # Errors
    /// [`Error::Mistakes`] if it is not a definition.
    pub fn uses(bytes: &[u8]) -> Result<BTreeMap<String, String>, Error> {
        let (definition, _) = read(bytes)?;
        Ok(definition.tasks.into_iter().map(|TaskDefinition { id, uses, .. }| (id, uses)).collect())
    }

    fn descriptor(&self) -> Descriptor {
        let Self { name, package, version, description, author, timeout_ms, durability, tasks, format: _ } = self;
        let tasks = (0..).zip(tasks).map(|(index, task)| Task {
            id: task.id.clone(),
            index,
            description: task.description.clone(),
            dependencies: task.dependencies.clone(),
            blocking: false,
            source: None,
            retry: task.retry.clone().unwrap_or_default(),
            timeout_ms: task.timeout_ms,
            trigger_rules: task.trigger_rules.clone(),
            trigger_when: task.trigger_when,
            on_success: None,
            on_failure: None,
            priority: task.priority,
            optional: task.optional,
            at_most_once: task.at_most_once,
        });
        let workflow = Workflow {
            name: name.clone(),
            description: description.clone(),
            fingerprint: None,
            timeout_ms: *timeout_ms,
            durability: *durability,
            needs: Needs::default(),
            tasks: tasks.collect(),
            callbacks: Vec::new(),
        };
        Descriptor {
            format: FORMAT,
            abi: ABI.to_owned(),
            package: package.clone().unwrap_or_else(|| name.clone()),
            tenant: None,
            version: version.clone().unwrap_or_else(|| VERSION.to_owned()),
            description: description.clone(),
            author: author.clone(),
            build: None,
            workflows: vec![workflow],
        }
    }
}

impl TaskDefinition {
    fn parsed(&self) -> Result<Uses, MistakeKind> {
        Uses::parse(&self.uses).ok_or_else(|| MistakeKind::UnknownFunction {
            uses: self.uses.clone(),
            reason: "it is neither `package::workflow::task` nor the name of a built-in".to_owned(),
            similar: Vec::new(),
        })
    }

    /// What it does, if its function is pinned to a digest.
    fn work(&self) -> Result<TaskWork, MistakeKind> {
        let function = match self.parsed()? {
            Uses::BuiltIn(name) => return BuiltIn::read(&name, &self.with).map(TaskWork::BuiltIn),
            Uses::Function(function) => function,
        };
        match function.version.as_deref().map(str::parse) {
            Some(Ok(digest)) => Ok(TaskWork::Function(function, digest)),
            _ => Err(MistakeKind::UnknownFunction {
                uses: self.uses.clone(),
                reason: "it is not pinned to a digest".to_owned(),
                similar: Vec::new(),
            }),
        }
    }

    fn pin(&mut self, find: &impl Fn(&FunctionName) -> Result<Found, String>) -> Result<(), MistakeKind> {
        let function = match self.parsed()? {
            Uses::BuiltIn(name) => return BuiltIn::read(&name, &self.with).map(drop),
            Uses::Function(function) => function,
        };
        if !self.with.is_empty() {
            let reason = "a function of a package has none: it reads the context".to_owned();
            return Err(MistakeKind::BadParameters { uses: self.uses.clone(), reason });
        }
        let unknown = |reason, similar| MistakeKind::UnknownFunction { uses: self.uses.clone(), reason, similar };
        let Found { digest, descriptor } = find(&function).map_err(|reason| unknown(reason, Vec::new()))?;
        if descriptor.package != function.package {
            return Err(unknown(format!("that digest is of the package `{}`", descriptor.package), Vec::new()));
        }
        let workflows = descriptor.workflows.iter();
        let mut named = workflows.clone().filter(|workflow| workflow.name == function.workflow);
        let Some(workflow) = named.next() else {
            let near = similar(&function.workflow, workflows.map(|workflow| workflow.name.as_str()));
            return Err(unknown(format!("the package has no workflow `{}`", function.workflow), near));
        };
        let Some(task) = workflow.tasks.iter().find(|task| task.id == function.task) else {
            let near = similar(&function.task, workflow.tasks.iter().map(|task| task.id.as_str()));
            return Err(unknown(format!("the workflow `{}` has no task `{}`", workflow.name, function.task), near));
        };
        self.at_most_once |= task.at_most_once;
        // Retries are never taken over by a task that must not start twice.
        if !self.at_most_once {
            self.retry.get_or_insert_with(|| task.retry.clone());
        }
        self.timeout_ms = self.timeout_ms.or(task.timeout_ms);
        self.uses = FunctionName { version: Some(digest.to_string()), ..function }.to_string();
        Ok(())
    }
}

/// The mistakes with the lines of their tasks, in the order of the lines.
fn placed(mut mistakes: Vec<Mistake>, workflow: &str, lines: &Lines) -> Vec<Mistake> {
    for mistake in &mut mistakes {
        mistake.line = mistake.task.as_ref().and_then(|task| lines.get(task).copied());
        if mistake.task.is_some() {
            mistake.workflow = Some(workflow.to_owned());
        }
    }
    mistakes.sort_by_key(|mistake| mistake.line);
    mistakes
}
