//! Workflows: what can be run.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::Shared, asker::Asker, listed::Listed, problem::Problems};

/// A workflow that new runs can be made of.
#[derive(Debug, Serialize, ToSchema)]
struct Runnable {
    /// The full name: `tenant::package::workflow`, or the bare name of one that is compiled in.
    name: String,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The workflows that new runs can be made of, by name.
#[utoipa::path(get, path = "/workflows", tag = "workflows", operation_id = "workflows_list", responses(
    (status = 200, description = "The workflows.", body = [Runnable]),
    Problems,
))]
async fn list(asker: Asker) -> Listed<Runnable> {
    Listed::all(asker.engine.workflows().into_iter().map(|name| Runnable { name }).collect())
}
