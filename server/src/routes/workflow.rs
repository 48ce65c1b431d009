//! Workflows: what can be run, what it consists of, and making one as data.
//!
//! A definition goes to the engine as it was sent, because its mistakes are told with the lines in which they stand.

use axum::{
    Json as Shown,
    body::Bytes,
    extract::{FromRequest, OriginalUri, Request},
    http::{StatusCode, header},
};
use cloacina::{PackageAnswer, PackageCommand, Page, WorkflowFilter, WorkflowPlace, WorkflowRecord, WorkflowReport};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Parameters},
    listed::{Listed, cursor_of, limit, place_of},
    problem::{Problem, Problems},
    refused::Refused,
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

/// How a definition is registered.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DefineQuery {
    /// The tenant; without one, that of the caller, else `public`.
    tenant: Option<String>,
    /// Whether new runs get it at once, which is so without a word.
    activate: Option<bool>,
}

/// The definition of a workflow as data.
#[derive(Debug, ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the body, which is read as it is")]
struct JsonDefinition(Vec<u8>);

/// The definition of a workflow as data, in TOML.
#[derive(Debug, ToSchema)]
#[schema(value_type = String)]
#[expect(dead_code, reason = "describes the body, which is read as it is")]
struct TomlDefinition(Vec<u8>);

/// The text of a definition, which the engine reads.
#[derive(Debug)]
struct DefinitionText(Vec<u8>);

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, define)).routes(routes!(get))
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

/// Makes a workflow of tasks that name functions of registered packages or built-ins. It is a version like that of a package:
/// `/packages/{package}/activate`, `rollback`, `retire` and the others do the same with it.
#[utoipa::path(post, path = "/workflows", tag = "workflows", operation_id = "workflows_define", params(DefineQuery),
    request_body(content((JsonDefinition = "application/json"), (TomlDefinition = "application/toml"))),
    responses(
        (status = 200, description = "The tenant has had the same content before.", body = PackageAnswer),
        (status = 201, description = "The version is registered, durably.", body = PackageAnswer),
        Problems,
    ))]
async fn define(
    asker: Asker,
    Parameters(DefineQuery { tenant, activate }): Parameters<DefineQuery>,
    DefinitionText(text): DefinitionText,
) -> Result<(StatusCode, Shown<PackageAnswer>), Problem> {
    let command = PackageCommand::Define { tenant, activate: activate.unwrap_or(true) };
    let answer = asker.engine.perform_package(command, text, &asker.actor).await?;
    let is_new = answer.registration.as_ref().is_some_and(|registration| registration.is_new);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Shown(answer)))
}

impl FromRequest<Shared> for DefinitionText {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        let found = request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unreadable"));
        let found = found.unwrap_or("nothing").to_owned();
        match found.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json" | "application/toml" => Ok(Self(Bytes::from_request(request, app).await?.into())),
            _ => Err(Refused::MediaType { found }.into()),
        }
    }
}
