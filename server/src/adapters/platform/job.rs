//! Jobs of the jobs platform: each is a run that waits until it is executed.
//!
//! A list of jobs is the list of all runs that the caller sees, also of those that were submitted in another way.

use axum::{Json as Shown, extract::OriginalUri, http::StatusCode, response::Response};
use cloacina::{Context, RunFilter, RunId, RunRequest, RunState, RunStatus, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{IdempotencyKey, InPath, Json, Parameters},
    listed::{Listed, PageQuery},
    located::located,
    problem::{Problem, Problems},
};

/// A job to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewJob {
    /// The id of the pipeline, or any other name of the workflow.
    pipeline_id: String,
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
struct Job {
    /// The id of the run.
    #[schema(value_type = String)]
    id: RunId,
    /// The id of the pipeline.
    pipeline_id: String,
    /// The state of the run; `pending` until the job is executed.
    status: RunState,
    /// When the job was created.
    #[schema(value_type = cloacina::Moment)]
    created_at: Timestamp,
}

pub(in crate::adapters) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get))
}

/// The jobs, newest first.
#[utoipa::path(get, path = "/jobs", tag = "platform", operation_id = "adapter_platform_jobs_list", params(PageQuery),
    responses(
        (status = 200, description = "A page of jobs.", body = [Job],
            headers(("link" = String, description = "The address of the next page, if there is one, as `<…>; rel=\"next\"`."))),
        Problems,
    ))]
async fn list(
    asker: Asker,
    OriginalUri(uri): OriginalUri,
    Parameters(query): Parameters<PageQuery>,
) -> Result<Listed<Job>, Problem> {
    let found = asker.engine.list(&RunFilter::default(), &query.page()?).await?;
    let jobs = found.runs.into_iter().map(|run| run.status.into());
    Ok(Listed::page(jobs.collect(), &uri, found.next.map(|run| run.to_string())))
}

/// Creates a job, which waits until it is executed.
#[utoipa::path(post, path = "/jobs", tag = "platform", operation_id = "adapter_platform_jobs_create",
    params(IdempotencyKey), request_body = NewJob,
    responses(
        (status = 201, description = "The job is durable.", body = Job, headers(("location" = String))),
        Problems,
    ))]
async fn create(
    asker: Asker,
    IdempotencyKey(key): IdempotencyKey,
    Json(NewJob { pipeline_id }): Json<NewJob>,
) -> Result<Response, Problem> {
    let request = RunRequest::new(pipeline_id, Context::new()).by(&asker.actor).held();
    let request = key.into_iter().fold(request, RunRequest::key);
    let run = asker.engine.scheduler().submit(request).await?;
    Ok(located(StatusCode::CREATED, &format!("/api/v1/jobs/{}", run.id()), Job::from(run.status().await?)))
}

/// A job.
#[utoipa::path(get, path = "/jobs/{id}", tag = "platform", operation_id = "adapter_platform_jobs_get",
    params(("id" = String, Path, description = "The id of the job.")),
    responses((status = 200, description = "The job.", body = Job), Problems))]
async fn get(asker: Asker, InPath(run): InPath<RunId>) -> Result<Shown<Job>, Problem> {
    Ok(Shown(asker.engine.run(run).await?.status().await?.into()))
}

impl From<RunStatus> for Job {
    fn from(run: RunStatus) -> Self {
        let RunStatus { id, workflow, state, created_at, .. } = run;
        Self { id, pipeline_id: workflow, status: state, created_at }
    }
}
