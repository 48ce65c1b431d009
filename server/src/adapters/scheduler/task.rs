//! Tasks of the distributed scheduler: each is a workflow, and its runs are runs.
//!
//! A request about a task that changes something is a request about each of its runs, and each run answers for itself.

use axum::{Json as Shown, extract::OriginalUri, http::StatusCode, response::Response};
use cloacina::{
    Command, Context, Request, RunFilter, RunId, RunReport, RunRequest, RunState, RunStatus, RunSummary, Value,
    WorkflowRecord,
};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    adapters::startable::{self, Startable},
    app::Shared,
    asker::Asker,
    body::{IdempotencyKey, InPath, MaybeJson, Parameters},
    listed::{Listed, PageQuery},
    located::located,
    problem::{Problem, Problems},
    refused::Refused,
    routes::{BulkOutcome, ask_all},
};

/// A task of the scheduler.
#[derive(Debug, Serialize, ToSchema)]
struct ScheduledTask {
    /// The full name of the workflow: `tenant::package::workflow`.
    id: String,
    /// Null, as schedules do not exist yet.
    schedule: Option<String>,
    /// The version of the workflow that new runs get.
    #[serde(flatten)]
    workflow: WorkflowRecord,
}

/// A run of a task to be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Trigger {
    /// The input of the workflow.
    #[serde(default)]
    #[schema(value_type = Object)]
    input: Map<String, Value>,
}

/// What is asked of the runs of a task.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ScheduledVerb {
    /// Let nothing new start in those that run.
    Pause,
    /// Let those go on that are paused.
    Resume,
    /// End those that have not ended.
    Cancel,
}

pub(in crate::adapters) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(trigger))
        .routes(routes!(control))
        .routes(routes!(runs))
        .routes(routes!(retry))
}

/// The tasks, by id.
#[utoipa::path(get, path = "/tasks", tag = "scheduler", operation_id = "adapter_tasks_list",
    responses((status = 200, description = "The tasks.", body = [ScheduledTask]), Problems))]
async fn list(asker: Asker) -> Result<Listed<ScheduledTask>, Problem> {
    let startable = startable::list(&asker).await?;
    Ok(Listed::all(startable.into_iter().map(ScheduledTask::from).collect()))
}

/// A task.
#[utoipa::path(get, path = "/tasks/{id}", tag = "scheduler", operation_id = "adapter_tasks_get",
    params(("id" = String, Path, description = "The id of the task.")),
    responses((status = 200, description = "The task.", body = ScheduledTask), Problems))]
async fn get(asker: Asker, InPath(id): InPath<String>) -> Result<Shown<ScheduledTask>, Problem> {
    Ok(Shown(startable::get(&asker, &id).await?.into()))
}

/// Tasks come from packages: answered with 501.
#[utoipa::path(post, path = "/tasks", tag = "scheduler", operation_id = "adapter_tasks_create",
    responses(
        (status = 501, description = "That cannot be done yet.", body = Problem, content_type = "application/problem+json"),
        Problems,
    ))]
async fn create(_: Asker) -> Problem {
    not_yet().into()
}

/// Tasks come from packages: answered with 501.
#[utoipa::path(put, path = "/tasks/{id}", tag = "scheduler", operation_id = "adapter_tasks_update",
    params(("id" = String, Path, description = "The id of the task.")),
    responses(
        (status = 501, description = "That cannot be done yet.", body = Problem, content_type = "application/problem+json"),
        Problems,
    ))]
async fn update(_: Asker) -> Problem {
    not_yet().into()
}

/// Tasks come from packages: answered with 501.
#[utoipa::path(delete, path = "/tasks/{id}", tag = "scheduler", operation_id = "adapter_tasks_delete",
    params(("id" = String, Path, description = "The id of the task.")),
    responses(
        (status = 501, description = "That cannot be done yet.", body = Problem, content_type = "application/problem+json"),
        Problems,
    ))]
async fn delete(_: Asker) -> Problem {
    not_yet().into()
}

fn not_yet() -> Refused {
    Refused::NotYet {
        what: "tasks cannot be created, changed or deleted one by one yet",
        instead: "a task is a workflow of a package: register, activate or remove a version of the package",
    }
}

/// Begins a run of a task. The answer says that the run is durable.
#[utoipa::path(post, path = "/tasks/{id}/trigger", tag = "scheduler", operation_id = "adapter_tasks_trigger",
    params(("id" = String, Path, description = "The id of the task."), IdempotencyKey), request_body = Option<Trigger>,
    responses(
        (status = 202, description = "The run is durable.", body = RunStatus, headers(("location" = String))),
        Problems,
    ))]
async fn trigger(
    asker: Asker,
    InPath(id): InPath<String>,
    IdempotencyKey(key): IdempotencyKey,
    MaybeJson(trigger): MaybeJson<Trigger>,
) -> Result<Response, Problem> {
    let Trigger { input } = trigger.unwrap_or_default();
    let input = Context::from_object(Value::Object(input)).unwrap_or_default();
    let request = RunRequest::new(id, input).by(&asker.actor);
    let request = key.into_iter().fold(request, RunRequest::key);
    let run = asker.engine.scheduler().submit(request).await?;
    Ok(located(StatusCode::ACCEPTED, &format!("/api/v1/runs/{}", run.id()), run.status().await?))
}

/// Asks the same of all runs of a task that are in a state in which that can be asked. Each run answers for itself.
#[utoipa::path(post, path = "/tasks/{id}/{verb}", tag = "scheduler", operation_id = "adapter_tasks_control",
    params(
        ("id" = String, Path, description = "The id of the task."),
        ("verb" = inline(ScheduledVerb), Path, description = "What is asked."),
    ),
    responses((status = 200, description = "What became of each run, newest first.", body = [BulkOutcome]), Problems))]
async fn control(
    asker: Asker,
    InPath((id, verb)): InPath<(String, ScheduledVerb)>,
) -> Result<Shown<Vec<BulkOutcome>>, Problem> {
    startable::check(&asker, &id)?;
    let (request, states) = match verb {
        ScheduledVerb::Pause => (Request::Pause, vec![RunState::Running]),
        ScheduledVerb::Resume => (Request::Resume, vec![RunState::Paused]),
        ScheduledVerb::Cancel => (Request::Cancel, vec![RunState::Pending, RunState::Running, RunState::Paused]),
    };
    let filter = RunFilter { states, workflow: Some(id), ..RunFilter::default() };
    Ok(Shown(ask_all(&asker, &filter, request).await?))
}

/// The runs of a task, newest first.
#[utoipa::path(get, path = "/tasks/{id}/runs", tag = "scheduler", operation_id = "adapter_tasks_runs",
    params(("id" = String, Path, description = "The id of the task."), PageQuery),
    responses(
        (status = 200, description = "A page of runs.", body = [RunSummary],
            headers(("link" = String, description = "The address of the next page, if there is one, as `<…>; rel=\"next\"`."))),
        Problems,
    ))]
async fn runs(
    asker: Asker,
    OriginalUri(uri): OriginalUri,
    InPath(id): InPath<String>,
    Parameters(query): Parameters<PageQuery>,
) -> Result<Listed<RunSummary>, Problem> {
    startable::check(&asker, &id)?;
    let filter = RunFilter { workflow: Some(id), ..RunFilter::default() };
    let found = asker.engine.list(&filter, &query.page()?).await?;
    Ok(Listed::page(found.runs, &uri, found.next.map(|run| run.to_string())))
}

/// Retries a run. One that has ended is run again as a new run, which takes over what completed; in one that has not, the tasks
/// that wait for their next attempt begin it at once.
#[utoipa::path(post, path = "/tasks/runs/{run}/retry", tag = "scheduler", operation_id = "adapter_tasks_retry",
    params(("run" = String, Path, description = "The id of the run.")),
    responses((status = 200, description = "The run that goes on.", body = RunReport), Problems))]
async fn retry(asker: Asker, InPath(run): InPath<RunId>) -> Result<Shown<RunReport>, Problem> {
    let has_ended = asker.engine.run(run).await?.state().await?.is_terminal();
    let command = match has_ended {
        true => Command::Rerun { run, failed: true, input: None, version: None },
        false => Command::Retry { run, task: None },
    };
    Ok(Shown(asker.engine.perform(command, &asker.actor).await?))
}

impl From<Startable> for ScheduledTask {
    fn from(startable: Startable) -> Self {
        Self { id: startable.version.name.clone(), schedule: None, workflow: startable.version }
    }
}
