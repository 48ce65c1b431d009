//! The parts of a run: its tasks, history, log, context, gates and usage.
//!
//! Each is a view of the engine, as the engine gives it.

use axum::{Json as Shown, http::HeaderMap, response::Response};
use cloacina::{
    Level, LogFilter, LogRecord, Request, RunContext, RunEvent, RunId, RunUsage, TaskReport, Timestamp, Why,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Parameters},
    listed::Listed,
    problem::{Problem, Problems},
    ranged::{RangedJson, RangedRequest, ranged_json},
    refused::Refused,
};

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
        .routes(routes!(context_value))
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

/// What the tasks of a run see, and who wrote it. Parts of the answer can be asked for with `range`.
#[utoipa::path(get, path = "/runs/{run}/context", tag = "runs", operation_id = "runs_context",
    params(("run" = String, Path, description = "The id of the run."), RangedRequest),
    responses((status = 200, description = "The context.", body = RunContext), RangedJson, Problems))]
async fn context(asker: Asker, headers: HeaderMap, InPath(run): InPath<RunId>) -> Result<Response, Problem> {
    Ok(ranged_json(&headers, &seen_context(&asker, run).await?))
}

/// One value that the tasks of a run see, as JSON. Parts of the answer can be asked for with `range`.
#[utoipa::path(get, path = "/runs/{run}/context/{key}", tag = "runs", operation_id = "runs_context_value",
    params(
        ("run" = String, Path, description = "The id of the run."),
        ("key" = String, Path, description = "The key of the value."),
        RangedRequest,
    ),
    responses((status = 200, description = "The value.", body = Value), RangedJson, Problems))]
async fn context_value(
    asker: Asker,
    headers: HeaderMap,
    InPath((run, key)): InPath<(RunId, String)>,
) -> Result<Response, Problem> {
    let seen = seen_context(&asker, run).await?;
    let value = seen.context.get(&key).ok_or(Refused::Unknown { what: "value", id: key })?;
    Ok(ranged_json(&headers, value))
}

/// The values, unless retention has removed them.
async fn seen_context(asker: &Asker, run: RunId) -> Result<RunContext, Problem> {
    let report = asker.engine.report(run).await?;
    if let Some(part) = report.pruned() {
        return Err(cloacina::Error::Pruned { id: run, request: Request::ShowContext, part }.into());
    }
    Ok(report.into_context())
}

/// Why the tasks of a run are not running.
#[utoipa::path(get, path = "/runs/{run}/why", tag = "runs", operation_id = "runs_why",
    params(("run" = String, Path, description = "The id of the run.")),
    responses((status = 200, description = "The gates and the skips.", body = Why), Problems))]
async fn why(asker: Asker, InPath(run): InPath<RunId>) -> Result<Shown<Why>, Problem> {
    Ok(Shown(asker.engine.report(run).await?.why(true)))
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
