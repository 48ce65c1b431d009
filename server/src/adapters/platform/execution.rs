//! Executions of the jobs platform: each is a run that has begun. A job is executed once, so both have the id of the run.
//!
//! No command of a request is ever run: an execution runs the tasks of its workflow and nothing else.

use axum::{Json as Shown, extract::OriginalUri, http::StatusCode, response::Response};
use cloacina::{Command, LogRecord, RunFilter, RunId, RunState, RunStatus, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Json, Parameters},
    listed::{Listed, PageQuery},
    located::located,
    problem::{Problem, Problems},
    refused::Refused,
    routes::LogsQuery,
};

/// A job to be executed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewExecution {
    /// The id of the job.
    #[schema(value_type = String)]
    job_id: RunId,
    /// A command in the place of the job's tasks. It is answered with 403, as the server runs no commands.
    command: Option<String>,
}

/// An execution.
#[derive(Debug, Serialize, ToSchema)]
struct Execution {
    /// The id of the run.
    #[schema(value_type = String)]
    id: RunId,
    /// The id of the job, which is that of the run too.
    #[schema(value_type = String)]
    job_id: RunId,
    /// Null, as the server runs no commands.
    command: Option<String>,
    /// The state of the run.
    status: RunState,
    /// When its first task could start. Null for a job that was cancelled before.
    #[schema(value_type = Option<cloacina::Moment>)]
    started_at: Option<Timestamp>,
}

pub(in crate::adapters) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(list)).routes(routes!(get)).routes(routes!(logs))
}

/// Executes a job: its run starts. The answer says that this is durable.
#[utoipa::path(post, path = "/execute", tag = "platform", operation_id = "adapter_executions_create",
    request_body = NewExecution,
    responses(
        (status = 201, description = "The run has started.", body = Execution, headers(("location" = String))),
        Problems,
    ))]
async fn create(asker: Asker, Json(NewExecution { job_id, command }): Json<NewExecution>) -> Result<Response, Problem> {
    asker.engine.run(job_id).await?;
    if command.is_some() {
        return Err(Refused::NoCommands.into());
    }
    let report = asker.engine.perform(Command::Start { run: job_id }, &asker.actor).await?;
    // Its tasks may have ended meanwhile; what is told is the start.
    let execution = Execution { status: RunState::Running, ..Execution::from(report.status) };
    Ok(located(StatusCode::CREATED, &format!("/api/v1/executions/{job_id}"), execution))
}

/// The executions, that of the newest job first.
#[utoipa::path(get, path = "/executions", tag = "platform", operation_id = "adapter_executions_list", params(PageQuery),
    responses(
        (status = 200, description = "A page of executions.", body = [Execution],
            headers(("link" = String, description = "The address of the next page, if there is one, as `<…>; rel=\"next\"`."))),
        Problems,
    ))]
async fn list(
    asker: Asker,
    OriginalUri(uri): OriginalUri,
    Parameters(query): Parameters<PageQuery>,
) -> Result<Listed<Execution>, Problem> {
    let states = RunState::ALL.into_iter().filter(|state| *state != RunState::Pending).collect();
    let begun = RunFilter { states, ..RunFilter::default() };
    let found = asker.engine.list(&begun, &query.page()?).await?;
    let executions = found.runs.into_iter().map(|run| run.status.into());
    Ok(Listed::page(executions.collect(), &uri, found.next.map(|run| run.to_string())))
}

/// An execution.
#[utoipa::path(get, path = "/executions/{id}", tag = "platform", operation_id = "adapter_executions_get",
    params(("id" = String, Path, description = "The id of the execution.")),
    responses((status = 200, description = "The execution.", body = Execution), Problems))]
async fn get(asker: Asker, InPath(run): InPath<RunId>) -> Result<Shown<Execution>, Problem> {
    let status = asker.engine.run(run).await?.status().await?;
    match status.state {
        RunState::Pending => Err(Refused::Unknown { what: "execution", id: run.to_string() }.into()),
        _ => Ok(Shown(status.into())),
    }
}

/// What the tasks of an execution wrote to their logs, in order; at most 10,000 lines at once.
#[utoipa::path(get, path = "/executions/{id}/logs", tag = "platform", operation_id = "adapter_executions_logs",
    params(("id" = String, Path, description = "The id of the execution."), LogsQuery),
    responses((status = 200, description = "The lines.", body = [LogRecord]), Problems))]
async fn logs(
    asker: Asker,
    InPath(run): InPath<RunId>,
    Parameters(query): Parameters<LogsQuery>,
) -> Result<Listed<LogRecord>, Problem> {
    let filter = query.filter()?;
    Ok(Listed::all(asker.engine.run(run).await?.logs(&filter).await?))
}

impl From<RunStatus> for Execution {
    fn from(run: RunStatus) -> Self {
        let RunStatus { id, state, started_at, .. } = run;
        Self { id, job_id: id, command: None, status: state, started_at }
    }
}
