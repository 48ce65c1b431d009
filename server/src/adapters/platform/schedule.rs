//! Schedules of the jobs platform. Cloacina has none yet, so each request is checked and answered with 501.

use cloacina::{RunId, Timestamp};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::Json,
    problem::{Problem, Problems},
    refused::Refused,
};

/// When a job is to be executed: by a cron expression, or at a moment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSchedule {
    /// The id of the job.
    #[schema(value_type = String)]
    job_id: RunId,
    /// A cron expression.
    cron: Option<String>,
    /// A moment.
    #[schema(value_type = Option<cloacina::Moment>)]
    schedule_time: Option<Timestamp>,
}

pub(in crate::adapters) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(list))
}

/// Schedules do not exist yet: a request that makes sense is answered with 501.
#[utoipa::path(post, path = "/schedule", tag = "platform", operation_id = "adapter_schedules_create",
    request_body = NewSchedule,
    responses(
        (status = 501, description = "Schedules do not exist yet.", body = Problem, content_type = "application/problem+json"),
        Problems,
    ))]
async fn create(
    asker: Asker,
    Json(NewSchedule { job_id, cron, schedule_time }): Json<NewSchedule>,
) -> Result<(), Problem> {
    if cron.is_some() == schedule_time.is_some() {
        return Err(Refused::Shape { reason: "either `cron` or `schedule_time` is needed".to_owned() }.into());
    }
    asker.engine.run(job_id).await?;
    Err(not_yet().into())
}

/// Schedules do not exist yet: answered with 501.
#[utoipa::path(get, path = "/scheduled", tag = "platform", operation_id = "adapter_schedules_list",
    responses(
        (status = 501, description = "Schedules do not exist yet.", body = Problem, content_type = "application/problem+json"),
        Problems,
    ))]
async fn list(_: Asker) -> Problem {
    not_yet().into()
}

fn not_yet() -> Refused {
    Refused::NotYet {
        what: "jobs cannot be scheduled yet",
        instead: "POST /api/v1/runs with `at` makes a run that begins at a moment; POST /api/v1/execute starts a job now",
    }
}
