//! A run as it is shown, for people and for programs.
//!
//! Both forms say the same; the JSON has every delta besides. How a run ended also decides the exit code of the
//! commands that wait for it: a failed run is an answer and no error.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloacina::{
    RunFilter, RunId, RunReport, RunState, RunSummary, Skipped, TENANT_DEFAULT, TaskReport, TaskState, Timestamp, Value,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::leaves::{leaves_skipped, note_skipped_leaves};
use crate::database::Database;
use crate::document::{Document, Moment, RunStateName, TaskStateName};
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::usage::short;

/// The kind of the error of a task that panicked.
pub(super) const PANICKED: &str = "panicked";

/// Shows a run; what no engine drives is said to be so.
pub(super) fn show_run(report: &RunReport, database: &Database, output: &Output) -> Result<(), Error> {
    let shown = Shown {
        run: RunView::of(report, database)?,
        tasks: report.tasks.iter().map(Task::new).collect(),
        leaves_skipped: leaves_skipped(report),
    };
    output.answer(&shown, |paint| shown.text(paint))?;
    note_skipped_leaves(report, Some(database), output);
    Ok(())
}

/// A run with its tasks.
///
/// The fields of the run itself are those that it has in every list of runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown<'a> {
    #[serde(flatten)]
    run: RunView,
    /// The tasks, in the order of the source; none once retention has removed the history.
    tasks: Vec<Task<'a>>,
    /// The ids of the tasks that were skipped and on which no other task depends, in the order of the source.
    leaves_skipped: Vec<&'a str>,
}

impl Document for Shown<'_> {}

/// A run, with the same fields wherever one is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunView {
    /// The id of the run, in full.
    pub(crate) run: String,
    /// The full name of its workflow: `tenant::package::workflow`, or the bare name of one that is compiled in.
    pub(crate) workflow: String,
    /// The tenant of the workflow.
    tenant: String,
    /// The content digest of the package's version to which the run is pinned. Absent for a workflow that is compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_digest: Option<String>,
    /// The state of the run.
    #[schema(value_type = RunStateName)]
    pub(crate) state: &'static str,
    /// How many of its tasks completed, in this run or in the run from which it was derived. Absent once retention removed
    /// its history.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_tasks: Option<usize>,
    /// How many tasks it has.
    total_tasks: usize,
    /// When it was submitted.
    #[schema(value_type = Moment)]
    pub(crate) created_at: Timestamp,
    /// When its first task could start. Absent before.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<Timestamp>,
    /// When it ended. Absent before.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<Timestamp>,
    /// Whether an engine drives it now. Absent once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    driven: Option<bool>,
    /// The actor that submitted it. Absent if none was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
    /// The actor that took it off the list of dead letters. Absent if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    dismissed_by: Option<String>,
    /// When retention removed its input and what its tasks wrote. Absent before.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    context_removed_at: Option<Timestamp>,
    /// When retention removed its history, and with it everything about its tasks. Absent before.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    history_removed_at: Option<Timestamp>,
    #[serde(skip)]
    pub(crate) at: RunState,
    #[serde(skip)]
    pub(crate) id: RunId,
    #[serde(skip)]
    pub(crate) short_id: String,
}

/// A task of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Task<'a> {
    /// The id of the task, unique in its workflow.
    id: &'a str,
    /// The state of the task.
    #[schema(value_type = TaskStateName)]
    state: &'static str,
    /// The number of the attempt that runs or was the last to begin, counted from 1. Absent as long as none began.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// When that attempt began. Absent while none runs and the task has not ended.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    /// When the task ended. Absent before.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    /// When the next attempt begins, for a task that waits for it.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Timestamp>,
    /// Why the last attempt failed. Absent if none did, or if a later one completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    /// Why the task was skipped: `upstream_failed`, `upstream_skipped` or `rule_not_met`. Absent for a task that was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'static str>,
    /// The dependency because of which it was skipped. Absent with `rule_not_met`.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped_because_of: Option<&'a str>,
    /// The keys of the context that the task wrote, with their values.
    set: &'a BTreeMap<String, Value>,
    /// The keys of the context that the task removed.
    unset: &'a BTreeSet<String>,
    #[serde(skip)]
    at: TaskState,
}

/// The error of an attempt.
#[derive(Debug, Serialize, ToSchema)]
struct Failure {
    /// The kind of the error, as the task names it; `panicked`, `timed_out` and `interrupted` are the engine's own.
    kind: String,
    /// The error in words.
    message: String,
    /// What else the task says of the error. Absent if it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
    /// Whether another attempt may succeed.
    retryable: bool,
}

impl Failure {
    /// What went wrong, and where in its source the task panicked.
    fn text(&self) -> String {
        let place = self.details.as_ref().and_then(|details| details.get("location")).and_then(Value::as_str);
        let place = place.filter(|_| self.kind == PANICKED);
        let place = place.map(|place| format!(", at {place}")).unwrap_or_default();
        format!("{}: {}{place}", self.kind, self.message)
    }
}

impl RunView {
    /// A run as an engine reports it, with what the database alone knows of it.
    pub(crate) fn of(report: &RunReport, database: &Database) -> Result<Self, Error> {
        let this = RunFilter { ids: Some((report.id, report.id)), ..RunFilter::default() };
        let stored = match database.look()? {
            Some(mut records) => records.runs(&this, 1)?.pop(),
            None => None,
        };
        let mut view = stored.map_or_else(|| Self::of_report(report), Self::of_summary);
        // The engine knows of what is not stored yet; of what retention has removed only the database does.
        view.at = report.state;
        view.state = report.state.as_str();
        view.started_at = report.started_at;
        view.finished_at = report.finished_at;
        view.driven = view.driven.filter(|_| !report.state.is_terminal());
        if !report.tasks.is_empty() {
            (view.completed_tasks, view.total_tasks) = (Some(report.n_completed()), report.tasks.len());
        }
        Ok(view)
    }

    /// A run that is stored.
    pub(crate) fn of_summary(run: RunSummary) -> Self {
        let status = run.status;
        Self {
            run: status.id.to_string(),
            workflow: status.workflow,
            tenant: run.tenant,
            content_digest: run.digest.map(|digest| digest.to_string()),
            state: status.state.as_str(),
            completed_tasks: run.n_completed,
            total_tasks: run.n_tasks,
            created_at: status.created_at,
            started_at: status.started_at,
            finished_at: status.finished_at,
            driven: (!status.state.is_terminal()).then_some(run.is_driven),
            created_by: run.created_by,
            dismissed_by: run.dismissed_by,
            context_removed_at: run.context_removed_at,
            history_removed_at: run.history_removed_at,
            at: status.state,
            id: status.id,
            short_id: run.short_id,
        }
    }

    /// A run that is in the database no longer.
    fn of_report(report: &RunReport) -> Self {
        let tenant = report.workflow.split_once("::").map_or(TENANT_DEFAULT, |(tenant, _)| tenant);
        Self {
            run: report.id.to_string(),
            workflow: report.workflow.clone(),
            tenant: tenant.to_owned(),
            content_digest: report.digest.map(|digest| digest.to_string()),
            state: report.state.as_str(),
            completed_tasks: Some(report.n_completed()),
            total_tasks: report.tasks.len(),
            created_at: report.created_at,
            started_at: report.started_at,
            finished_at: report.finished_at,
            driven: (!report.state.is_terminal()).then_some(false),
            created_by: None,
            dismissed_by: None,
            context_removed_at: None,
            history_removed_at: None,
            at: report.state,
            id: report.id,
            short_id: report.id.to_string(),
        }
    }

    /// How many of its tasks completed, as far as that is known.
    pub(super) fn progress(&self) -> String {
        match self.completed_tasks {
            Some(completed) => format!("{completed}/{}", self.total_tasks),
            None => format!("-/{}", self.total_tasks),
        }
    }

    /// Whether the run goes on only once there is an engine again.
    pub(crate) fn is_stalled(&self) -> bool {
        self.at == RunState::Running && self.driven == Some(false)
    }
}

impl Shown<'_> {
    fn text(&self, paint: Paint) -> String {
        let moment = |moment: Option<Timestamp>| moment.map(|at| at.to_string()).unwrap_or_default();
        let run = &self.run;
        let engine = if run.is_stalled() { ", and no engine drives it" } else { "" };
        let facts = [
            ("run", run.run.clone()),
            ("workflow", run.workflow.clone()),
            ("state", format!("{}{engine}", paint_state(run.at, paint))),
            ("tasks", progress(run, &self.tasks)),
            ("created", run.created_at.to_string()),
            ("started", moment(run.started_at)),
            ("finished", moment(run.finished_at)),
            ("time", span(run.started_at, run.finished_at)),
        ];
        let facts = facts.into_iter().filter(|(_, fact)| !fact.is_empty());
        let mut text = paint.columns(facts.map(|(name, fact)| vec![name.to_owned(), fact]), "");
        text.push('\n');
        text.push_str(&task_table(&self.tasks, paint));
        text
    }
}

impl<'a> Task<'a> {
    pub(crate) fn new(task: &'a TaskReport) -> Self {
        Self {
            id: &task.id,
            state: task.state.as_str(),
            attempt: begun(task),
            started_at: task.started_at,
            finished_at: task.finished_at,
            retry_at: task.retry_at,
            error: task.error.as_ref().map(|error| {
                let record = error.to_record();
                let (kind, message) = (record.kind, record.message);
                let details = Some(record.details).filter(|details| !details.is_null());
                Failure { kind, message, details, retryable: record.retryable }
            }),
            skipped: task.skipped.as_ref().map(Skipped::as_str),
            skipped_because_of: task.skipped.as_ref().and_then(Skipped::dependency),
            set: &task.set,
            unset: &task.unset,
            at: task.state,
        }
    }

    fn row(&self, paint: Paint) -> Vec<String> {
        let why = match (&self.error, self.skipped_because_of) {
            (Some(error), _) => error.text(),
            (None, Some(dependency)) => format!("because of {dependency}"),
            (None, None) if self.skipped.is_some() => "by its rule".to_owned(),
            (None, None) => String::new(),
        };
        let state = match self.at {
            TaskState::Completed => paint.green(self.state),
            TaskState::Failed => paint.red(self.state),
            TaskState::Skipped | TaskState::Cancelled => paint.yellow(self.state),
            _ => self.state.to_owned(),
        };
        vec![
            self.id.to_owned(),
            state,
            self.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
            span(self.started_at, self.finished_at),
            why,
        ]
    }
}

/// The number of the attempt that runs or was the last to begin; an engine counts on to the next one as soon as an attempt
/// has failed.
fn begun(task: &TaskReport) -> Option<u32> {
    match task.started_at {
        Some(_) => Some(task.attempt),
        None => task.attempt.checked_sub(1).filter(|attempt| *attempt > 0),
    }
}

/// The tasks of a run as columns.
pub(crate) fn task_table(tasks: &[Task<'_>], paint: Paint) -> String {
    let header = ["task", "state", "attempt", "time", ""].map(str::to_owned).to_vec();
    paint.columns([header].into_iter().chain(tasks.iter().map(|task| task.row(paint))), "  ")
}

/// The exit code of who waited for a run: one that went as its author allows, optional tasks aside, is a success.
pub(crate) fn exit_code(state: RunState) -> u8 {
    match state {
        RunState::Completed | RunState::PartiallyCompleted => exit::SUCCESS,
        RunState::Pending | RunState::Running | RunState::Paused | RunState::Failed | RunState::Cancelled => {
            exit::FAILED
        }
    }
}

/// The state's name in its color.
pub(crate) fn paint_state(state: RunState, paint: Paint) -> String {
    let name = state.as_str();
    match state {
        RunState::Completed | RunState::PartiallyCompleted => paint.green(name),
        RunState::Failed | RunState::Cancelled => paint.red(name),
        RunState::Paused => paint.yellow(name),
        RunState::Running => paint.cyan(name),
        RunState::Pending => name.to_owned(),
    }
}

/// The time between two moments, where both have come.
pub(crate) fn span(start: Option<Timestamp>, end: Option<Timestamp>) -> String {
    start.zip(end).map(|(start, end)| between(start, end)).unwrap_or_default()
}

/// The time from one moment to another.
pub(crate) fn between(start: Timestamp, end: Timestamp) -> String {
    short(Duration::from_micros(end.unix_micros().saturating_sub(start.unix_micros())))
}

/// The name of a workflow as it is shown where there is little room; it is understood everywhere.
pub(super) fn brief_name(workflow: &str) -> &str {
    workflow.strip_prefix(TENANT_DEFAULT).and_then(|name| name.strip_prefix("::")).unwrap_or(workflow)
}

/// How many tasks completed, and what became of the others that have ended.
fn progress(run: &RunView, tasks: &[Task<'_>]) -> String {
    let mut text = format!("{} completed", run.progress());
    for state in [TaskState::Failed, TaskState::Skipped, TaskState::Cancelled] {
        let n_tasks = tasks.iter().filter(|task| task.at == state).count();
        if n_tasks > 0 {
            text.push_str(&format!(", {n_tasks} {}", state.as_str()));
        }
    }
    text
}
