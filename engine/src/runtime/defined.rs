//! Runs the tasks of workflows as data: a function of a package by the runner of that package, a built-in here.
//!
//! The attempt stays the one of the workflow as data: its log, its context, its deadline and its end are its own, whichever code
//! runs. A built-in is a future on the runtime of tasks and never blocks it.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use cloacina_packager::{
    Digest,
    definition::{BuiltIn, FunctionName, TaskWork},
};
use cloacina_workflow::{TaskError, payload::Delta};
use serde_json::json;
use tokio::{runtime::Handle, time};

use super::{
    catalog::{Catalog, Workflow},
    runner::{Attempt, TaskRunner},
};
use crate::core::plan;

/// The runner of one workflow as data.
pub(crate) struct DefinedRunner {
    tenant: String,
    /// In the order of the tasks.
    work: Vec<TaskWork>,
    /// Where the runners of packages are; it holds this runner too.
    catalog: Weak<Catalog>,
    tasks: Handle,
}

impl DefinedRunner {
    pub(crate) fn new(tenant: String, work: Vec<TaskWork>, catalog: &Arc<Catalog>, tasks: Handle) -> Self {
        Self { tenant, work, catalog: Arc::downgrade(catalog), tasks }
    }

    /// The code of a function, if this engine has it.
    fn find(&self, function: &FunctionName, digest: Digest) -> Option<(Workflow, plan::Function)> {
        let workflow = self.catalog.upgrade()?.of_package(&self.tenant, digest, &function.workflow)?;
        let task = workflow.version.plan.tasks.iter().find(|task| *task.id == *function.task)?.function;
        Some((workflow, task))
    }
}

impl TaskRunner for DefinedRunner {
    fn start(&self, mut attempt: Attempt) {
        match self.work.get(attempt.function.index as usize) {
            Some(TaskWork::Function(function, digest)) => match self.find(function, *digest) {
                Some((workflow, code)) => {
                    attempt.function = code;
                    workflow.runner.start(attempt);
                }
                None => {
                    let message = format!("this engine cannot load the package of {function}");
                    let (kind, details) = ("package_missing".to_owned(), json!({ "uses": function.to_string() }));
                    attempt.completion.complete(Err(TaskError::Custom { kind, message, details, retryable: true }));
                }
            },
            Some(TaskWork::BuiltIn(built_in)) => {
                let built_in = built_in.clone();
                // The driver counts attempts by their slots and waits for them when it shuts down.
                self.tasks.spawn(run(built_in, attempt));
            }
            None => {
                let message = format!("the workflow has no task {}", attempt.function.index);
                attempt.completion.complete(Err(TaskError::Permanent { message }));
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "waiting for a while is what the author asked for")]
async fn run(built_in: BuiltIn, attempt: Attempt) {
    let Attempt { completion, view, .. } = attempt;
    // The next task's view can be made in its place.
    drop(view);
    let stop = completion.stop();
    let work = async {
        match built_in {
            BuiltIn::Noop => {}
            BuiltIn::Sleep { ms } => time::sleep(Duration::from_millis(ms)).await,
        }
        Ok(Delta::default())
    };
    let result = tokio::select! {
        biased;
        () = stop.asked() => Err(TaskError::Cancelled { message: "the attempt was asked to stop".to_owned() }),
        result = work => result,
    };
    completion.complete(result);
}

impl fmt::Debug for DefinedRunner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DefinedRunner").field("work", &self.work).finish_non_exhaustive()
    }
}
