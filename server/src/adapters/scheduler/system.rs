//! How the server is, as the distributed scheduler told it: its health, its numbers and its configuration.

use axum::{Json as Shown, extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    adapters::counts::{Counts, counts},
    app::{Admission, Shared},
    asker::Asker,
    guard::BODY_MAX,
    problem::{Problem, Problems},
    routes::{self as native, Health},
};

/// How the server is configured, without anything secret.
#[derive(Debug, Serialize, ToSchema)]
struct ServerConfig {
    /// The version of the server.
    version: &'static str,
    /// The database: the path of the file, or the server's address without its password.
    database: String,
    /// The folder where the engine keeps what is not in the database.
    data_dir: String,
    /// Whether a caller has to prove its identity.
    requires_login: bool,
    /// Bytes that the JSON body of a request can have.
    body_bytes_max: usize,
}

pub(in crate::adapters) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(metrics)).routes(routes!(config))
}

/// How the server and everything that it needs is.
#[utoipa::path(get, path = "/system/health", tag = "scheduler", operation_id = "adapter_system_health", responses(
    (status = 200, description = "Everything can be used.", body = Health),
    (status = 503, description = "Something cannot be used.", body = Health),
))]
async fn health(app: State<Shared>) -> Response {
    native::health(app).await
}

/// How many runs are in each state, and how many workflows and workers there are.
#[utoipa::path(get, path = "/system/metrics", tag = "scheduler", operation_id = "adapter_system_metrics",
    responses((status = 200, description = "The numbers.", body = Counts), Problems))]
async fn metrics(State(app): State<Shared>, asker: Asker) -> Result<Shown<Counts>, Problem> {
    Ok(Shown(counts(&app, &asker).await?))
}

/// How the server is configured. Only the owner of the server may ask that.
#[utoipa::path(get, path = "/system/config", tag = "scheduler", operation_id = "adapter_system_config",
    responses((status = 200, description = "The configuration.", body = ServerConfig), Problems))]
async fn config(State(app): State<Shared>, asker: Asker) -> Result<Shown<ServerConfig>, Problem> {
    asker.engine.caller().check_owner().map_err(cloacina::Error::from)?;
    Ok(Shown(ServerConfig {
        version: env!("CARGO_PKG_VERSION"),
        database: app.engine.database().to_owned(),
        data_dir: app.engine.data_dir().display().to_string(),
        requires_login: !matches!(app.admission, Admission::Loopback { .. }),
        body_bytes_max: BODY_MAX,
    }))
}
