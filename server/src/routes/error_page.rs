//! The pages of error codes, to which problems refer.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    body::InPath,
    problem::{Problem, Problems},
    refused::Refused,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(page))
}

/// The page of an error code: its cause, what to check and what to do.
#[utoipa::path(get, path = "/errors/{code}", tag = "errors", operation_id = "errors_get",
    params(("code" = String, Path, description = "The code, such as `RUN0004`.")),
    responses((status = 200, description = "The page.", body = String, content_type = "text/markdown"), Problems))]
async fn page(State(app): State<Shared>, InPath(code): InPath<String>) -> Result<Response, Problem> {
    let found = app.pages.iter().find(|(known, _)| known.eq_ignore_ascii_case(&code));
    let (_, page) = found.ok_or_else(|| Refused::NoPath { path: format!("/errors/{code}") })?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], *page).into_response())
}
