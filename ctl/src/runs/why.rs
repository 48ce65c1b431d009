//! `runs why`: the gates at which the tasks of a run wait.
//!
//! The gates come from the function that schedules tasks: that of the running engine if there is one, otherwise over
//! what is stored. Of tasks that were skipped the reason is shown, and nothing of others that run or have ended.

use cloacina::{Gate, RunReport, RunState, TaskReport, TaskState};
use serde::Serialize;
use utoipa::ToSchema;

use super::engine::living_report;
use super::find::Found;
use super::leaves::reason;
use super::view::paint_state;
use crate::cli::RunsWhyArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

/// Why tasks of a run are not running.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Why<'a> {
    /// The id of the run.
    run: String,
    /// The full name of its workflow.
    workflow: &'a str,
    /// The state of the run.
    state: RunState,
    /// The engine that drives the database. Absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<Engine>,
    /// The tasks that wait. A task that runs or has ended waits for nothing.
    waiting: Vec<Waiting>,
    /// The tasks that were skipped, in the order of the source.
    skipped: Vec<NotRun<'a>>,
}

/// A task that was skipped, and why.
#[derive(Debug, Serialize, ToSchema)]
struct NotRun<'a> {
    /// The id of the task.
    task: &'a str,
    /// The reason: `upstream_failed`, `upstream_skipped` or `rule_not_met`.
    reason: &'static str,
    /// The dependency that kept it from running. Absent with `rule_not_met`.
    #[serde(skip_serializing_if = "Option::is_none")]
    because_of: Option<&'a str>,
    /// The reason in words.
    text: String,
}

impl Document for Why<'_> {}

/// An engine that lives.
#[derive(Debug, Serialize, ToSchema)]
struct Engine {
    /// The id of its process. Absent where only a server knows the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

/// A task that waits, and for what.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// The id of the task.
    task: String,
    /// The state of the task.
    state: TaskState,
    /// What keeps it from running: all of these must open.
    gates: Vec<GateInWords>,
}

/// One thing that a task waits for, also in words.
#[derive(Debug, Serialize, ToSchema)]
struct GateInWords {
    #[serde(flatten)]
    gate: Gate,
    /// The gate with its present value, in words.
    text: String,
}

/// Tells why tasks are not running.
pub(crate) fn why(arguments: &RunsWhyArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { database, mut records, id } = Found::open(&arguments.run, config)?;
    let (report, engine) = match living_report(&database, id)? {
        // Only the engine itself knows which tasks hold its slots.
        Some((report, pid)) => (report, Some(Engine { pid: Some(pid) })),
        None => (records.report(id)?, records.engine()?.map(|pid| Engine { pid })),
    };
    let why = explain(&report, engine);
    output.answer(&why, |paint| why.text(&report, paint))?;
    Ok(exit::SUCCESS)
}

/// Tells a user who reads a run or waits for it that no task of it starts, if its package or the database keeps it from
/// that.
pub(crate) fn note_withheld(report: &RunReport, output: &Output) {
    let mut open = report.tasks.iter().filter(|task| !task.state.is_terminal());
    if let Some(gate) = open.find_map(|task| task.gates.iter().find(|gate| gate.is_of_package_or_store())) {
        output.note(&format!("the run waits: {gate}"));
    }
}

fn explain(report: &RunReport, engine: Option<Engine>) -> Why<'_> {
    Why {
        run: report.id.to_string(),
        workflow: &report.workflow,
        state: report.state,
        waiting: Waiting::of(report, engine.is_some()),
        engine,
        skipped: report.tasks.iter().filter_map(|task| NotRun::of(report, task)).collect(),
    }
}

impl<'a> NotRun<'a> {
    fn of(report: &RunReport, task: &'a TaskReport) -> Option<Self> {
        let skipped = task.skipped.as_ref()?;
        let (reason, because_of, text) = (skipped.as_str(), skipped.dependency(), reason(report, skipped));
        Some(Self { task: &task.id, reason, because_of, text })
    }
}

impl Waiting {
    /// The tasks of a run that wait.
    pub(crate) fn of(report: &RunReport, has_engine: bool) -> Vec<Self> {
        let open = report.tasks.iter().filter(|task| !task.state.is_terminal());
        open.map(|task| Self::new(task, has_engine)).filter(|waiting| !waiting.gates.is_empty()).collect()
    }

    /// The task and what it waits for, in one line.
    pub(crate) fn text(&self) -> String {
        let gates: Vec<&str> = self.gates.iter().map(|gate| gate.text.as_str()).collect();
        format!("{} waits: {}", self.task, gates.join("; "))
    }

    fn new(task: &TaskReport, has_engine: bool) -> Self {
        let gates = task.gates.iter().cloned().chain((!has_engine).then_some(Gate::NoEngine));
        let gates = gates.map(|gate| GateInWords { text: gate.to_string(), gate });
        Self { task: task.id.clone(), state: task.state, gates: gates.collect() }
    }
}

impl Why<'_> {
    fn text(&self, report: &RunReport, paint: Paint) -> String {
        let state = paint_state(report.state, paint);
        let completed = report.n_completed();
        let total = report.tasks.len();
        let mut text =
            format!("run {} of {} is {state}, {completed}/{total} tasks completed\n", self.run, self.workflow);
        if self.waiting.is_empty() {
            text.push_str("nothing waits\n");
        } else {
            text.push_str(&self.waits(paint));
        }
        if !self.skipped.is_empty() {
            let header = ["task", "skipped because"].map(str::to_owned).to_vec();
            let rows = self.skipped.iter().map(|skipped| vec![skipped.task.to_owned(), skipped.text.clone()]);
            text.push_str(&paint.columns([header].into_iter().chain(rows), "  "));
        }
        text
    }

    fn waits(&self, paint: Paint) -> String {
        let header = ["task", "state", "waits because"].map(str::to_owned).to_vec();
        let rows = self.waiting.iter().flat_map(|waiting| {
            waiting.gates.iter().enumerate().map(|(index, gate)| {
                let (task, state) = if index == 0 { (waiting.task.as_str(), waiting.state.as_str()) } else { ("", "") };
                vec![task.to_owned(), state.to_owned(), gate.text.clone()]
            })
        });
        paint.columns([header].into_iter().chain(rows), "  ")
    }
}
