//! Pipelines of the jobs platform: each is a workflow.
//!
//! The id of a pipeline is the full name of its workflow. One that is created with a number of tasks is a built-in workflow, whose
//! tasks do nothing; one with a list of tasks is a workflow as data. The database keeps both, with their descriptions.

use axum::{
    Json as Shown,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cloacina::{PackageCommand, Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    adapters::startable::{self, Startable},
    app::Shared,
    asker::Asker,
    body::{InPath, Json},
    listed::Listed,
    problem::{Problem, Problems},
    refused::Refused,
};

/// Tasks of a pipeline whose request does not say how many.
const TASKS_DEFAULT: usize = 1;

/// A pipeline to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPipeline {
    /// The name of the workflow.
    name: String,
    /// What it is for. A pipeline keeps the description that it was created with.
    description: Option<String>,
    /// How many tasks it has, which do nothing; one, unless said otherwise. Or the tasks, as the definition of a workflow has
    /// them, for which the caller must be an admin.
    tasks: Option<Value>,
}

/// A pipeline.
#[derive(Debug, Serialize, ToSchema)]
struct Pipeline {
    /// The full name of the workflow: `tenant::package::workflow`.
    id: String,
    /// The name of the workflow, without its tenant and its package.
    name: String,
    /// What it is for. Null if its author does not say.
    description: Option<String>,
    /// `active`: jobs can be made of it.
    status: &'static str,
    /// When the database first knew the workflow.
    #[schema(value_type = cloacina::Moment)]
    created_at: Timestamp,
}

pub(in crate::adapters) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get))
}

/// The pipelines, by id.
#[utoipa::path(get, path = "/pipelines", tag = "platform", operation_id = "adapter_pipelines_list",
    responses((status = 200, description = "The pipelines.", body = [Pipeline]), Problems))]
async fn list(asker: Asker) -> Result<Listed<Pipeline>, Problem> {
    let startable = startable::list(&asker).await?;
    Ok(Listed::all(startable.into_iter().map(Pipeline::from).collect()))
}

/// Creates a pipeline: of tasks that do nothing, or of the tasks that are listed.
#[utoipa::path(post, path = "/pipelines", tag = "platform", operation_id = "adapter_pipelines_create",
    request_body = NewPipeline,
    responses(
        (status = 200, description = "The pipeline was there before, with the description that it has.", body = Pipeline),
        (status = 201, description = "The pipeline is created, durably.", body = Pipeline),
        Problems,
    ))]
async fn create(
    asker: Asker,
    Json(NewPipeline { name, description, tasks }): Json<NewPipeline>,
) -> Result<Response, Problem> {
    let (id, is_new) = match tasks {
        Some(Value::Array(tasks)) => define(&asker, &name, description.as_deref(), tasks).await?,
        tasks => {
            let n_tasks = n_tasks(tasks.as_ref())?;
            let known = asker.engine.workflows();
            let id = asker.engine.built_in(&name, n_tasks, description.as_deref()).await?;
            let is_new = !known.contains(&id);
            (id, is_new)
        }
    };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let pipeline = Pipeline::from(startable::get(&asker, &id).await?);
    Ok((status, Shown(pipeline)).into_response())
}

/// A pipeline.
#[utoipa::path(get, path = "/pipelines/{id}", tag = "platform", operation_id = "adapter_pipelines_get",
    params(("id" = String, Path, description = "The id of the pipeline.")),
    responses((status = 200, description = "The pipeline.", body = Pipeline), Problems))]
async fn get(asker: Asker, InPath(id): InPath<String>) -> Result<Shown<Pipeline>, Problem> {
    Ok(Shown(startable::get(&asker, &id).await?.into()))
}

/// Makes a workflow of these tasks; returns its full name, and whether the tenant did not have the same content before.
async fn define(
    asker: &Asker,
    name: &str,
    description: Option<&str>,
    tasks: Vec<Value>,
) -> Result<(String, bool), Problem> {
    let definition = match description {
        Some(description) => json!({ "name": name, "description": description, "tasks": tasks }),
        None => json!({ "name": name, "tasks": tasks }),
    };
    let command = PackageCommand::Define { tenant: None, activate: true };
    let answer = asker.engine.perform_package(command, definition.to_string().into_bytes(), &asker.actor).await?;
    let id = answer.package.workflows.into_iter().next();
    let id = id.expect("invariant: a definition makes one workflow");
    Ok((id, answer.registration.is_some_and(|registration| registration.is_new)))
}

fn n_tasks(tasks: Option<&Value>) -> Result<usize, Refused> {
    match tasks {
        None | Some(Value::Null) => Ok(TASKS_DEFAULT),
        Some(other) => {
            let number = other.as_u64().and_then(|number| usize::try_from(number).ok());
            number.ok_or_else(|| Refused::Shape { reason: "`tasks` must be a whole number or a list".to_owned() })
        }
    }
}

impl From<Startable> for Pipeline {
    fn from(startable: Startable) -> Self {
        let name = startable.short_name().to_owned();
        let Startable { version, known_since } = startable;
        Self { id: version.name, name, description: version.description, status: "active", created_at: known_since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tasks_of_a_pipeline_are_a_number_unless_they_are_a_list() {
        let code = |tasks: &Value| n_tasks(Some(tasks)).map_err(|refused| refused.code());
        assert_eq!(n_tasks(None).unwrap(), 1);
        assert_eq!(code(&Value::Null), Ok(1));
        assert_eq!(code(&json!(7)), Ok(7));
        for other in [json!("7"), json!(-1), json!(1.5), json!({}), json!(true)] {
            assert_eq!(code(&other), Err("SRV0002"), "{other}");
        }
    }
}
