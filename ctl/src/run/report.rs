//! What came out of a run, for people and for programs.
//!
//! Both forms say the same; the JSON has every delta besides. How the run ended also decides the exit code: a failed
//! run is an answer and no error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cloacina::{RunReport, RunState, Skipped, TaskReport, Timestamp, Value};
use serde::Serialize;
use serde_json::Map;

use super::display::between;
use crate::exit;
use crate::output::{Paint, columns};
use crate::package::Source;

/// A run that has ended.
#[derive(Debug, Serialize)]
pub(super) struct Finished<'a> {
    run: String,
    workflow: &'a str,
    content_digest: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'a Path>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    tasks: Vec<Task<'a>>,
    context: Map<String, Value>,
    /// The task that wrote each key of the context.
    producers: &'a BTreeMap<String, String>,
    #[serde(skip)]
    ended_as: RunState,
}

#[derive(Debug, Serialize)]
struct Task<'a> {
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
}

#[derive(Debug, Serialize)]
struct Failure {
    kind: String,
    message: String,
    details: Value,
    retryable: bool,
}

impl<'a> Finished<'a> {
    pub(super) fn new(report: &'a RunReport, source: &Source, database: Option<&'a Path>) -> Self {
        let keys = report.context.keys();
        let values = keys.filter_map(|key| Some((key.to_owned(), report.context.get(key)?.clone())));
        Self {
            run: report.id.to_string(),
            workflow: &report.workflow,
            content_digest: source.package.content_digest().to_string(),
            state: report.state.as_str(),
            database,
            created_at: report.created_at,
            started_at: report.started_at,
            finished_at: report.finished_at,
            tasks: report.tasks.iter().map(Task::new).collect(),
            context: values.collect(),
            producers: &report.producers,
            ended_as: report.state,
        }
    }

    /// A run that went as its author allows, optional tasks aside, is a success.
    pub(super) fn exit_code(&self) -> u8 {
        match self.ended_as {
            RunState::Completed | RunState::PartiallyCompleted => exit::SUCCESS,
            RunState::Pending | RunState::Running | RunState::Paused | RunState::Failed | RunState::Cancelled => {
                exit::FAILED
            }
        }
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let state = match self.exit_code() {
            exit::SUCCESS => paint.green(self.state),
            _ => paint.red(self.state),
        };
        let took = self.started_at.zip(self.finished_at).map(|(start, end)| format!(" in {}", between(start, end)));
        let mut text = format!("{state} {}{} (run {})\n", self.workflow, took.unwrap_or_default(), self.run);
        let header = ["task", "state", "attempt", "time", ""].map(str::to_owned).to_vec();
        text.push_str(&columns([header].into_iter().chain(self.tasks.iter().map(Task::row)), "  "));
        text.push_str("context\n");
        let context = serde_json::to_string_pretty(&self.context).unwrap_or_default();
        text.extend(context.lines().map(|line| format!("  {line}\n")));
        text
    }
}

impl<'a> Task<'a> {
    fn new(task: &'a TaskReport) -> Self {
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
        }
    }

    fn row(&self) -> Vec<String> {
        let ran = self.started_at.zip(self.finished_at);
        let why = match (&self.error, self.skipped_because_of) {
            (Some(error), _) => format!("{}: {}", error.kind, error.message),
            (None, Some(dependency)) => format!("because of {dependency}"),
            (None, None) => String::new(),
        };
        vec![
            self.id.to_owned(),
            self.state.to_owned(),
            if self.started_at.is_some() { self.attempt.to_string() } else { String::new() },
            ran.map(|(start, end)| between(start, end)).unwrap_or_default(),
            why,
        ]
    }
}
