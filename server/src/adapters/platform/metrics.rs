//! The numbers of the jobs platform.

use axum::{Json as Shown, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    adapters::counts::{Counts, counts},
    app::Shared,
    asker::Asker,
    problem::{Problem, Problems},
};

pub(in crate::adapters) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// How many runs are in each state, and how many workflows and workers there are.
#[utoipa::path(get, path = "/metrics", tag = "platform", operation_id = "adapter_platform_metrics",
    responses((status = 200, description = "The numbers.", body = Counts), Problems))]
async fn metrics(State(app): State<Shared>, asker: Asker) -> Result<Shown<Counts>, Problem> {
    Ok(Shown(counts(&app, &asker).await?))
}
