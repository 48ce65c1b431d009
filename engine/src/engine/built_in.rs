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
    id::{Scope, TENANT_DEFAULT},
    runtime::EmbeddedRunner,
    store::{self, WorkflowKey, WorkflowRow},
};

/// Packages of this name and a number belong to the engine.
const PACKAGE: &str = "built_in_";

/// As many tasks as a built-in workflow may have: as many as any other.
const TASKS_MAX: usize = FUNCTIONS_MAX;

/// What a built-in workflow is for, unless the caller says so.
const DESCRIPTION_DEFAULT: &str = "Tasks that do nothing";

/// Bytes of a description at most: a page of text, as each list of workflows reads all of them.
const DESCRIPTION_BYTES_MAX: usize = 4096;

/// Built-in workflows that a tenant can have: each takes memory for as long as the engine runs.
const WORKFLOWS_MAX: usize = 1_000;

/// Tasks that the built-in workflows of a tenant can have together: as many take some hundred megabytes.
const TENANT_TASKS_MAX: usize = 1_000_000;

static STEPS: LazyLock<Vec<Function>> = LazyLock::new(|| vec![Function::AsyncTask(step); TASKS_MAX]);

impl Engine {
    /// Makes the built-in workflow of that name with that many tasks known to the caller's tenant, which is `public` for a
    /// caller that sees every tenant; returns its full name. The first description that it gets is the one that it keeps.
    ///
    /// # Errors
    /// [`Error::BuiltIn`] if no workflow can have that name, that many tasks or that description, or if the tenant has no
    /// room for one more: it can have 1,000 of them with 1,000,000 tasks together.
    pub async fn built_in(&self, name: &str, n_tasks: usize, description: Option<&str>) -> Result<String, Error> {
        self.caller.check(Role::Operator)?;
        let tenant = self.caller.tenant().unwrap_or(TENANT_DEFAULT);
        let known = self.shared.catalog.names(&Scope::Tenant(tenant.into()));
        let others = known.iter().filter_map(|known| tasks_of_other(known, tenant, n_tasks, name));
        if !has_room(n_tasks, others) {
            let reason =
                "the built-in workflows of the tenant are too many, or have too many tasks together".to_owned();
            return Err(Error::BuiltIn { name: name.to_owned(), reason });
        }
        self.built_in_add(tenant, name, n_tasks, description.unwrap_or(DESCRIPTION_DEFAULT)).await
    }

    async fn built_in_add(&self, tenant: &str, name: &str, n_tasks: usize, description: &str) -> Result<String, Error> {
        let refused = |reason: String| Error::BuiltIn { name: name.to_owned(), reason };
        let functions = STEPS.get(..n_tasks).filter(|functions| !functions.is_empty());
        let functions = functions.ok_or_else(|| refused(format!("it can have 1 to {TASKS_MAX} tasks")))?;
        if description.len() > DESCRIPTION_BYTES_MAX {
            return Err(refused(format!("its description can have at most {DESCRIPTION_BYTES_MAX} bytes")));
        }
        let tasks = (1..=n_tasks).map(|number| json!({ "id": format!("task_{number}"), "index": number - 1 }));
        let described = json!({
            "format": FORMAT, "abi": ABI, "package": format!("{PACKAGE}{n_tasks}"), "version": "1.0.0",
            "workflows": [{ "name": name, "description": description, "tasks": tasks.collect::<Vec<_>>() }],
        });
        let descriptor = Descriptor::parse(&described.to_string()).map_err(|error| refused(error.to_string()))?;
        cloacina_packager::check(&descriptor).map_err(|mistakes| {
            let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            refused(mistakes.join("; "))
        })?;
        let runner = Arc::new(EmbeddedRunner::new(functions, self.shared.engine.tasks.clone()));
        let workflow = descriptor.workflows.first().ok_or_else(|| refused("it has no tasks".to_owned()))?;
        let key = WorkflowKey {
            tenant: tenant.to_owned(),
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
        for (tenant, name, n_tasks) in rows.iter().filter_map(known) {
            // The row keeps the description that it has.
            self.built_in_add(tenant, name, n_tasks, DESCRIPTION_DEFAULT).await?;
        }
        Ok(())
    }
}

/// The number of tasks of a workflow of the tenant, if it is a built-in one and not the one of that name and number of tasks.
fn tasks_of_other(full_name: &str, tenant: &str, n_tasks: usize, name: &str) -> Option<usize> {
    let in_package = full_name.strip_prefix(tenant)?.strip_prefix("::")?.strip_prefix(PACKAGE)?;
    let (number, its_name) = in_package.split_once("::")?;
    let its_tasks = number.parse().ok()?;
    ((its_tasks, its_name) != (n_tasks, name)).then_some(its_tasks)
}

/// Whether a tenant can have one more built-in workflow of so many tasks beside the others.
fn has_room(n_tasks: usize, others: impl Iterator<Item = usize>) -> bool {
    let (n_workflows, n_all_tasks) = others.fold((1, n_tasks), |(n, tasks), more| (n + 1, tasks.saturating_add(more)));
    n_workflows <= WORKFLOWS_MAX && n_all_tasks <= TENANT_TASKS_MAX
}

/// The tenant, the name and the number of tasks of a built-in workflow.
fn known(row: &WorkflowRow) -> Option<(&str, &str, usize)> {
    let n_tasks = row.key.package.strip_prefix(PACKAGE)?.parse().ok()?;
    let is_ours = row.key.digest.is_empty() && (1..=TASKS_MAX).contains(&n_tasks);
    is_ours.then_some((&*row.key.tenant, &*row.key.name, n_tasks))
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
    use crate::api::{Caller, WorkflowFilter};

    #[test]
    fn the_built_in_workflows_of_a_tenant_are_bounded_and_one_that_is_there_counts_once() {
        let tasks = |full_name| tasks_of_other(full_name, "acme", 3, "nightly");
        assert_eq!(tasks("acme::built_in_3::nightly"), None);
        assert_eq!(tasks("acme::built_in_4::nightly"), Some(4));
        assert_eq!(tasks("acme::built_in_3::daily"), Some(3));
        for other in ["acme::shop::nightly", "acme::built_in_x::nightly", "beta::built_in_4::nightly", "nightly"] {
            assert_eq!(tasks(other), None, "{other}");
        }
        let one_task = |n_workflows| std::iter::repeat_n(1, n_workflows);
        assert!(has_room(1, one_task(WORKFLOWS_MAX - 1)) && !has_room(1, one_task(WORKFLOWS_MAX)));
        assert!(has_room(TENANT_TASKS_MAX - 1, one_task(1)) && !has_room(TENANT_TASKS_MAX, one_task(1)));
    }

    #[test]
    fn a_built_in_workflow_has_as_many_tasks_as_asked_for_and_a_name_that_a_workflow_can_have() {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let database = folder.path().join("runs.db").display().to_string();
            let engine = Engine::builder().database(&database).start().await.unwrap();
            assert_eq!(engine.built_in("nightly", 3, Some("at night")).await.unwrap(), "public::built_in_3::nightly");
            let run = engine.scheduler().schedule_workflow("nightly", Context::new()).await.unwrap();
            let report = run.wait().await.unwrap();
            let ids: Vec<&str> = report.tasks.iter().map(|task| &*task.id).collect();
            assert_eq!((ids, report.n_completed()), (vec!["task_1", "task_2", "task_3"], 3));
            for (name, n_tasks) in [("", 1), ("a::b", 1), ("with space", 1), ("fine", 0), ("fine", TASKS_MAX + 1)] {
                let refused = engine.built_in(name, n_tasks, None).await.unwrap_err();
                assert_eq!(refused.code(), "RUN0017", "{name}");
            }
            let long = "x".repeat(DESCRIPTION_BYTES_MAX + 1);
            assert_eq!(engine.built_in("long", 1, Some(&long)).await.unwrap_err().code(), "RUN0017");
            let other = engine.on_behalf_of(Caller::of_tenant("acme", "ann", Role::Operator).unwrap());
            assert_eq!(other.built_in("nightly", 3, None).await.unwrap(), "acme::built_in_3::nightly");
            engine.shutdown().await.unwrap();

            let engine = Engine::builder().database(&database).start().await.unwrap();
            assert_eq!(engine.workflows(), ["public::built_in_3::nightly"]);
            let other = engine.on_behalf_of(Caller::of_tenant("acme", "ann", Role::Operator).unwrap());
            assert_eq!(other.workflows(), ["acme::built_in_3::nightly"]);
            // What was said first is kept, also by an engine that was not told.
            engine.built_in("nightly", 3, Some("at noon")).await.unwrap();
            let known = engine.records().unwrap().workflows(&WorkflowFilter::default()).unwrap();
            assert_eq!(known[0].description.as_deref(), Some("at night"));
            engine.shutdown().await.unwrap();
        });
    }
}
