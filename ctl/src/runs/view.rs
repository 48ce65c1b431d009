//! A run as it is shown, for people and for programs.
//!
//! Both forms say the same; the JSON has every delta besides. How a run ended also decides the exit code of the
//! commands that wait for it: a failed run is an answer and no error.

use std::collections::{BTreeMap, BTreeSet};

use cloacina::{RunReport, RunState, Skipped, TaskReport, TaskState, Timestamp, Value};
use serde::Serialize;

use crate::exit;
use crate::output::{Paint, columns};

/// A run with its tasks.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    run: String,
    workflow: &'a str,
    content_digest: Option<String>,
    state: &'static str,
    completed_tasks: usize,
    total_tasks: usize,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
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

impl<'a> Shown<'a> {
    pub(super) fn new(report: &'a RunReport) -> Self {
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
            tasks: report.tasks.iter().map(Task::new).collect(),
            at: report.state,
        }
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let moment = |moment: Option<Timestamp>| moment.map(|at| at.to_string()).unwrap_or_default();
        let facts = [
            ("run", self.run.clone()),
            ("workflow", self.workflow.to_owned()),
            ("state", paint_state(self.at, paint)),
            ("tasks", format!("{}/{} completed", self.completed_tasks, self.total_tasks)),
            ("created", self.created_at.to_string()),
            ("started", moment(self.started_at)),
            ("finished", moment(self.finished_at)),
            ("time", span(self.started_at, self.finished_at)),
        ];
        let facts = facts.into_iter().filter(|(_, fact)| !fact.is_empty());
        let mut text = columns(facts.map(|(name, fact)| vec![name.to_owned(), fact]), "");
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
            skipped_because_of: match &task.skipped {
                Some(Skipped::UpstreamFailed { dependency }) => Some(dependency),
                _ => None,
            },
            set: &task.set,
            unset: &task.unset,
            at: task.state,
        }
    }

    fn row(&self, paint: Paint) -> Vec<String> {
        let why = match (&self.error, self.skipped_because_of) {
            (Some(error), _) => format!("{}: {}", error.kind, error.message),
            (None, Some(dependency)) => format!("because of {dependency}"),
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
    columns([header].into_iter().chain(tasks.iter().map(|task| task.row(paint))), "  ")
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
    let micros = end.unix_micros().saturating_sub(start.unix_micros());
    match micros {
        0..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let at = Timestamp::from_unix_micros;
        for (micros, expected) in
            [(0, "0.0 ms"), (1_240, "1.2 ms"), (100_900, "100 ms"), (1_250_000, "1.2 s"), (90_000_000, "90.0 s")]
        {
            assert_eq!(between(at(5), at(5 + micros)), expected);
        }
    }
}
