//! What can be asked of a run: the verbs of the command line.
//!
//! Each verb is a [`Command`] of the engine, as it is for the socket. The answer is the run as it is then.

use axum::Json as Shown;
use cloacina::{Command, Request, RunFilter, RunId, RunReport, RunState, Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Json, MaybeJson},
    problem::{Problem, Problems},
};

/// What is asked of a run without saying more.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Verb {
    /// Let a run begin that was created without.
    Start,
    /// Let it begin or go on, whichever it needs.
    Execute,
    /// Let nothing new start.
    Pause,
    /// Go on after a pause.
    Resume,
    /// End it.
    Cancel,
    /// Do not wait for the next attempts.
    Retry,
    /// Take it off the list of dead letters.
    Dismiss,
}

/// How a run is run again, as a new run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Again {
    /// Only what did not complete; the new run takes over the rest.
    #[serde(default)]
    failed: bool,
    /// Another input.
    #[schema(value_type = Option<Object>)]
    input: Option<Map<String, Value>>,
    /// Another version of the package.
    version: Option<String>,
}

/// From where a run is run again, as a new run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Forked {
    /// The task from which on everything runs again.
    task: String,
    /// Another input.
    #[schema(value_type = Option<Object>)]
    input: Option<Map<String, Value>>,
    /// Another version of the package.
    version: Option<String>,
}

/// What is asked of a task.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TaskVerb {
    /// Do not wait for the next attempt.
    Retry,
    /// Run the task, and nothing else of a run that is paused.
    Run,
}

/// What is asked of many runs.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BulkVerb {
    /// Let runs begin that were created without.
    Start,
    /// Let nothing new start.
    Pause,
    /// Go on after a pause.
    Resume,
    /// End them.
    Cancel,
    /// Do not wait for the next attempts.
    Retry,
    /// Run what failed again, as new runs.
    Rerun,
    /// Take them off the list of dead letters.
    Dismiss,
    /// Remove runs that have ended.
    Delete,
}

/// The same for many runs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Bulk {
    /// What is asked of each run.
    action: BulkVerb,
    /// Which runs: as for a list, without its limit and cursor. An empty filter chooses every run.
    filter: BulkFilter,
    /// Only say which runs would be asked.
    #[serde(default)]
    dry_run: bool,
}

/// Which runs; an absent part excludes none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkFilter {
    /// Only runs in one of these states.
    #[serde(default)]
    states: Vec<RunState>,
    /// Only runs of workflows that this name fits.
    workflow: Option<String>,
    /// Only runs of this tenant.
    tenant: Option<String>,
    /// Only runs that were submitted at this moment or later.
    #[schema(value_type = Option<cloacina::Moment>)]
    created_from: Option<Timestamp>,
    /// Only runs that were submitted before this moment.
    #[schema(value_type = Option<cloacina::Moment>)]
    created_before: Option<Timestamp>,
}

/// What became of one run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkOutcome {
    /// The id of the run.
    #[schema(value_type = String)]
    run: RunId,
    /// What became of it.
    outcome: BulkDone,
    /// Why it was refused. Absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// What became of one run of many.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BulkDone {
    /// It is done, durably.
    Done,
    /// It would be asked, if this was not a dry run.
    WouldBeAsked,
    /// The run refused.
    Refused,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(control))
        .routes(routes!(rerun))
        .routes(routes!(fork))
        .routes(routes!(control_task))
        .routes(routes!(bulk))
}

/// Asks something of a run. The answer is the run as it is then; what was asked is durable.
#[utoipa::path(post, path = "/runs/{run}/{verb}", tag = "runs", operation_id = "runs_control",
    params(("run" = String, Path, description = "The id of the run."), ("verb" = inline(Verb), Path, description = "What is asked.")),
    responses((status = 200, description = "The run.", body = RunReport), Problems))]
async fn control(asker: Asker, InPath((run, verb)): InPath<(RunId, Verb)>) -> Result<Shown<RunReport>, Problem> {
    let command = match verb {
        Verb::Start => Command::Start { run },
        Verb::Execute => Command::Execute { run },
        Verb::Pause => Command::Pause { run },
        Verb::Resume => Command::Resume { run },
        Verb::Cancel => Command::Cancel { run },
        Verb::Retry => Command::Retry { run, task: None },
        Verb::Dismiss => Command::Dismiss { run },
    };
    perform(&asker, command).await
}

/// Runs a run again, as a new run, which is the answer.
#[utoipa::path(post, path = "/runs/{run}/rerun", tag = "runs", operation_id = "runs_rerun",
    params(("run" = String, Path, description = "The id of the run.")),
    request_body = Option<Again>,
    responses((status = 200, description = "The new run.", body = RunReport), Problems))]
async fn rerun(
    asker: Asker,
    InPath(run): InPath<RunId>,
    MaybeJson(again): MaybeJson<Again>,
) -> Result<Shown<RunReport>, Problem> {
    let Again { failed, input, version } = again.unwrap_or_default();
    perform(&asker, Command::Rerun { run, failed, input, version }).await
}

/// Runs a run again from one task on, as a new run, which is the answer.
#[utoipa::path(post, path = "/runs/{run}/fork", tag = "runs", operation_id = "runs_fork",
    params(("run" = String, Path, description = "The id of the run.")),
    request_body = Forked,
    responses((status = 200, description = "The new run.", body = RunReport), Problems))]
async fn fork(
    asker: Asker,
    InPath(run): InPath<RunId>,
    Json(Forked { task, input, version }): Json<Forked>,
) -> Result<Shown<RunReport>, Problem> {
    perform(&asker, Command::Fork { run, from: task, input, version }).await
}

/// Asks something of one task of a run.
#[utoipa::path(post, path = "/runs/{run}/tasks/{task}/{verb}", tag = "runs", operation_id = "runs_control_task",
    params(
        ("run" = String, Path, description = "The id of the run."),
        ("task" = String, Path, description = "The id of the task."),
        ("verb" = inline(TaskVerb), Path, description = "What is asked."),
    ),
    responses((status = 200, description = "The run.", body = RunReport), Problems))]
async fn control_task(
    asker: Asker,
    InPath((run, task, verb)): InPath<(RunId, String, TaskVerb)>,
) -> Result<Shown<RunReport>, Problem> {
    let command = match verb {
        TaskVerb::Retry => Command::Retry { run, task: Some(task) },
        TaskVerb::Run => Command::RunTask { run, task },
    };
    perform(&asker, command).await
}

/// Asks the same of all runs that a filter chooses. Each run answers for itself.
#[utoipa::path(post, path = "/runs/bulk", tag = "runs", operation_id = "runs_bulk", request_body = Bulk,
    responses((status = 200, description = "What became of each run, newest first.", body = [BulkOutcome]), Problems))]
async fn bulk(
    asker: Asker,
    Json(Bulk { action, filter, dry_run }): Json<Bulk>,
) -> Result<Shown<Vec<BulkOutcome>>, Problem> {
    let filter = filter.filter();
    if dry_run {
        let chosen = asker.engine.select(&filter).await?.into_iter();
        let outcome = BulkDone::WouldBeAsked;
        return Ok(Shown(chosen.map(|run| BulkOutcome { run: run.id, outcome, problem: None }).collect()));
    }
    Ok(Shown(ask_all(&asker, &filter, action.request()).await?))
}

/// Asks the same of all runs that the filter chooses.
pub(crate) async fn ask_all(asker: &Asker, filter: &RunFilter, request: Request) -> Result<Vec<BulkOutcome>, Problem> {
    let answers = asker.engine.control_all(filter, request, &asker.actor).await?.into_iter();
    let outcomes = answers.map(|(run, answer)| match answer {
        Ok(()) => BulkOutcome { run, outcome: BulkDone::Done, problem: None },
        Err(error) => BulkOutcome { run, outcome: BulkDone::Refused, problem: Some(error.into()) },
    });
    Ok(outcomes.collect())
}

impl BulkVerb {
    fn request(self) -> Request {
        match self {
            Self::Start => Request::Start,
            Self::Pause => Request::Pause,
            Self::Resume => Request::Resume,
            Self::Cancel => Request::Cancel,
            Self::Retry => Request::Retry,
            Self::Rerun => Request::Rerun,
            Self::Dismiss => Request::Dismiss,
            Self::Delete => Request::Delete,
        }
    }
}

impl BulkFilter {
    fn filter(self) -> RunFilter {
        let Self { states, workflow, tenant, created_from, created_before } = self;
        RunFilter { states, workflow, tenant, created_from, created_before, ..RunFilter::default() }
    }
}

async fn perform(asker: &Asker, command: Command) -> Result<Shown<RunReport>, Problem> {
    Ok(Shown(asker.engine.perform(command, &asker.actor).await?))
}
