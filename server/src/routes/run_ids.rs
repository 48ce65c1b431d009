//! The ids of runs for people, who write the beginning of an id that is enough.
//!
//! Which beginning is enough depends on all runs of the server, so that only the server can say.

use std::collections::HashMap;

use axum::Json as Shown;
use cloacina::{Page, RunFilter, RunId, RunSummary};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Json, Parameters},
    listed::{Listed, limit},
    problem::{Problem, Problems},
    refused::Refused,
};

/// Ids that one request may ask about.
const IDS_MAX: usize = 1_000;

/// How many runs are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NamedQuery {
    /// How many runs at most, 1 to 1,000; 50 unless said otherwise.
    limit: Option<usize>,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(named)).routes(routes!(short_ids))
}

/// The runs whose id begins so, newest first. One run means that the beginning is enough to name it.
#[utoipa::path(get, path = "/runs/named/{beginning}", tag = "runs", operation_id = "runs_named",
    params(("beginning" = String, Path, description = "The beginning of an id."), NamedQuery),
    responses((status = 200, description = "The runs.", body = [RunSummary]), Problems))]
async fn named(
    asker: Asker,
    InPath(beginning): InPath<String>,
    Parameters(query): Parameters<NamedQuery>,
) -> Result<Listed<RunSummary>, Problem> {
    let page = Page::first(limit(query.limit)?);
    let ids = RunId::range_of(&beginning).ok_or_else(|| Refused::Parameter {
        part: "path",
        reason: format!("it has {beginning:?}, and the id of a run has up to 32 hexadecimal digits"),
    })?;
    let filter = RunFilter { ids: Some(ids), ..RunFilter::default() };
    Ok(Listed::all(asker.engine.list(&filter, &page).await?.runs))
}

/// For each run the beginning of its id that is enough to name it on this server.
#[utoipa::path(post, path = "/runs/short-ids", tag = "runs", operation_id = "runs_short_ids",
    request_body(content = Vec<String>, description = "The ids of runs, at most 1,000."),
    responses((status = 200, description = "The beginning of each id, by the id; of the runs that the caller sees.", body = HashMap<String, String>), Problems))]
async fn short_ids(asker: Asker, Json(ids): Json<Vec<RunId>>) -> Result<Shown<HashMap<RunId, String>>, Problem> {
    if ids.len() > IDS_MAX {
        let reason = format!("the list has {} ids, and {IDS_MAX} are allowed", ids.len());
        return Err(Refused::Shape { reason }.into());
    }
    Ok(Shown(asker.records(move |records| records.short_ids(&ids)).await?))
}
