//! The built-in workflow: any number of tasks that do nothing and depend on nothing, for runs without a package.
//!
//! Its name is the run's name and its package says how many tasks it has, so that two of one name and another number
//! of tasks are two workflows. Every engine can run it, and makes those anew that its database knows.

use std::sync::{Arc, LazyLock};

use cloacina_workflow::{
    __private::v1::{ABI, Function, TaskFuture},
    Context, Level, Value,
    descriptor::{Descriptor, FORMAT, FUNCTIONS_MAX},
};
use serde_json::json;

use super::handle::Engine;
use crate::{
    Error,
    api::Role,
    id::TENANT_DEFAULT,
    runtime::EmbeddedRunner,
    store::{self, WorkflowKey, WorkflowRow},
};

/// Packages of this name and a number belong to the engine.
const PACKAGE: &str = "built_in_";

/// As many tasks as a built-in workflow may have: as many as any other.
const TASKS_MAX: usize = FUNCTIONS_MAX;

static STEPS: LazyLock<Vec<Function>> = LazyLock::new(|| vec![Function::AsyncTask(step); TASKS_MAX]);

impl Engine {
    /// Makes the built-in workflow of that name with that many tasks known; returns its full name.
    ///
    /// # Errors
    /// [`Error::BuiltIn`] if no workflow can have that name, or that many tasks. Built-in workflows are of the tenant `public`:
    /// to others [`Error::UnknownWorkflow`].
    pub async fn built_in(&self, name: &str, n_tasks: usize) -> Result<String, Error> {
        self.caller.check(Role::Operator)?;
        if !self.caller.scope().has(TENANT_DEFAULT) {
            return Err(Error::UnknownWorkflow { name: name.to_owned(), suggestions: Vec::new() });
        }
        let refused = |reason: String| Error::BuiltIn { name: name.to_owned(), reason };
        let functions = STEPS.get(..n_tasks).filter(|functions| !functions.is_empty());
        let functions = functions.ok_or_else(|| refused(format!("it can have 1 to {TASKS_MAX} tasks")))?;
        let tasks = (1..=n_tasks).map(|number| json!({ "id": format!("task_{number}"), "index": number - 1 }));
        let described = json!({
            "format": FORMAT, "abi": ABI, "package": format!("{PACKAGE}{n_tasks}"), "version": "1.0.0",
            "workflows": [{ "name": name, "description": "Tasks that do nothing", "tasks": tasks.collect::<Vec<_>>() }],
        });
        let descriptor = Descriptor::parse(&described.to_string()).map_err(|error| refused(error.to_string()))?;
        cloacina_packager::check(&descriptor).map_err(|mistakes| {
            let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            refused(mistakes.join("; "))
        })?;
        let runner = Arc::new(EmbeddedRunner::new(functions, self.shared.engine.tasks.clone()));
        let workflow = descriptor.workflows.first().ok_or_else(|| refused("it has no tasks".to_owned()))?;
        let key = WorkflowKey {
            tenant: TENANT_DEFAULT.to_owned(),
            package: descriptor.package.clone(),
            name: name.to_owned(),
            digest: Vec::new(),
            fingerprint: String::new(),
        };
        let full_name = key.full_name();
        self.shared.add_workflow(key, workflow, runner).await?;
        Ok(full_name)
    }

    /// Makes those known that the database knows, so that their runs can go on.
    pub(super) async fn built_in_add_known(&self) -> Result<(), Error> {
        let rows = self.shared.store().read("looking for built-in workflows", store::workflow_list).await?;
        for (name, n_tasks) in rows.iter().filter_map(known) {
            self.built_in(name, n_tasks).await?;
        }
        Ok(())
    }
}

/// The name and the number of tasks of a built-in workflow.
fn known(row: &WorkflowRow) -> Option<(&str, usize)> {
    let n_tasks = row.key.package.strip_prefix(PACKAGE)?.parse().ok()?;
    let is_ours = row.key.digest.is_empty() && row.key.tenant == TENANT_DEFAULT;
    (is_ours && (1..=TASKS_MAX).contains(&n_tasks)).then_some((&*row.key.name, n_tasks))
}

fn step(context: &mut Context<Value>) -> TaskFuture<'_> {
    Box::pin(async move {
        context.log(Level::Debug, "done");
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_workflow_has_as_many_tasks_as_asked_for_and_a_name_that_a_workflow_can_have() {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let database = folder.path().join("runs.db").display().to_string();
            let engine = Engine::builder().database(&database).start().await.unwrap();
            assert_eq!(engine.built_in("nightly", 3).await.unwrap(), "public::built_in_3::nightly");
            let run = engine.scheduler().schedule_workflow("nightly", Context::new()).await.unwrap();
            let report = run.wait().await.unwrap();
            let ids: Vec<&str> = report.tasks.iter().map(|task| &*task.id).collect();
            assert_eq!((ids, report.n_completed()), (vec!["task_1", "task_2", "task_3"], 3));
            for (name, n_tasks) in [("", 1), ("a::b", 1), ("with space", 1), ("fine", 0), ("fine", TASKS_MAX + 1)] {
                let refused = engine.built_in(name, n_tasks).await.unwrap_err();
                assert_eq!(refused.code(), "RUN0017", "{name}");
            }
            engine.shutdown().await.unwrap();

            let engine = Engine::builder().database(&database).start().await.unwrap();
            assert_eq!(engine.workflows(), ["public::built_in_3::nightly"]);
            engine.shutdown().await.unwrap();
        });
    }
}
