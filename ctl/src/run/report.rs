//! What came out of a run, for people and for programs.
//!
//! Both forms say the same; the JSON has every delta besides. How the run ended also decides the exit code: a failed
//! run is an answer and no error.

use std::collections::BTreeMap;

use cloacina::{RunReport, RunSummary, TaskReport, Value};
use serde::Serialize;
use serde_json::Map;
use utoipa::ToSchema;

use crate::document::Document;
use crate::exit;
use crate::output::Paint;
use crate::runs::{exit_code, leaves_skipped, span, task_table};

/// A run that has ended, with what came out of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Finished<'a> {
    #[serde(flatten)]
    run: RunSummary,
    /// The database that keeps the run. Absent with `--ephemeral`.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// The tasks, in the order of the source.
    tasks: &'a [TaskReport],
    /// The ids of the tasks that were skipped and on which no other task depends, in the order of the source.
    leaves_skipped: Vec<&'a str>,
    /// The context at the end: the input, and what the tasks wrote.
    context: Map<String, Value>,
    /// The id of the task that wrote each key of the context. Keys of the input are absent.
    producers: &'a BTreeMap<String, String>,
}

impl Document for Finished<'_> {}

impl<'a> Finished<'a> {
    pub(super) fn new(report: &'a RunReport, run: RunSummary, database: Option<String>) -> Self {
        let keys = report.context.keys();
        let values = keys.filter_map(|key| Some((key.to_owned(), report.context.get(key)?.clone())));
        Self {
            run,
            database,
            tasks: &report.tasks,
            leaves_skipped: leaves_skipped(report),
            context: values.collect(),
            producers: &report.producers,
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        exit_code(self.run.status.state)
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let run = &self.run.status;
        let state = match self.exit_code() {
            exit::SUCCESS => paint.green(run.state.as_str()),
            _ => paint.red(run.state.as_str()),
        };
        let took = span(run.started_at, run.finished_at);
        let took = if took.is_empty() { took } else { format!(" in {took}") };
        let mut text = format!("{state} {}{} (run {})\n", run.workflow, took, run.id);
        text.push_str(&task_table(self.tasks, paint));
        text.push_str("context\n");
        let context = serde_json::to_string_pretty(&self.context).unwrap_or_default();
        text.extend(context.lines().map(|line| format!("  {line}\n")));
        text
    }
}
