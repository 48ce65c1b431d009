//! Pipelines of the jobs platform: each is a workflow.
//!
//! The id of a pipeline is the full name of its workflow. One that is created here is a built-in workflow, whose tasks do
//! nothing; the database keeps it, with its description.

use axum::{
    Json as Shown,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cloacina::{Timestamp, Value};
use serde::{Deserialize, Serialize};
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
    /// How many tasks it has, which do nothing; one, unless said otherwise. A list of tasks is answered with 501.
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

/// Creates a pipeline of tasks that do nothing.
#[utoipa::path(post, path = "/pipelines", tag = "platform", operation_id = "adapter_pipelines_create",
    request_body = NewPipeline,
    responses(
        (status = 200, description = "The pipeline was there before, with the description that it has.", body = Pipeline),
        (status = 201, description = "The pipeline is created, durably.", body = Pipeline),
        (status = 501, description = "The tasks are a list.", body = Problem, content_type = "application/problem+json"),
        Problems,
    ))]
async fn create(
    asker: Asker,
    Json(NewPipeline { name, description, tasks }): Json<NewPipeline>,
) -> Result<Response, Problem> {
    let n_tasks = n_tasks(tasks.as_ref())?;
    let known = asker.engine.workflows();
    let id = asker.engine.built_in(&name, n_tasks, description.as_deref()).await?;
    let status = if known.contains(&id) { StatusCode::OK } else { StatusCode::CREATED };
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

fn n_tasks(tasks: Option<&Value>) -> Result<usize, Refused> {
    match tasks {
        None | Some(Value::Null) => Ok(TASKS_DEFAULT),
        Some(Value::Array(_)) => Err(Refused::NotYet {
            what: "a pipeline cannot be made of a list of tasks yet",
            instead: "say how many tasks it has, or register a package whose tasks do the work",
        }),
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
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tasks_of_a_pipeline_are_a_number_and_a_list_is_for_later() {
        let code = |tasks: &Value| n_tasks(Some(tasks)).map_err(|refused| refused.code());
        assert_eq!(n_tasks(None).unwrap(), 1);
        assert_eq!(code(&Value::Null), Ok(1));
        assert_eq!(code(&json!(7)), Ok(7));
        for list in [json!([]), json!([{"id": "extract"}])] {
            assert_eq!(code(&list), Err("SRV0030"));
        }
        for other in [json!("7"), json!(-1), json!(1.5), json!({}), json!(true)] {
            assert_eq!(code(&other), Err("SRV0002"), "{other}");
        }
    }
}
