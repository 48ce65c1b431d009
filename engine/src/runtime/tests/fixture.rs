//! Workflows of any shape for tests: the description is made at run time, the functions are a few that look at what
//! they are called with.

use cloacina_workflow::{
    __private::v1::StaticWorkflow,
    Context, Function, TaskError, Value, Workflow,
    descriptor::{self, Durability},
};
use serde_json::{Map, json};
use tempfile::TempDir;

use crate::Engine;

/// A workflow to be: its name and its tasks.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) fingerprint: &'static str,
    pub(super) tasks: Vec<Task>,
    pub(super) callbacks: Vec<Function>,
    pub(super) timeout_ms: Option<u64>,
    pub(super) durability: Durability,
}

pub(super) struct Task {
    pub(super) id: String,
    pub(super) dependencies: Vec<String>,
    pub(super) function: Function,
    pub(super) change: fn(&mut descriptor::Task),
}

impl Shape {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            fingerprint: "",
            tasks: Vec::new(),
            callbacks: Vec::new(),
            timeout_ms: None,
            durability: Durability::Strict,
        }
    }

    pub(super) fn task(mut self, id: &str, dependencies: &[&str], function: Function) -> Self {
        let dependencies = dependencies.iter().map(|id| (*id).to_owned()).collect();
        self.tasks.push(Task { id: id.to_owned(), dependencies, function, change: |_| {} });
        self
    }

    /// Changes the description of the last task.
    pub(super) fn with(mut self, change: fn(&mut descriptor::Task)) -> Self {
        self.tasks.last_mut().unwrap().change = change;
        self
    }

    /// Adds a callback; its index is 1,000 and its place, so that no task has it.
    pub(super) fn callback(mut self, function: Function) -> Self {
        self.callbacks.push(function);
        self
    }

    pub(super) fn diamond() -> Self {
        Self::new("diamond")
            .task("top", &[], NAME)
            .task("left", &["top"], NAME)
            .task("right", &["top"], BLOCKING_NAME)
            .task("join", &["left", "right"], SEES)
    }
}

/// Writes its own id under its own id.
pub(super) const NAME: Function = Function::AsyncTask(|context| {
    Box::pin(async move {
        let id = context.task().unwrap().task.clone();
        context.insert(&id, json!(true))?;
        Ok(())
    })
});

/// The same on a blocking thread.
pub(super) const BLOCKING_NAME: Function = Function::Task(|context| {
    let id = context.task().unwrap().task.clone();
    context.insert(&id, json!(true))?;
    Ok(())
});

/// Writes which keys it saw, under its id and `_saw`.
pub(super) const SEES: Function = Function::AsyncTask(|context| {
    Box::pin(async move {
        let id = context.task().unwrap().task.clone();
        let keys: Vec<String> = context.keys().map(str::to_owned).collect();
        context.insert(format!("{id}_saw"), json!(keys))?;
        Ok(())
    })
});

/// Fails.
pub(super) const FAILS: Function =
    Function::AsyncTask(|_| Box::pin(async { Err(TaskError::ValidationFailed { message: "as planned".to_owned() }) }));

/// Writes its id under the key `shared`.
pub(super) const SHARED: Function = Function::AsyncTask(|context| {
    Box::pin(async move {
        let id = context.task().unwrap().task.clone();
        context.set("shared", json!(id));
        Ok(())
    })
});

/// A module such as the macros make.
pub(super) fn workflow(shape: Shape) -> Workflow {
    let mut functions: Vec<Function> = shape.tasks.iter().map(|task| task.function).collect();
    if !shape.callbacks.is_empty() {
        functions.resize(1000, NAME);
        functions.extend(&shape.callbacks);
    }
    let tasks = shape.tasks.iter().zip(0..).map(|(task, index)| {
        let blocking = matches!(task.function, Function::Task(_));
        let mut described: descriptor::Task = serde_json::from_value(json!({
            "id": task.id, "index": index, "dependencies": task.dependencies, "blocking": blocking,
        }))
        .unwrap();
        (task.change)(&mut described);
        serde_json::to_value(described).unwrap()
    });
    let mut described = json!({ "name": shape.name, "tasks": tasks.collect::<Vec<_>>() });
    let callbacks = shape.callbacks.iter().zip(1000..).map(|(function, index)| {
        let blocking = matches!(function, Function::Callback(_));
        json!({ "name": format!("callback_{index}"), "index": index, "blocking": blocking })
    });
    described["callbacks"] = callbacks.collect();
    described["timeout_ms"] = json!(shape.timeout_ms);
    described["durability"] = json!(shape.durability);
    if !shape.fingerprint.is_empty() {
        described["fingerprint"] = json!(shape.fingerprint);
    }
    let json = json!({
        "format": 1, "abi": "1.0", "package": "", "version": "0.1.0", "workflows": [described],
    });
    // Modules are static; the few of a test may stay until it ends.
    let pieces: &'static [&'static str] = vec![&*json.to_string().leak()].leak();
    let fixed = StaticWorkflow { name: shape.name, json: pieces, functions: functions.leak() };
    Workflow::new(Box::leak(Box::new(fixed)))
}

pub(super) async fn engine(folder: &TempDir, shapes: Vec<Shape>) -> Engine {
    let database = folder.path().join("runs.db");
    let builder = Engine::builder().database(database.to_str().unwrap());
    shapes.into_iter().fold(builder, |builder, shape| builder.workflow(workflow(shape))).start().await.unwrap()
}

pub(super) fn input(json: Value) -> Context<Value> {
    Context::from_object(json).unwrap()
}

pub(super) fn nothing() -> Context<Value> {
    input(Value::Object(Map::new()))
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// How many threads this process has.
pub(super) fn n_threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
