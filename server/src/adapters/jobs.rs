//! The jobs API: a type of job is a workflow, its payload is the input, and a job is a run.
//!
//! The id of a job is the id of its run in another spelling, so nothing is kept beside the run.

use axum::{Json as Shown, http::StatusCode, response::Response};
use cloacina::{Context, Error, Failure, RunId, RunReport, RunRequest, RunState, TaskReport, Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::startable::short_name;
use crate::{
    app::Shared,
    asker::Asker,
    body::{IdempotencyKey, InPath, Json},
    located::located,
    problem::{Problem, Problems},
    refused::Refused,
};

/// What the id of a job begins with; the 32 hexadecimal digits of the run's id follow.
const ID_PREFIX: &str = "job_";

/// Digits of the id of a run.
const ID_DIGITS: usize = 32;

/// Types that a refusal names at most, so that a refusal stays readable.
const NAMED_MAX: usize = 50;

/// A job to be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TypedJob {
    /// The type of the job: the name of a workflow.
    #[serde(rename = "type")]
    kind: String,
    /// The input of the workflow.
    #[serde(default)]
    #[schema(value_type = Object)]
    payload: Map<String, Value>,
}

/// A job that was taken. It is durable.
#[derive(Debug, Serialize, ToSchema)]
struct QueuedJob {
    /// The id of the job: `job_` and the 32 hexadecimal digits of the run's id.
    job_id: String,
    /// `QUEUED`.
    status: JobState,
    /// When the job was taken.
    #[schema(value_type = cloacina::Moment)]
    created_at: Timestamp,
}

/// A job. What is not known yet is null.
#[derive(Debug, Serialize, ToSchema)]
struct JobReport {
    /// The id of the job.
    job_id: String,
    /// The name of the workflow, without its tenant and its package.
    #[serde(rename = "type")]
    kind: String,
    /// The state of the job.
    status: JobState,
    /// Completed tasks of a hundred; 100 once the job has ended.
    #[schema(minimum = 0, maximum = 100)]
    progress: u8,
    /// Where the result is, relative to the server: the context of the run. Null unless the job succeeded, in whole or in part.
    result_url: Option<String>,
    /// Why tasks failed. Null if none did.
    errors: Option<Vec<JobError>>,
    /// When the job was taken.
    #[schema(value_type = cloacina::Moment)]
    created_at: Timestamp,
    /// When the job or one of its tasks last began or ended.
    #[schema(value_type = cloacina::Moment)]
    updated_at: Timestamp,
    /// When its first task could start. Null before.
    #[schema(value_type = Option<cloacina::Moment>)]
    started_at: Option<Timestamp>,
    /// When it ended. Null before.
    #[schema(value_type = Option<cloacina::Moment>)]
    completed_at: Option<Timestamp>,
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum JobState {
    /// The run is pending.
    Queued,
    /// The run is running or paused.
    Running,
    /// The run completed.
    Success,
    /// The run failed or was cancelled.
    Failed,
    /// Only optional tasks failed.
    PartialSuccess,
}

/// Why a task failed, or the job was cancelled.
#[derive(Debug, Serialize, ToSchema)]
struct JobError {
    /// The id of the task. Null for the job as a whole.
    task: Option<String>,
    /// The number of the attempt, counted from 1. Null for the job as a whole.
    attempt: Option<u32>,
    /// The kind of the error, as the task names it; `cancelled` if the job was cancelled.
    kind: String,
    /// The error in words.
    message: String,
    /// Whether another attempt may succeed.
    retryable: bool,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(get))
}

/// Takes a job. The answer says that the job is durable.
#[utoipa::path(post, path = "/jobs", tag = "jobs", operation_id = "adapter_jobs_create", params(IdempotencyKey),
    request_body = TypedJob,
    responses(
        (status = 202, description = "The job is durable.", body = QueuedJob, headers(("location" = String))),
        Problems,
    ))]
async fn create(
    asker: Asker,
    IdempotencyKey(key): IdempotencyKey,
    Json(TypedJob { kind, payload }): Json<TypedJob>,
) -> Result<Response, Problem> {
    let input = Context::from_object(Value::Object(payload)).unwrap_or_default();
    let request = RunRequest::new(kind, input).by(&asker.actor);
    let request = key.into_iter().fold(request, RunRequest::key);
    let run = match asker.engine.scheduler().submit(request).await {
        Err(error @ Error::UnknownWorkflow { .. }) => return Err(unknown_type(&asker, error)),
        submitted => submitted?,
    };
    let job_id = job_id(run.id());
    let path = format!("/jobs/{job_id}");
    let queued = QueuedJob { job_id, status: JobState::Queued, created_at: run.status().await?.created_at };
    Ok(located(StatusCode::ACCEPTED, &path, queued))
}

/// A job.
#[utoipa::path(get, path = "/jobs/{job_id}", tag = "jobs", operation_id = "adapter_jobs_get",
    params(("job_id" = String, Path, description = "The id of the job.")),
    responses((status = 200, description = "The job.", body = JobReport), Problems))]
async fn get(asker: Asker, InPath(id): InPath<String>) -> Result<Shown<JobReport>, Problem> {
    let run = run_id(&id).ok_or(Refused::Unknown { what: "job", id })?;
    Ok(Shown(asker.engine.report(run).await?.into()))
}

/// The refusal, with the names of the types that there are.
fn unknown_type(asker: &Asker, error: Error) -> Problem {
    let known = asker.engine.workflows();
    let named = known.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let hint = match known.len() {
        0 => "there are no types: no package is registered".to_owned(),
        n_known if n_known > NAMED_MAX => format!("these are some of the {n_known} types: {named}"),
        _ => format!("these are the types: {named}"),
    };
    Problem::from(error).with_hint(hint)
}

fn job_id(run: RunId) -> String {
    format!("{ID_PREFIX}{}", run.to_string().replace('-', ""))
}

fn run_id(job_id: &str) -> Option<RunId> {
    let digits = job_id.strip_prefix(ID_PREFIX).filter(|digits| digits.len() == ID_DIGITS)?;
    digits.parse().ok()
}

impl From<RunState> for JobState {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Pending => Self::Queued,
            RunState::Running | RunState::Paused => Self::Running,
            RunState::Completed => Self::Success,
            RunState::PartiallyCompleted => Self::PartialSuccess,
            RunState::Failed | RunState::Cancelled => Self::Failed,
        }
    }
}

impl From<RunReport> for JobReport {
    fn from(report: RunReport) -> Self {
        let status = JobState::from(report.state);
        let has_result = matches!(status, JobState::Success | JobState::PartialSuccess) && report.pruned().is_none();
        let errors = errors(&report);
        let of_tasks = report.tasks.iter().flat_map(|task| [task.started_at, task.finished_at]);
        let moments = of_tasks.chain([report.started_at, report.finished_at]).flatten();
        Self {
            job_id: job_id(report.id),
            kind: short_name(&report.workflow).to_owned(),
            status,
            progress: progress(report.state, report.completed_tasks.unwrap_or_default(), report.total_tasks),
            result_url: has_result.then(|| format!("/api/v1/runs/{}/context", report.id)),
            errors: (!errors.is_empty()).then_some(errors),
            created_at: report.created_at,
            updated_at: moments.fold(report.created_at, Timestamp::max),
            started_at: report.started_at,
            completed_at: report.finished_at,
        }
    }
}

/// 100 only once the run has ended.
fn progress(state: RunState, n_completed: usize, n_tasks: usize) -> u8 {
    if state.is_terminal() {
        return 100;
    }
    let percent = n_completed.saturating_mul(100).checked_div(n_tasks).unwrap_or_default().min(99);
    u8::try_from(percent).expect("invariant: at most 99")
}

fn errors(report: &RunReport) -> Vec<JobError> {
    let cancelled = (report.state == RunState::Cancelled).then(|| JobError {
        task: None,
        attempt: None,
        kind: "cancelled".to_owned(),
        message: "the job was cancelled".to_owned(),
        retryable: false,
    });
    report.tasks.iter().filter_map(JobError::of).chain(cancelled).collect()
}

impl JobError {
    fn of(task: &TaskReport) -> Option<Self> {
        let Failure { kind, message, retryable, .. } = Failure::new(task.error.as_ref()?);
        Some(Self { task: Some(task.id.clone()), attempt: task.attempt, kind, message, retryable })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_succeeds_in_part_if_only_an_optional_task_failed() {
        let report: RunReport = serde_json::from_value(json!({
            "run": "0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e", "workflow": "public::shop::import", "tenant": "public",
            "state": "partially_completed", "completed_tasks": 1, "total_tasks": 2,
            "created_at": "2026-01-31T12:00:00Z", "started_at": "2026-01-31T12:00:01Z",
            "finished_at": "2026-01-31T12:00:05Z", "context": {}, "producers": {},
            "tasks": [{
                "id": "notify", "is_leaf": true, "state": "failed", "attempt": 2, "outcome": "failed",
                "started_at": "2026-01-31T12:00:03Z", "finished_at": "2026-01-31T12:00:04Z",
                "error": { "kind": "offline", "message": "nobody answers", "retryable": true },
                "set": {}, "unset": [], "gates": [],
            }],
        }))
        .unwrap();
        let expected = json!({
            "job_id": "job_0198a4c17c1e7d429b7e3f0c5a6b1d2e", "type": "import", "status": "PARTIAL_SUCCESS", "progress": 100,
            "result_url": "/api/v1/runs/0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e/context",
            "errors": [
                { "task": "notify", "attempt": 2, "kind": "offline", "message": "nobody answers", "retryable": true },
            ],
            "created_at": "2026-01-31T12:00:00.000000Z", "updated_at": "2026-01-31T12:00:05.000000Z",
            "started_at": "2026-01-31T12:00:01.000000Z", "completed_at": "2026-01-31T12:00:05.000000Z",
        });
        assert_eq!(serde_json::to_value(JobReport::from(report)).unwrap(), expected);
    }

    #[test]
    fn the_id_of_a_job_is_that_of_its_run_and_nothing_else_is_one() {
        let run: RunId = "0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e".parse().unwrap();
        assert_eq!(job_id(run), "job_0198a4c17c1e7d429b7e3f0c5a6b1d2e");
        assert_eq!(run_id(&job_id(run)), Some(run));
        for id in [
            "",
            "job_",
            "0198a4c17c1e7d429b7e3f0c5a6b1d2e",
            "job_0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e",
            "job_x198a4c17c1e7d429b7e3f0c5a6b1d2e",
        ] {
            assert_eq!(run_id(id), None, "{id}");
        }
    }

    #[test]
    fn progress_is_a_hundred_at_the_end_and_never_before() {
        for (state, n_completed, n_tasks, expected) in [
            (RunState::Pending, 0, 3, 0),
            (RunState::Running, 1, 3, 33),
            (RunState::Paused, 2, 3, 66),
            (RunState::Running, 3, 3, 99),
            (RunState::Completed, 3, 3, 100),
            (RunState::Failed, 1, 3, 100),
        ] {
            assert_eq!(progress(state, n_completed, n_tasks), expected, "{state}");
        }
    }
}
