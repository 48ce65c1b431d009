//! The parts of a run: its tasks, history, log, context, gates and usage.
//!
//! Each is a view of the engine; only the gates get a text beside them, for people.

use axum::Json as Shown;
use cloacina::{
    Gate, Level, LogFilter, LogRecord, Request, RunContext, RunEvent, RunId, RunState, RunUsage, TaskReport, TaskState,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Parameters},
    listed::Listed,
    problem::{Problem, Problems},
    refused::Refused,
};

/// A task that waits, and for what.
#[derive(Debug, Serialize, ToSchema)]
struct WaitingTask {
    /// The id of the task.
    task: String,
    /// The state of the task.
    state: TaskState,
    /// What keeps it from running: all of these must open.
    gates: Vec<GateInWords>,
}

/// One thing that a task waits for, also in words.
#[derive(Debug, Serialize, ToSchema)]
struct GateInWords {
    #[serde(flatten)]
    gate: Gate,
    /// The gate with its present value, in words.
    text: String,
}

/// Why tasks of a run are not running.
#[derive(Debug, Serialize, ToSchema)]
struct Why {
    /// The id of the run.
    #[schema(value_type = String)]
    run: RunId,
    /// The full name of its workflow.
    workflow: String,
    /// The state of the run.
    state: RunState,
    /// The tasks that wait. A task that runs or has ended waits for nothing.
    waiting: Vec<WaitingTask>,
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// Only events of that task.
    task: Option<String>,
}

/// Which lines of a log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogsQuery {
    /// Only lines of that task.
    task: Option<String>,
    /// Only lines of attempts of that number.
    attempt: Option<u32>,
    /// Only lines that are at least as important: `error`, `warn`, `info`, `debug` or `trace`.
    level: Option<String>,
    /// Only lines that were written at this moment or later.
    #[param(value_type = Option<cloacina::Moment>)]
    since: Option<Timestamp>,
    /// Only lines after the one of that number, which continues a list after its last line.
    after: Option<i64>,
    /// Only the last lines, so many at most.
    tail: Option<usize>,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(tasks))
        .routes(routes!(task))
        .routes(routes!(events))
        .routes(routes!(logs))
        .routes(routes!(context))
        .routes(routes!(why))
        .routes(routes!(usage))
}

/// The tasks of a run, in the order of the source.
#[utoipa::path(get, path = "/runs/{run}/tasks", tag = "runs", operation_id = "runs_tasks",
    params(("run" = String, Path, description = "The id of the run.")),
    responses((status = 200, description = "The tasks.", body = [TaskReport]), Problems))]
async fn tasks(asker: Asker, InPath(run): InPath<RunId>) -> Result<Listed<TaskReport>, Problem> {
    Ok(Listed::all(asker.engine.run(run).await?.tasks().await?))
}

/// One task of a run.
#[utoipa::path(get, path = "/runs/{run}/tasks/{task}", tag = "runs", operation_id = "runs_task",
    params(
        ("run" = String, Path, description = "The id of the run."),
        ("task" = String, Path, description = "The id of the task."),
    ),
    responses((status = 200, description = "The task.", body = TaskReport), Problems))]
async fn task(asker: Asker, InPath((run, task)): InPath<(RunId, String)>) -> Result<Shown<TaskReport>, Problem> {
    let tasks = asker.engine.run(run).await?.tasks().await?;
    let found = tasks.into_iter().find(|known| known.id == task);
    Ok(Shown(found.ok_or(cloacina::Error::UnknownTask { id: run, task })?))
}

/// Everything that has happened to a run, in order.
#[utoipa::path(get, path = "/runs/{run}/events", tag = "runs", operation_id = "runs_events",
    params(("run" = String, Path, description = "The id of the run."), EventsQuery),
    responses((status = 200, description = "The events.", body = [RunEvent]), Problems))]
async fn events(
    asker: Asker,
    InPath(run): InPath<RunId>,
    Parameters(EventsQuery { task }): Parameters<EventsQuery>,
) -> Result<Listed<RunEvent>, Problem> {
    let mut events = asker.engine.run(run).await?.events().await?;
    if let Some(task) = task {
        events.retain(|event| event.task.as_ref() == Some(&task));
    }
    Ok(Listed::all(events))
}

/// What the attempts of a run wrote to their logs, in order; at most 10,000 lines at once.
#[utoipa::path(get, path = "/runs/{run}/logs", tag = "runs", operation_id = "runs_logs",
    params(("run" = String, Path, description = "The id of the run."), LogsQuery),
    responses((status = 200, description = "The lines.", body = [LogRecord]), Problems))]
async fn logs(
    asker: Asker,
    InPath(run): InPath<RunId>,
    Parameters(query): Parameters<LogsQuery>,
) -> Result<Listed<LogRecord>, Problem> {
    let filter = query.filter()?;
    Ok(Listed::all(asker.engine.run(run).await?.logs(&filter).await?))
}

/// What the tasks of a run see, and who wrote it.
#[utoipa::path(get, path = "/runs/{run}/context", tag = "runs", operation_id = "runs_context",
    params(("run" = String, Path, description = "The id of the run.")),
    responses((status = 200, description = "The context.", body = RunContext), Problems))]
async fn context(asker: Asker, InPath(run): InPath<RunId>) -> Result<Shown<RunContext>, Problem> {
    let report = asker.engine.run(run).await?.report().await?;
    if let Some(part) = report.pruned() {
        return Err(cloacina::Error::Pruned { id: run, request: Request::ShowContext, part }.into());
    }
    Ok(Shown(report.into_context()))
}

/// Why the tasks of a run are not running.
#[utoipa::path(get, path = "/runs/{run}/why", tag = "runs", operation_id = "runs_why",
    params(("run" = String, Path, description = "The id of the run.")),
    responses((status = 200, description = "The gates.", body = Why), Problems))]
async fn why(asker: Asker, InPath(run): InPath<RunId>) -> Result<Shown<Why>, Problem> {
    let report = asker.engine.run(run).await?.report().await?;
    let waits = |task: &TaskReport| !task.state.is_terminal() && task.state != TaskState::Running;
    let waiting = report.tasks.iter().filter(|task| waits(task)).map(|task| {
        let gates = task.gates.iter().map(|gate| GateInWords { gate: gate.clone(), text: gate.to_string() });
        WaitingTask { task: task.id.clone(), state: task.state, gates: gates.collect() }
    });
    Ok(Shown(Why { run, workflow: report.workflow.clone(), state: report.state, waiting: waiting.collect() }))
}

/// What a run used up.
#[utoipa::path(get, path = "/runs/{run}/usage", tag = "runs", operation_id = "runs_usage",
    params(("run" = String, Path, description = "The id of the run.")),
    responses((status = 200, description = "The usage.", body = RunUsage), Problems))]
async fn usage(asker: Asker, InPath(run): InPath<RunId>) -> Result<Shown<RunUsage>, Problem> {
    Ok(Shown(asker.engine.run(run).await?.usage().await?))
}

impl LogsQuery {
    pub(crate) fn filter(self) -> Result<LogFilter, Refused> {
        let level = |name: String| {
            let parsed = name.parse::<Level>();
            parsed.map_err(|_| Refused::Parameter {
                part: "query",
                reason: format!("level is {name:?}, and it can be error, warn, info, debug or trace"),
            })
        };
        let Self { task, attempt, level: named, since, after, tail } = self;
        Ok(LogFilter { task, attempt, level: named.map(level).transpose()?, since, after, tail })
    }
}
