//! A run as it is shown, for people and for programs.
//!
//! Both forms say the same; the JSON has every delta besides. How a run ended also decides the exit code of the
//! commands that wait for it: a failed run is an answer and no error.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloacina::{Records, RunReport, RunState, Skipped, TENANT_DEFAULT, TaskReport, TaskState, Timestamp, Value};
use serde::Serialize;

use crate::database::Database;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::usage::short;

/// The kind of the error of a task that panicked.
pub(super) const PANICKED: &str = "panicked";

/// Shows a run; what no engine drives is said to be so.
pub(super) fn show_run(report: &RunReport, database: &Database, output: &Output) -> Result<(), Error> {
    let is_driven = !report.state.is_terminal()
        && Records::find(&database.url)?.map_or(Ok(false), |mut records| records.is_driven(report.id))?;
    let shown = Shown::new(report, is_driven);
    output.answer(&shown, |paint| shown.text(paint))
}

/// A run with its tasks.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    run: String,
    workflow: &'a str,
    content_digest: Option<String>,
    state: &'static str,
    completed_tasks: usize,
    total_tasks: usize,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// Whether an engine drives it now; null once it has ended.
    driven: Option<bool>,
    tasks: Vec<Task<'a>>,
    #[serde(skip)]
    at: RunState,
}

/// A task of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Task<'a> {
    id: &'a str,
    state: &'static str,
    attempt: u32,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    /// Why it was skipped: `upstream_failed`, `upstream_skipped` or `rule_not_met`.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'static str>,
    /// The dependency that kept it from running.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped_because_of: Option<&'a str>,
    set: &'a BTreeMap<String, Value>,
    unset: &'a BTreeSet<String>,
    #[serde(skip)]
    at: TaskState,
}

#[derive(Debug, Serialize)]
struct Failure {
    kind: String,
    message: String,
    details: Value,
    retryable: bool,
}

impl Failure {
    /// What went wrong, and where in its source the task panicked.
    fn text(&self) -> String {
        let place = self.details.get("location").and_then(Value::as_str).filter(|_| self.kind == PANICKED);
        let place = place.map(|place| format!(", at {place}")).unwrap_or_default();
        format!("{}: {}{place}", self.kind, self.message)
    }
}

impl<'a> Shown<'a> {
    fn new(report: &'a RunReport, is_driven: bool) -> Self {
        Self {
            run: report.id.to_string(),
            workflow: &report.workflow,
            content_digest: report.digest.map(|digest| digest.to_string()),
            state: report.state.as_str(),
            completed_tasks: report.n_completed(),
            total_tasks: report.tasks.len(),
            created_at: report.created_at,
            started_at: report.started_at,
            finished_at: report.finished_at,
            driven: (!report.state.is_terminal()).then_some(is_driven),
            tasks: report.tasks.iter().map(Task::new).collect(),
            at: report.state,
        }
    }

    fn text(&self, paint: Paint) -> String {
        let moment = |moment: Option<Timestamp>| moment.map(|at| at.to_string()).unwrap_or_default();
        let is_stalled = self.at == RunState::Running && self.driven == Some(false);
        let engine = if is_stalled { ", and no engine drives it" } else { "" };
        let facts = [
            ("run", self.run.clone()),
            ("workflow", self.workflow.to_owned()),
            ("state", format!("{}{engine}", paint_state(self.at, paint))),
            ("tasks", progress(&self.tasks, self.completed_tasks)),
            ("created", self.created_at.to_string()),
            ("started", moment(self.started_at)),
            ("finished", moment(self.finished_at)),
            ("time", span(self.started_at, self.finished_at)),
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
            attempt: task.attempt,
            started_at: task.started_at,
            finished_at: task.finished_at,
            error: task.error.as_ref().map(|error| {
                let record = error.to_record();
                let (kind, message) = (record.kind, record.message);
                Failure { kind, message, details: record.details, retryable: record.retryable }
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
            if self.started_at.is_some() { self.attempt.to_string() } else { String::new() },
            span(self.started_at, self.finished_at),
            why,
        ]
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
fn progress(tasks: &[Task<'_>], n_completed: usize) -> String {
    let mut text = format!("{n_completed}/{} completed", tasks.len());
    for state in [TaskState::Failed, TaskState::Skipped, TaskState::Cancelled] {
        let n_tasks = tasks.iter().filter(|task| task.at == state).count();
        if n_tasks > 0 {
            text.push_str(&format!(", {n_tasks} {}", state.as_str()));
        }
    }
    text
}
