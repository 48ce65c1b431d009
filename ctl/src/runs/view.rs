//! A run as it is shown, for people and for programs.
//!
//! Both forms say the same; the JSON has every delta besides. How a run ended also decides the exit code of the
//! commands that wait for it: a failed run is an answer and no error.

use std::time::Duration;

use cloacina::{
    Failure, RunReport, RunState, RunStatus, RunSummary, TENANT_DEFAULT, TaskError, TaskReport, TaskState, Timestamp,
    Value,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::leaves::{leaves_skipped, note_skipped_leaves};
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::Place;
use crate::usage::short;

/// The kind of the error of a task that panicked.
pub(super) const PANICKED: &str = "panicked";

/// Shows a run; what no engine drives is said to be so.
pub(super) fn show_run(report: &RunReport, place: &Place, output: &Output) -> Result<(), Error> {
    let shown = Shown { run: summary(report, place)?, tasks: &report.tasks, leaves_skipped: leaves_skipped(report) };
    output.answer(&shown, |paint| shown.text(paint))?;
    note_skipped_leaves(report, Some(place), output);
    Ok(())
}

/// A run with its tasks.
///
/// The fields of the run itself are those that it has in every list of runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown<'a> {
    #[serde(flatten)]
    run: RunSummary,
    /// The tasks, in the order of the source; none once retention has removed the history.
    tasks: &'a [TaskReport],
    /// The ids of the tasks that were skipped and on which no other task depends, in the order of the source.
    leaves_skipped: Vec<&'a str>,
}

impl Document for Shown<'_> {}

/// What went wrong, and where in its source the task panicked.
fn failure(error: &TaskError) -> String {
    let Failure { kind, message, details, .. } = Failure::new(error);
    let place = details.as_ref().and_then(|details| details.get("location")).and_then(Value::as_str);
    let place = place.filter(|_| kind == PANICKED).map(|place| format!(", at {place}")).unwrap_or_default();
    format!("{kind}: {message}{place}")
}

/// A run as an engine reports it, with what the database alone knows of it.
pub(crate) fn summary(report: &RunReport, place: &Place) -> Result<RunSummary, Error> {
    let stored = match place.source_if_any()? {
        Some(mut source) => source.run(report.id)?,
        None => None,
    };
    Ok(report.summary(stored))
}

/// How many of the tasks completed, as far as that is known.
pub(super) fn progress(run: &RunStatus) -> String {
    match run.completed_tasks {
        Some(completed) => format!("{completed}/{}", run.total_tasks),
        None => format!("-/{}", run.total_tasks),
    }
}

impl Shown<'_> {
    fn text(&self, paint: Paint) -> String {
        let moment = |moment: Option<Timestamp>| moment.map(|at| at.to_string()).unwrap_or_default();
        let run = &self.run.status;
        let engine = if self.run.is_stalled() { ", and no engine drives it" } else { "" };
        let facts = [
            ("run", run.id.to_string()),
            ("workflow", run.workflow.clone()),
            ("state", format!("{}{engine}", paint_state(run.state, paint))),
            ("tasks", progress_of_all(run, self.tasks)),
            ("created", run.created_at.to_string()),
            ("started", moment(run.started_at)),
            ("finished", moment(run.finished_at)),
            ("time", span(run.started_at, run.finished_at)),
        ];
        let facts = facts.into_iter().filter(|(_, fact)| !fact.is_empty());
        let mut text = paint.columns(facts.map(|(name, fact)| vec![name.to_owned(), fact]), "");
        text.push('\n');
        text.push_str(&task_table(self.tasks, paint));
        text
    }
}

/// A row of the table of tasks.
fn row(task: &TaskReport, paint: Paint) -> Vec<String> {
    let why = match (&task.error, &task.skipped) {
        (Some(error), _) => failure(error),
        (None, Some(skipped)) => match skipped.dependency() {
            Some(dependency) => format!("because of {dependency}"),
            None => "by its rule".to_owned(),
        },
        (None, None) => String::new(),
    };
    let name = task.state.as_str();
    let state = match task.state {
        TaskState::Completed => paint.green(name),
        TaskState::Failed => paint.red(name),
        TaskState::Skipped | TaskState::Cancelled => paint.yellow(name),
        _ => name.to_owned(),
    };
    vec![
        task.id.clone(),
        state,
        task.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
        span(task.started_at, task.finished_at),
        why,
    ]
}

/// The tasks of a run as columns.
pub(crate) fn task_table(tasks: &[TaskReport], paint: Paint) -> String {
    let header = ["task", "state", "attempt", "time", ""].map(str::to_owned).to_vec();
    paint.columns([header].into_iter().chain(tasks.iter().map(|task| row(task, paint))), "  ")
}

/// The exit code of a command that waited for a run: a run in which only optional tasks failed is a success.
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
fn progress_of_all(run: &RunStatus, tasks: &[TaskReport]) -> String {
    let mut text = format!("{} completed", progress(run));
    for state in [TaskState::Failed, TaskState::Skipped, TaskState::Cancelled] {
        let n_tasks = tasks.iter().filter(|task| task.state == state).count();
        if n_tasks > 0 {
            text.push_str(&format!(", {n_tasks} {}", state.as_str()));
        }
    }
    text
}
