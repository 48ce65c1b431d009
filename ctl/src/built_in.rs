//! The built-in workflow: any number of tasks that do nothing and depend on nothing, for runs without a package.
//!
//! Its name is the run's name and its package says how many tasks it has, so that two of one name and another number
//! of tasks are two workflows. It is made anew, and the same, by every process that needs it.

use cloacina::{Records, WorkflowRecord};
use cloacina_workflow::__private::v1::{ABI, Function, StaticWorkflow, TaskFuture, Workflow};
use cloacina_workflow::descriptor::{Descriptor, FORMAT};
use cloacina_workflow::{Context, Level, Value};
use serde_json::json;

use crate::error::Error;

/// Packages of this name and a number belong to the program.
const PACKAGE: &str = "built_in_";

/// The workflow of that name with that many tasks. What it needs is never freed: a process makes a few.
pub(crate) fn workflow(name: &str, n_tasks: usize) -> Result<Workflow, Error> {
    let tasks = (1..=n_tasks).map(|number| json!({ "id": format!("task_{number}"), "index": number - 1 }));
    let described = json!({
        "format": FORMAT, "abi": ABI, "package": format!("{PACKAGE}{n_tasks}"), "version": "1.0.0",
        "workflows": [{ "name": name, "description": "Tasks that do nothing", "tasks": tasks.collect::<Vec<_>>() }],
    });
    let text = described.to_string();
    let refused = |reason: String| Error::BadRunName { name: name.to_owned(), reason };
    let descriptor = Descriptor::parse(&text).map_err(|error| refused(error.to_string()))?;
    cloacina_packager::check(&descriptor).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        refused(mistakes.join("; "))
    })?;
    let json: &'static [&'static str] = Box::leak(Box::new([&*text.leak()]));
    let functions: &'static [Function] = vec![Function::AsyncTask(step); n_tasks].leak();
    let name: &'static str = name.to_owned().leak();
    Ok(Workflow::new(Box::leak(Box::new(StaticWorkflow { name, json, functions }))))
}

/// The built-in workflows that the runs of a database refer to.
pub(crate) fn known(records: &mut Records) -> Result<Vec<Workflow>, Error> {
    let known = records.workflows()?.into_iter().filter(is_built_in);
    known.map(|record| workflow(&record.descriptor.name, record.descriptor.tasks.len())).collect()
}

fn is_built_in(record: &WorkflowRecord) -> bool {
    record.digest.is_none() && record.package.starts_with(PACKAGE)
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
    fn a_workflow_has_as_many_tasks_as_asked_for() {
        let made = workflow("nightly", 3).unwrap();
        assert_eq!((made.name(), made.functions().len()), ("nightly", 3));
        let descriptor = made.descriptor().unwrap();
        assert_eq!(descriptor.package, "built_in_3");
        let ids: Vec<&str> = descriptor.workflows[0].tasks.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["task_1", "task_2", "task_3"]);
    }

    #[test]
    fn a_name_that_no_workflow_can_have_is_refused() {
        for name in ["", "a::b", "with space"] {
            assert!(matches!(workflow(name, 1), Err(Error::BadRunName { .. })), "{name}");
        }
    }
}
