//! Errors of the engine and of runs as callers see them.
//!
//! A failure inside a task is not an error of the engine: it is data in the run's report.

use std::{io, sync::Arc};

use cloacina_packager::Class;
use cloacina_workflow::{ContextError, descriptor};

use crate::{
    access,
    api::Denied,
    core::{run, task},
    id::RunId,
    limit::TextRefused,
    registry,
    runtime::{PlanError, Unresolved},
    store::{Error as StoreError, PackageState},
    view::PrunedPart,
};

/// Why the engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No workflow has that name.
    #[error("there is no workflow {name:?}")]
    UnknownWorkflow {
        /// The name that was asked for.
        name: String,
        /// Names that are nearly the same.
        suggestions: Vec<String>,
    },
    /// Several workflows fit the name.
    #[error("the name {name:?} fits several workflows")]
    AmbiguousWorkflow {
        /// The name that was asked for.
        name: String,
        /// The full names of those that fit.
        candidates: Vec<String>,
    },
    /// The workflow is registered, and no version of it is active.
    #[error("no version of the workflow {name:?} is active: {}", listed(versions))]
    NotActive {
        /// The name that was asked for.
        name: String,
        /// The versions of its package as `tenant::package@version`, and where each stands.
        versions: Vec<(String, PackageState)>,
    },
    /// The engine has shut down, or is about to.
    #[error("the engine has shut down")]
    ShutDown,
    /// There is no such run.
    #[error("there is no run {id}")]
    UnknownRun {
        /// The id that was asked for.
        id: RunId,
    },
    /// A text that was given cannot be used.
    #[error(transparent)]
    Text(#[from] TextRefused),
    /// The caller's role does not allow the request.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The run is not in a state in which that can be done.
    #[error("run {id} is {}, so it cannot be {}", if *is_ending { "being ended" } else { state.as_str() }, request.done())]
    Illegal {
        /// The run.
        id: RunId,
        /// What was asked.
        request: Request,
        /// Where the run stands.
        state: run::State,
        /// Whether it is being cancelled, or its time is over.
        is_ending: bool,
    },
    /// The task is not in a state in which that can be done.
    #[error("task {task} is {state}, so it cannot be {}", request.done())]
    IllegalForTask {
        /// The task.
        task: String,
        /// What was asked.
        request: Request,
        /// Where the task stands.
        state: task::State,
    },
    /// The task waits for something else than its run.
    #[error("task {task} cannot run now: {}", waits_for.join(", "))]
    TaskWaits {
        /// The task.
        task: String,
        /// What it waits for.
        waits_for: Vec<String>,
    },
    /// The run has no such task.
    #[error("run {id} has no task {task:?}")]
    UnknownTask {
        /// The run.
        id: RunId,
        /// The task that was asked for.
        task: String,
    },
    /// The run waits for its code, and so for everything else.
    #[error("the code of run {id} is not there")]
    CodeMissing {
        /// The run.
        id: RunId,
    },
    /// The run has ended, or another engine drives it.
    #[error("this engine does not drive run {id}")]
    NotDriven {
        /// The run.
        id: RunId,
    },
    /// No engine drives the run, and this one cannot: it lacks the code, or has just begun to take over runs.
    #[error("no engine drives run {id} now")]
    Undriven {
        /// The run.
        id: RunId,
    },
    /// Retention has removed what that would need.
    #[error("retention has removed the {} of run {id} at {}, so the run cannot be {}", part.as_str(), part.at(), request.done())]
    Pruned {
        /// The run.
        id: RunId,
        /// What was asked.
        request: Request,
        /// What is gone.
        part: PrunedPart,
    },
    /// The input cannot be used as a context.
    #[error("the input cannot be used")]
    Input(#[source] ContextError),
    /// Another engine has taken the run over.
    #[error("another engine has taken over run {id}")]
    Fenced {
        /// The run.
        id: RunId,
    },
    /// The store refused to record what happened to the run, or its history could not be read. The engine tries on.
    #[error("the engine cannot continue run {id} now")]
    RunLost {
        /// The run.
        id: RunId,
        /// What the store said.
        source: Arc<StoreError>,
    },
    /// The store failed to create the run, or it is not known whether it did.
    #[error("{}", if source.is_in_doubt() { format!("it is not known whether run {id} was created") } else { format!("run {id} was not created") })]
    NotCreated {
        /// The run that was to be.
        id: RunId,
        /// What the store said.
        source: Arc<StoreError>,
    },
    /// A workflow that is compiled into the program cannot be read, because macro and engine do not fit together.
    #[error("the description of workflow {name:?} cannot be read")]
    Descriptor {
        /// The workflow.
        name: String,
        /// What is wrong.
        source: Box<descriptor::Error>,
    },
    /// The tasks of a workflow do not make a graph.
    #[error("the tasks of workflow {name:?} do not form a graph: {reason}")]
    Graph {
        /// The workflow.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Two different workflows with one name were registered.
    #[error("another workflow is registered as {name:?}")]
    NameTaken {
        /// The full name of both.
        name: String,
    },
    /// There can be no such built-in workflow.
    #[error("a built-in workflow cannot be {name:?}: {reason}")]
    BuiltIn {
        /// The name that was asked for.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The system refused a thread.
    #[error("cannot start the engine's threads")]
    Thread(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry could not do what it was asked, or a package cannot be used.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// Who may ask could not be changed.
    #[error(transparent)]
    Access(#[from] access::Error),
}

/// What can be asked of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Let it begin.
    Start,
    /// Let nothing new start.
    Pause,
    /// Go on after a pause.
    Resume,
    /// End it.
    Cancel,
    /// Do not wait for a task's next attempt.
    Retry,
    /// Run one task of it, and nothing else.
    RunTask,
    /// Run what did not complete again, as a new run.
    Rerun,
    /// Run it again from one task on, as a new run.
    Fork,
    /// Take it off the list of failed runs.
    Dismiss,
    /// Remove it.
    Delete,
    /// Show what it and its tasks wrote.
    ShowContext,
}

impl Request {
    fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Cancel => "cancelled",
            Self::Retry => "retried",
            Self::RunTask => "run alone",
            Self::Rerun => "run again",
            Self::Fork => "forked",
            Self::Dismiss => "dismissed",
            Self::Delete => "deleted",
            Self::ShowContext => "shown with its context",
        }
    }

    /// What to do instead.
    fn hint(self, state: run::State, is_ending: bool) -> &'static str {
        match (self, state) {
            _ if is_ending => "wait until it has ended; then it can be run again or forked",
            (Self::Rerun | Self::Fork, state) if !state.is_terminal() => "wait until it has ended, or cancel it first",
            (Self::Rerun, _) => "no task failed in it; fork it from a task, or run everything again",
            (Self::Dismiss, _) => "only runs that failed can be dismissed",
            (Self::Delete, _) => "cancel it first, or wait until it has ended",
            (_, state) if state.is_terminal() => "it has ended; run it again or fork it, which makes a new run",
            (Self::Retry, run::State::Running | run::State::Paused) => "none of its tasks waits for its next attempt",
            (Self::RunTask, run::State::Running) => {
                "the engine runs its tasks; pause the run first to run one task alone"
            }
            (_, run::State::Pending) => "start it or cancel it",
            (_, run::State::Paused) => "resume it or cancel it",
            (_, _) => "pause it, cancel it or wait until it has ended",
        }
    }
}

impl Error {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::AmbiguousWorkflow { .. }
            | Self::Text(_)
            | Self::Input(_)
            | Self::Descriptor { .. }
            | Self::Graph { .. }
            | Self::BuiltIn { .. } => Class::Invalid,
            Self::UnknownWorkflow { .. } | Self::UnknownRun { .. } | Self::UnknownTask { .. } => Class::NotFound,
            Self::NotActive { .. }
            | Self::Illegal { .. }
            | Self::IllegalForTask { .. }
            | Self::TaskWaits { .. }
            | Self::NotDriven { .. }
            | Self::Pruned { .. }
            | Self::Fenced { .. }
            | Self::NameTaken { .. } => Class::Conflict,
            Self::ShutDown
            | Self::CodeMissing { .. }
            | Self::Undriven { .. }
            | Self::RunLost { .. }
            | Self::Thread(_) => Class::Unavailable,
            Self::Denied(_) => Class::Denied,
            Self::NotCreated { source, .. } => source.class(),
            Self::Store(source) => source.class(),
            Self::Registry(source) => source.class(),
            Self::Access(source) => source.class(),
        }
    }

    /// Whether nothing was done because the engine is about to end.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        match self {
            Self::ShutDown => true,
            Self::Store(source) => source.is_closed(),
            Self::Registry(source) => source.is_ending(),
            _ => false,
        }
    }

    /// The stable code; each has a page under `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownWorkflow { .. } => "RUN0001",
            Self::AmbiguousWorkflow { .. } => "RUN0002",
            Self::ShutDown => "RUN0003",
            Self::Text(_) => TextRefused::CODE,
            Self::Denied(_) => Denied::CODE,
            Self::UnknownRun { .. } => "RUN0004",
            Self::Input(_) => "RUN0005",
            Self::Fenced { .. } => "RUN0006",
            Self::RunLost { .. } => "RUN0007",
            Self::Descriptor { .. } => "RUN0008",
            Self::Graph { .. } => "RUN0009",
            Self::NameTaken { .. } => "RUN0010",
            Self::Thread(_) => "RUN0011",
            Self::Store(source) => source.code(),
            Self::Illegal { .. } => "RUN0012",
            Self::IllegalForTask { .. } => "RUN0013",
            Self::UnknownTask { .. } => "RUN0014",
            Self::CodeMissing { .. } => "RUN0015",
            Self::NotDriven { .. } => "RUN0016",
            Self::Undriven { .. } => "RUN0023",
            Self::BuiltIn { .. } => "RUN0017",
            Self::TaskWaits { .. } => "RUN0019",
            Self::NotActive { .. } => "RUN0022",
            Self::Pruned { .. } => "RUN0018",
            Self::NotCreated { .. } => "RUN0021",
            Self::Registry(source) => source.code(),
            Self::Access(source) => source.code(),
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownWorkflow { suggestions, .. } if suggestions.is_empty() => {
                vec!["register the package, or the workflow that is compiled into the program, first".to_owned()]
            }
            Self::UnknownWorkflow { suggestions, .. } => {
                vec![format!("did you mean {}?", suggestions.join(" or "))]
            }
            Self::AmbiguousWorkflow { candidates, .. } => vec![format!("use one of {}", candidates.join(", "))],
            Self::NotActive { versions, .. } => {
                let newest = versions.last().map(|(version, _)| version.as_str()).unwrap_or_default();
                vec![format!("activate a version for new runs: cloacina-ctl package activate {newest}")]
            }
            Self::ShutDown => vec!["the run continues when an engine is started on this database again".to_owned()],
            Self::Text(refused) => vec![refused.hint()],
            Self::Denied(denied) => vec![denied.hint()],
            Self::UnknownRun { .. } => vec!["the id may belong to another database".to_owned()],
            Self::RunLost { source, .. } => {
                let mut hints = source.hints();
                hints.push(
                    "a run that was created continues by itself when the database is available again, at the latest with the next engine"
                        .to_owned(),
                );
                hints
            }
            Self::NotCreated { id, source } if source.is_in_doubt() => {
                vec![format!(
                    "`runs show {id}` tells when the database is reachable again; submitting again with the same submission key does not create a second run"
                )]
            }
            Self::NotCreated { source, .. } => source.hints(),
            Self::Descriptor { .. } => {
                vec!["build the program with cloacina and its macros in one version".to_owned()]
            }
            Self::NameTaken { .. } => vec!["give one of the two workflows another name".to_owned()],
            Self::Illegal { request, state, is_ending, .. } => vec![request.hint(*state, *is_ending).to_owned()],
            Self::IllegalForTask { request: Request::RunTask, .. } => {
                vec!["it runs or has ended; once the run has ended, fork it from that task to run it again".to_owned()]
            }
            Self::IllegalForTask { .. } => {
                vec![
                    "a task can be retried while it waits for its next attempt; afterwards rerun or fork the run"
                        .to_owned(),
                ]
            }
            Self::UnknownTask { .. } => vec!["show the run to see its tasks".to_owned()],
            Self::CodeMissing { .. } => {
                vec!["register the package, or the workflow that is compiled into the program, first".to_owned()]
            }
            Self::NotDriven { .. } => vec!["ask the engine that drives it".to_owned()],
            Self::Undriven { .. } => vec![
                "register its package, or start the program that its workflow is compiled into: that engine takes it over"
                    .to_owned(),
            ],
            Self::TaskWaits { .. } => vec!["run the tasks that it waits for first, or continue the whole run".to_owned()],
            Self::BuiltIn { .. } => vec!["choose a name such as `nightly` or `nightly_2`".to_owned()],
            Self::Pruned { .. } => vec![
                "submit a new run with the input given anew".to_owned(),
                "`retention.contexts` and `retention.events` say how long both are kept".to_owned(),
            ],
            Self::Input(_) | Self::Fenced { .. } | Self::Graph { .. } | Self::Thread(_) => Vec::new(),
            Self::Store(source) => source.hints(),
            Self::Registry(source) => source.hints(),
            Self::Access(source) => source.hints(),
        }
    }

    pub(crate) fn unresolved(name: &str, unresolved: Unresolved) -> Self {
        let name = name.to_owned();
        match unresolved {
            Unresolved::Unknown { suggestions } => Self::UnknownWorkflow { name, suggestions },
            Unresolved::Ambiguous { candidates } => Self::AmbiguousWorkflow { name, candidates },
        }
    }

    pub(crate) fn plan(name: &str, error: &PlanError) -> Self {
        Self::Graph { name: name.to_owned(), reason: error.to_string() }
    }
}

/// The maximum number of versions of a package in a message.
const VERSIONS_MAX: usize = 5;

fn listed(versions: &[(String, PackageState)]) -> String {
    let mut listed: Vec<String> =
        versions.iter().take(VERSIONS_MAX).map(|(version, state)| format!("{version} is {}", state.as_str())).collect();
    if versions.len() > VERSIONS_MAX {
        listed.push(format!("and {} more", versions.len() - VERSIONS_MAX));
    }
    listed.join(", ")
}
