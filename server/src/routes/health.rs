//! Whether the server lives, and whether what it needs can be used.
//!
//! These routes need no caller: programs that restart the server or send requests to it ask them all the time.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cloacina::{Clock, Page, RunFilter, SystemClock};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::Shared;

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The status of what can be used.
const OK: &str = "ok";

/// The status of what cannot be used.
const UNAVAILABLE: &str = "unavailable";

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or `unavailable` if something that the server needs cannot be used.
    status: &'static str,
    /// The version of the server.
    version: &'static str,
    /// What the server needs.
    checks: Vec<Check>,
}

/// How something is that the server needs.
#[derive(Debug, Serialize, ToSchema)]
struct Check {
    /// What it is.
    name: &'static str,
    /// `ok` or `unavailable`.
    status: &'static str,
    /// How long the check took, in milliseconds.
    ms: f64,
    /// Why it cannot be used. Absent if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(live)).routes(routes!(ready))
}

/// How the server and everything that it needs is.
#[utoipa::path(get, path = "/health", tag = "health", operation_id = "health", responses(
    (status = 200, description = "Everything can be used.", body = Health),
    (status = 503, description = "Something cannot be used.", body = Health),
))]
pub(crate) async fn health(State(app): State<Shared>) -> Response {
    shown(database(&app).await)
}

fn shown(check: Check) -> Response {
    let status = check.status;
    let code = if status == OK { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Health { status, version: env!("CARGO_PKG_VERSION"), checks: vec![check] })).into_response()
}

/// Whether the process lives: restart it if this is not answered.
#[utoipa::path(get, path = "/live", tag = "health", operation_id = "live", responses(
    (status = 204, description = "It lives."),
))]
async fn live() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Whether requests can be sent here: the database answers, and the server is not about to end.
#[utoipa::path(get, path = "/ready", tag = "health", operation_id = "ready", responses(
    (status = 204, description = "Send requests."),
    (status = 503, description = "Send none for now.", body = Health),
))]
async fn ready(State(app): State<Shared>) -> Response {
    let is_stopping = *app.stopping.borrow();
    let check = match is_stopping {
        true => Check { name: "server", status: UNAVAILABLE, ms: 0.0, reason: Some("the server ends".to_owned()) },
        false => database(&app).await,
    };
    if check.status == OK { StatusCode::NO_CONTENT.into_response() } else { shown(check) }
}

async fn database(app: &Shared) -> Check {
    let clock = SystemClock;
    let began = clock.now();
    let engine = app.engine.on_behalf_of(cloacina::Caller::owner());
    let (filter, page) = (RunFilter::default(), Page::first(1));
    let reason = match tokio::time::timeout(PATIENCE, engine.list(&filter, &page)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            tracing::warn!(code = error.code(), %error, "the database cannot be used");
            // Everybody may ask this, and the error names the database.
            Some(format!("the request failed with {}; the log of the server has the rest", error.code()))
        }
        Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let status = if reason.is_none() { OK } else { UNAVAILABLE };
    let micros = clock.now().unix_micros().saturating_sub(began.unix_micros());
    Check { name: "database", status, ms: Duration::from_micros(micros).as_secs_f64() * 1e3, reason }
}
