//! Runs: submitting, listing, looking at and deleting them.
//!
//! A submission is answered when it is durable. Lists hold runs in brief and never their values.

use axum::{
    Json as Shown,
    extract::OriginalUri,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cloacina::{Command, Context, RunFilter, RunId, RunReport, RunRequest, RunState, RunSummary, Timestamp, Value};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::Map;
use std::fmt;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr, Schema,
        schema::{ArrayBuilder, OneOfBuilder},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{IDEMPOTENCY_KEY, IdempotencyKey, InPath, Json, Parameters},
    listed::{Listed, page},
    located::located,
    problem::{Problem, Problems},
    refused::Refused,
};

/// Runs that one request may submit.
const SUBMITTED_MAX: usize = 1_000;

/// A run to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRun {
    /// The workflow: `workflow`, `package::workflow` or `tenant::package::workflow`.
    workflow: String,
    /// The input, which the tasks see as their context.
    #[serde(default)]
    #[schema(value_type = Object)]
    input: Map<String, Value>,
    /// The keys of the input whose values are secret: they are left out of logs, errors and reports of the run.
    #[serde(default)]
    secrets: Vec<String>,
    /// Wait until somebody starts the run, instead of beginning at once.
    #[serde(default)]
    held: bool,
    /// When the run begins by itself, instead of at once.
    #[schema(value_type = Option<cloacina::Moment>)]
    at: Option<Timestamp>,
    /// The version of the package, or the first digits of its digest after `sha256:`. Without one, what new runs get.
    version: Option<String>,
    /// The submission key: the same workflow submitted again with the same key is the same run.
    key: Option<String>,
}

/// One run, or a list of runs.
#[derive(Debug)]
enum Submission {
    One(NewRun),
    Many(Vec<NewRun>),
}

impl PartialSchema for Submission {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(NewRun::name());
        let many = ArrayBuilder::new().items(one.clone()).build();
        OneOfBuilder::new().description(Some("One run, or a list of runs.")).item(one).item(many).into()
    }
}

impl ToSchema for Submission {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((NewRun::name().into_owned(), NewRun::schema()));
        NewRun::schemas(schemas);
    }
}

/// By hand, so that a mistake is told as that of the one or of the list, whichever was sent.
impl<'de> Deserialize<'de> for Submission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Submission;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a run or a list of runs")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Submission, A::Error> {
        NewRun::deserialize(MapAccessDeserializer::new(map)).map(Submission::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Submission, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Submission::Many)
    }
}

/// A run that was submitted. It is durable.
#[derive(Debug, Serialize, ToSchema)]
struct Submitted {
    /// The id of the run.
    #[schema(value_type = String)]
    run: RunId,
    /// Where the run is, relative to the server.
    url: String,
}

impl Submitted {
    fn new(run: RunId) -> Self {
        Self { run, url: format!("{}/runs/{run}", super::all::BASE) }
    }
}

/// What became of one run of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum OneOfMany {
    /// It was submitted.
    Submitted(Submitted),
    /// It was refused.
    Refused {
        /// Why.
        problem: Problem,
    },
}

/// Which runs are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only runs in one of these states, with commas between them: `pending`, `running`, `paused`, `completed`,
    /// `partially_completed`, `failed`, `cancelled`.
    state: Option<String>,
    /// Only runs of workflows that this name fits.
    workflow: Option<String>,
    /// Only runs of this tenant.
    tenant: Option<String>,
    /// Only runs that were submitted at this moment or later.
    #[param(value_type = Option<cloacina::Moment>)]
    created_from: Option<Timestamp>,
    /// Only runs that were submitted before this moment.
    #[param(value_type = Option<cloacina::Moment>)]
    created_before: Option<Timestamp>,
    /// Leave out failed runs that somebody dismissed.
    #[serde(default)]
    not_dismissed: bool,
    /// How many runs at most, 1 to 1,000; 50 unless said otherwise.
    limit: Option<usize>,
    /// Where the page begins, as the header `link` of the page before says.
    cursor: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, submit)).routes(routes!(get, delete)).routes(routes!(dead_letters))
}

/// Submits a run, or a list of runs.
///
/// The answer says that the run is durable: it ends, whatever becomes of the server. Of a list each run has its own outcome.
#[utoipa::path(post, path = "/runs", tag = "runs", operation_id = "runs_submit",
    params(IdempotencyKey), request_body = Submission,
    responses(
        (status = 202, description = "The run is durable.", body = Submitted, headers(("location" = String))),
        (status = 207, description = "Of a list: what became of each run, in order.", body = [OneOfMany]),
        Problems,
    ))]
async fn submit(
    asker: Asker,
    IdempotencyKey(key): IdempotencyKey,
    Json(submission): Json<Submission>,
) -> Result<Response, Problem> {
    match submission {
        Submission::One(new) => {
            let request = request(&asker, new, key)?;
            let submitted = Submitted::new(asker.engine.scheduler().submit(request).await?.id());
            Ok(located(StatusCode::ACCEPTED, &submitted.url, &submitted))
        }
        Submission::Many(_) if key.is_some() => {
            Err(Refused::Header { name: IDEMPOTENCY_KEY, reason: "each run of a list has its own `key`" }.into())
        }
        Submission::Many(list) if list.len() > SUBMITTED_MAX => {
            Err(Refused::Shape { reason: format!("the list has {} runs, and {SUBMITTED_MAX} are allowed", list.len()) }
                .into())
        }
        Submission::Many(list) => Ok((StatusCode::MULTI_STATUS, Shown(many(&asker, list).await)).into_response()),
    }
}

/// Submits a list as one; what became of each run, in order.
async fn many(asker: &Asker, list: Vec<NewRun>) -> Vec<OneOfMany> {
    let mut requests = Vec::with_capacity(list.len());
    let checked = list.into_iter().map(|new| request(asker, new, None).map(|request| requests.push(request)));
    let checked: Vec<Result<(), Problem>> = checked.collect();
    let mut submitted = asker.engine.scheduler().submit_many(requests).await.into_iter();
    let outcomes = checked.into_iter().filter_map(|one| match one {
        Err(problem) => Some(OneOfMany::Refused { problem }),
        // One outcome for each request, in their order.
        Ok(()) => submitted.next().map(|outcome| match outcome {
            Ok(run) => OneOfMany::Submitted(Submitted::new(run.id())),
            Err(error) => OneOfMany::Refused { problem: error.into() },
        }),
    });
    outcomes.collect()
}

fn request(asker: &Asker, new: NewRun, header_key: Option<String>) -> Result<RunRequest, Problem> {
    let NewRun { workflow, input, secrets, held, at, version, key } = new;
    if held && at.is_some() {
        return Err(
            Refused::Shape { reason: "a run is `held`, or begins `at` a moment, and not both".to_owned() }.into()
        );
    }
    let mut hidden = Vec::with_capacity(secrets.len());
    for name in secrets {
        let Some(value) = input.get(&name).cloned() else {
            let reason = format!("`secrets` names {name:?}, which is not a key of the input");
            return Err(Refused::Shape { reason }.into());
        };
        hidden.push((name, value));
    }
    let input = Context::from_object(Value::Object(input)).unwrap_or_default();
    let request = RunRequest::new(workflow, input).by(&asker.actor);
    let request = hidden.into_iter().fold(request, |request, (name, value)| request.secret(&name, value));
    let request = if held { request.held() } else { request };
    let request = at.into_iter().fold(request, RunRequest::at);
    let request = version.into_iter().fold(request, RunRequest::version);
    Ok(key.or(header_key).into_iter().fold(request, RunRequest::key))
}

/// Runs, newest first.
#[utoipa::path(get, path = "/runs", tag = "runs", operation_id = "runs_list", params(ListQuery), responses(
    (status = 200, description = "A page of runs.", body = [RunSummary],
        headers(("link" = String, description = "The address of the next page, if there is one, as `<…>; rel=\"next\"`."))),
    Problems,
))]
async fn list(
    asker: Asker,
    OriginalUri(uri): OriginalUri,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Listed<RunSummary>, Problem> {
    let page = page(query.limit, query.cursor.as_deref())?;
    let found = asker.engine.list(&query.filter()?, &page).await?;
    Ok(Listed::page(found.runs, &uri, found.next.map(|run| run.to_string())))
}

impl ListQuery {
    fn filter(&self) -> Result<RunFilter, Refused> {
        let states = self.state.as_deref().map_or_else(|| Ok(Vec::new()), states)?;
        Ok(RunFilter {
            states,
            workflow: self.workflow.clone(),
            tenant: self.tenant.clone(),
            created_from: self.created_from,
            created_before: self.created_before,
            not_dismissed: self.not_dismissed,
            ..RunFilter::default()
        })
    }
}

fn states(text: &str) -> Result<Vec<RunState>, Refused> {
    let known = || RunState::ALL.map(RunState::as_str).join(", ");
    let state = |name: &str| {
        let parsed = name.trim().parse();
        parsed.map_err(|_| Refused::Parameter {
            part: "query",
            reason: format!("state is {name:?}, and it can be {}", known()),
        })
    };
    text.split(',').map(state).collect()
}

/// A run and all its tasks.
#[utoipa::path(get, path = "/runs/{run}", tag = "runs", operation_id = "runs_get",
    params(("run" = String, Path, description = "The id of the run.")),
    responses((status = 200, description = "The run.", body = RunReport), Problems))]
async fn get(asker: Asker, InPath(run): InPath<RunId>) -> Result<Shown<RunReport>, Problem> {
    Ok(Shown(asker.engine.report(run).await?))
}

/// Deletes a run that has ended, with its history and its logs.
#[utoipa::path(delete, path = "/runs/{run}", tag = "runs", operation_id = "runs_delete",
    params(("run" = String, Path, description = "The id of the run.")),
    responses((status = 204, description = "The run is gone."), Problems))]
async fn delete(asker: Asker, InPath(run): InPath<RunId>) -> Result<StatusCode, Problem> {
    asker.engine.perform(Command::Delete { run }, &asker.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Failed runs that nobody dismissed, newest first.
#[utoipa::path(get, path = "/dead-letters", tag = "runs", operation_id = "dead_letters_list", params(ListQuery), responses(
    (status = 200, description = "A page of runs.", body = [RunSummary],
        headers(("link" = String, description = "The address of the next page, if there is one, as `<…>; rel=\"next\"`."))),
    Problems,
))]
async fn dead_letters(
    asker: Asker,
    uri: OriginalUri,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Listed<RunSummary>, Problem> {
    let dead = ListQuery { state: Some(RunState::Failed.as_str().to_owned()), not_dismissed: true, ..query };
    list(asker, uri, Parameters(dead)).await
}
