//! What runs: workflows of tasks that do nothing or next to nothing, compiled in, and the inputs of their runs.
//!
//! The packaged counterpart is the chain of `tests/fixtures/noop`, whose tasks do the same: nothing.

use cloacina_workflow::__private::v1::{ABI, Function, StaticWorkflow, TaskFuture, Workflow};
use cloacina_workflow::descriptor::FORMAT;
use cloacina_workflow::{Context, Value};
use serde_json::json;

use super::cell::Shape;

/// What a context holds besides its large value, and the quotes around that.
const SMALL_VALUES_BYTES: usize = 80;

/// The workflow of that shape. What it needs is never freed: a process makes a few.
pub(super) fn workflow(shape: Shape) -> Workflow {
    let n_tasks = shape.n_tasks();
    let id = |index: u32| format!("task_{index}");
    let dependencies = |index: u32| -> Vec<String> {
        match shape {
            Shape::Chain(_) | Shape::Writers(_) => index.checked_sub(1).map(id).into_iter().collect(),
            Shape::FanOut(_) if index == 0 => Vec::new(),
            Shape::FanOut(_) if index + 1 == n_tasks => (1..index).map(id).collect(),
            Shape::FanOut(_) => vec![id(0)],
        }
    };
    let tasks = (0..n_tasks)
        .map(|index| json!({ "id": id(index), "index": index, "dependencies": dependencies(index) }))
        .collect::<Vec<_>>();
    let name: &'static str = shape.to_string().leak();
    let described = json!({
        "format": FORMAT, "abi": ABI, "package": "bench", "version": "1.0.0",
        "workflows": [{ "name": name, "tasks": tasks }],
    });
    let json: &'static [&'static str] = Box::leak(Box::new([&*described.to_string().leak()]));
    let function = match shape {
        Shape::Chain(_) | Shape::FanOut(_) => Function::AsyncTask(nothing),
        Shape::Writers(_) => Function::AsyncTask(write_one),
    };
    let functions: &'static [Function] = vec![function; n_tasks as usize].leak();
    Workflow::new(Box::leak(Box::new(StaticWorkflow { name, json, functions })))
}

/// The input of a run: empty, or of about that many bytes with one large value and a few small ones.
pub(super) fn context(bytes: usize) -> Context<Value> {
    let mut context = Context::new();
    if bytes > 0 {
        context.set("filling", json!("x".repeat(bytes.saturating_sub(SMALL_VALUES_BYTES))));
        context.set("number", json!(1));
        context.set("list", json!([1, 2, 3]));
        context.set("nested", json!({ "deep": { "deeper": true } }));
    }
    context
}

fn nothing(_: &mut Context<Value>) -> TaskFuture<'_> {
    Box::pin(async { Ok(()) })
}

/// Leaves twenty bytes under a key of its own.
fn write_one(context: &mut Context<Value>) -> TaskFuture<'_> {
    Box::pin(async {
        let key = context.task().map(|task| task.task.clone()).unwrap_or_default();
        context.set(key, json!("x".repeat(20)));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflows_have_the_shape_that_was_asked_for() {
        for (shape, n_dependencies) in
            [(Shape::Chain(1), 0), (Shape::Chain(3), 2), (Shape::Writers(4), 3), (Shape::FanOut(5), 6)]
        {
            let descriptor = workflow(shape).descriptor().unwrap();
            cloacina_packager::check(&descriptor).unwrap();
            let tasks = &descriptor.workflows[0].tasks;
            assert_eq!(tasks.len(), shape.n_tasks() as usize);
            assert_eq!(tasks.iter().map(|task| task.dependencies.len()).sum::<usize>(), n_dependencies, "{shape}");
        }
    }

    #[test]
    fn contexts_are_about_as_large_as_asked_for() {
        let bytes = serde_json::to_string(&context(1024)).unwrap().len();
        assert!((1000..=1100).contains(&bytes), "{bytes}");
        assert_eq!(serde_json::to_string(&context(0)).unwrap(), "{}");
    }
}
