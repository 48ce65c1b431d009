//! Workflows: what can be run, and what it consists of.

use axum::{Json as Shown, extract::OriginalUri};
use cloacina::{Page, WorkflowFilter, WorkflowPlace, WorkflowRecord, WorkflowReport};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Parameters},
    listed::{Listed, cursor_of, limit, place_of},
    problem::{Problem, Problems},
};

/// Which versions are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only workflows of this tenant.
    tenant: Option<String>,
    /// Only workflows of the package of this name.
    package: Option<String>,
    /// Only workflows that this name fits: `workflow`, `package::workflow` or `tenant::package::workflow`.
    name: Option<String>,
    /// Every version, including those that new runs do not get.
    #[serde(default)]
    all: bool,
    /// How many versions at most, 1 to 1,000; 50 unless said otherwise.
    limit: Option<usize>,
    /// Where the page begins, as the header `link` of the page before says.
    cursor: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// The workflows, by tenant, package and name; of one workflow the newest version in front.
#[utoipa::path(get, path = "/workflows", tag = "workflows", operation_id = "workflows_list", params(ListQuery), responses(
    (status = 200, description = "A page of versions.", body = [WorkflowRecord],
        headers(("link" = String, description = "The address of the next page, if there is one, as `<…>; rel=\"next\"`."))),
    Problems,
))]
async fn list(
    asker: Asker,
    OriginalUri(uri): OriginalUri,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Listed<WorkflowRecord>, Problem> {
    let ListQuery { tenant, package, name, all, limit: asked, cursor } = query;
    let filter = WorkflowFilter { tenant, package, name, current: !all };
    let after = cursor.as_deref().map(place_of::<WorkflowPlace>).transpose()?;
    let found = asker.engine.list_workflows(&filter, &Page { limit: limit(asked)?, after }).await?;
    Ok(Listed::page(found.workflows, &uri, found.next.as_ref().map(cursor_of)))
}

/// A workflow: the version that new runs get, with its tasks.
#[utoipa::path(get, path = "/workflows/{workflow}", tag = "workflows", operation_id = "workflows_get",
    params(("workflow" = String, Path,
        description = "`workflow`, `package::workflow` or `tenant::package::workflow`.")),
    responses((status = 200, description = "The workflow.", body = WorkflowReport), Problems))]
async fn get(asker: Asker, InPath(workflow): InPath<String>) -> Result<Shown<WorkflowReport>, Problem> {
    Ok(Shown(asker.engine.workflow(&workflow).await?))
}
