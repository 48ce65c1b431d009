//! What came out of a run, for people and for programs.
//!
//! Both forms say the same; the JSON has every delta besides. How the run ended also decides the exit code: a failed
//! run is an answer and no error.

use std::collections::BTreeMap;

use cloacina::{RunReport, RunState, Timestamp, Value};
use serde::Serialize;
use serde_json::Map;

use crate::exit;
use crate::output::Paint;
use crate::runs::{Task, exit_code, span, task_table};

/// A run that has ended.
#[derive(Debug, Serialize)]
pub(super) struct Finished<'a> {
    run: String,
    workflow: &'a str,
    content_digest: Option<String>,
    state: &'static str,
    /// Where it is kept; absent if it is kept nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
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

impl<'a> Finished<'a> {
    pub(super) fn new(report: &'a RunReport, database: Option<String>) -> Self {
        let keys = report.context.keys();
        let values = keys.filter_map(|key| Some((key.to_owned(), report.context.get(key)?.clone())));
        Self {
            run: report.id.to_string(),
            workflow: &report.workflow,
            content_digest: report.digest.map(|digest| digest.to_string()),
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

    pub(super) fn exit_code(&self) -> u8 {
        exit_code(self.ended_as)
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let state = match self.exit_code() {
            exit::SUCCESS => paint.green(self.state),
            _ => paint.red(self.state),
        };
        let took = span(self.started_at, self.finished_at);
        let took = if took.is_empty() { took } else { format!(" in {took}") };
        let mut text = format!("{state} {}{} (run {})\n", self.workflow, took, self.run);
        text.push_str(&task_table(&self.tasks, paint));
        text.push_str("context\n");
        let context = serde_json::to_string_pretty(&self.context).unwrap_or_default();
        text.extend(context.lines().map(|line| format!("  {line}\n")));
        text
    }
}
