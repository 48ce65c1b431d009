//! Workers of the jobs platform.

use axum::{Json as Shown, extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    adapters::workers::{NewWorker, Worker, WorkerStatus},
    app::Shared,
    asker::Asker,
    body::{InPath, Json},
    listed::Listed,
    problem::{Problem, Problems},
};

pub(in crate::adapters) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, register))
        .routes(routes!(get, remove))
        .routes(routes!(status))
        .routes(routes!(beat))
}

/// The workers: the embedded one, which runs all tasks, and those that registered themselves.
#[utoipa::path(get, path = "/workers", tag = "platform", operation_id = "adapter_platform_workers_list",
    responses((status = 200, description = "The workers.", body = [Worker]), Problems))]
async fn list(State(app): State<Shared>, asker: Asker) -> Listed<Worker> {
    Listed::all(app.workers.list(asker.engine.caller()))
}

/// Registers a worker. The server keeps it in memory, and gives it no tasks.
#[utoipa::path(post, path = "/workers", tag = "platform", operation_id = "adapter_platform_workers_register",
    request_body = NewWorker,
    responses((status = 201, description = "The worker.", body = Worker), Problems))]
async fn register(
    State(app): State<Shared>,
    asker: Asker,
    Json(new): Json<NewWorker>,
) -> Result<(StatusCode, Shown<Worker>), Problem> {
    Ok((StatusCode::CREATED, Shown(app.workers.register(asker.engine.caller(), new)?)))
}

/// A worker.
#[utoipa::path(get, path = "/workers/{id}", tag = "platform", operation_id = "adapter_platform_workers_get",
    params(("id" = String, Path, description = "The id of the worker.")),
    responses((status = 200, description = "The worker.", body = Worker), Problems))]
async fn get(State(app): State<Shared>, asker: Asker, InPath(id): InPath<String>) -> Result<Shown<Worker>, Problem> {
    Ok(Shown(app.workers.get(asker.engine.caller(), &id)?))
}

/// The status of a worker.
#[utoipa::path(get, path = "/workers/{id}/status", tag = "platform", operation_id = "adapter_platform_workers_status",
    params(("id" = String, Path, description = "The id of the worker.")),
    responses((status = 200, description = "The status.", body = WorkerStatus), Problems))]
async fn status(
    State(app): State<Shared>,
    asker: Asker,
    InPath(id): InPath<String>,
) -> Result<Shown<WorkerStatus>, Problem> {
    Ok(Shown(app.workers.get(asker.engine.caller(), &id)?.status()))
}

/// Says that a worker lives.
#[utoipa::path(post, path = "/workers/{id}/heartbeat", tag = "platform", operation_id = "adapter_platform_workers_beat",
    params(("id" = String, Path, description = "The id of the worker.")),
    responses((status = 200, description = "The status that the worker has now.", body = WorkerStatus), Problems))]
async fn beat(
    State(app): State<Shared>,
    asker: Asker,
    InPath(id): InPath<String>,
) -> Result<Shown<WorkerStatus>, Problem> {
    Ok(Shown(app.workers.beat(asker.engine.caller(), &id)?.status()))
}

/// Removes a worker that was registered.
#[utoipa::path(delete, path = "/workers/{id}", tag = "platform", operation_id = "adapter_platform_workers_remove",
    params(("id" = String, Path, description = "The id of the worker.")),
    responses((status = 200, description = "The worker, which is stopped.", body = Worker), Problems))]
async fn remove(State(app): State<Shared>, asker: Asker, InPath(id): InPath<String>) -> Result<Shown<Worker>, Problem> {
    Ok(Shown(app.workers.remove(asker.engine.caller(), &id)?))
}
