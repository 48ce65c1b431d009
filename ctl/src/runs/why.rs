//! `runs why`: the gates at which the tasks of a run wait.
//!
//! The gates come from the decisions that admit tasks: those of the living engine where there is one, otherwise over
//! what is stored. Of tasks that were skipped the reason is shown, and nothing of others that run or have ended.

use cloacina::{Gate, RunId, RunReport, TaskReport};
use serde::Serialize;
use utoipa::ToSchema;

use super::engine::living_report;
use super::find::Found;
use super::leaves::reason;
use super::view::paint_state;
use crate::cli::RunsWhyArgs;
use crate::config::Config;
use crate::document::{Document, RunStateName, TaskStateName};
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
    #[schema(value_type = RunStateName)]
    state: &'static str,
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
    #[schema(value_type = TaskStateName)]
    state: &'static str,
    /// What keeps it from running: all of these must open.
    gates: Vec<GateView>,
}

/// One thing that a task waits for.
#[derive(Debug, Serialize, ToSchema)]
struct GateView {
    /// The kind of the gate: `run_pending`, `run_delayed`, `run_paused`, `run_closing`, `retry_at`, `trigger_rule`,
    /// `dependency`, `slot`, `quarantined`, `withheld`, `package_missing`, `store_refused`, `history_unread`, `owner`,
    /// `owner_dead`, `no_engine` or `other`.
    gate: &'static str,
    /// With `dependency`: the task that has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// With `dependency`: the state of that task.
    #[schema(value_type = Option<TaskStateName>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// With `slot`: some of the tasks that hold the slots.
    held_by: Vec<Holder>,
    /// The gate with its present value, in words.
    text: String,
}

/// A task that holds a slot.
#[derive(Debug, Serialize, ToSchema)]
struct Holder {
    /// The id of its run.
    run: String,
    /// The id of the task.
    task: String,
}

/// Tells why tasks are not running.
pub(crate) fn why(arguments: &RunsWhyArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { database, mut records, id } = Found::open(&arguments.run, config)?;
    let (report, engine) = match living_report(&database, id)? {
        // Only the engine itself knows who holds its slots.
        Some((report, pid)) => (report, Some(Engine { pid: Some(pid) })),
        None => (records.report(id)?, records.engine()?.map(|pid| Engine { pid })),
    };
    let why = explain(&report, engine);
    output.answer(&why, |paint| why.text(&report, paint))?;
    Ok(exit::SUCCESS)
}

/// Tells a user who looks at a run or waits for it that nothing of it starts, if its package or the database keeps it from
/// that.
pub(crate) fn note_withheld(report: &RunReport, output: &Output) {
    let is_withheld = |gate: &&Gate| {
        matches!(
            gate,
            Gate::Quarantined { .. }
                | Gate::Withheld { .. }
                | Gate::PackageMissing { .. }
                | Gate::StoreRefused { .. }
                | Gate::HistoryUnread { .. }
        )
    };
    let mut open = report.tasks.iter().filter(|task| !task.state.is_terminal());
    if let Some(gate) = open.find_map(|task| task.gates.iter().find(is_withheld)) {
        output.note(&format!("the run waits: {}", GateView::new(gate).text));
    }
}

fn explain(report: &RunReport, engine: Option<Engine>) -> Why<'_> {
    Why {
        run: report.id.to_string(),
        workflow: &report.workflow,
        state: report.state.as_str(),
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
        let mut gates: Vec<GateView> = task.gates.iter().map(GateView::new).collect();
        if !has_engine {
            gates.push(GateView::plain("no_engine", "no engine drives this database"));
        }
        Self { task: task.id.clone(), state: task.state.as_str(), gates }
    }
}

impl GateView {
    fn plain(gate: &'static str, text: &str) -> Self {
        Self { gate, task: None, state: None, held_by: Vec::new(), text: text.to_owned() }
    }

    fn new(gate: &Gate) -> Self {
        match gate {
            Gate::RunPending => Self::plain("run_pending", "the run has not been started"),
            Gate::RunPaused { by } => Self::plain("run_paused", &format!("the run was paused by {by}")),
            Gate::RunDelayed { until } => Self::plain("run_delayed", &format!("the run starts at {until}")),
            Gate::RunClosing => Self::plain("run_closing", "the run is being ended"),
            Gate::RetryAt { at } => Self::plain("retry_at", &format!("the next attempt comes at {at}")),
            Gate::TriggerRule { rule, early: true, .. } => {
                Self::plain("trigger_rule", &format!("the rule {rule} is not decided"))
            }
            Gate::TriggerRule { rule, .. } => Self::plain("trigger_rule", &format!("then the rule {rule} is asked")),
            Gate::Dependency { task, state } => Self {
                task: Some(task.clone()),
                state: Some(state.as_str()),
                ..Self::plain("dependency", &format!("{task} is {state}"))
            },
            Gate::Slot { running, slots, held_by } => Self {
                held_by: held_by
                    .iter()
                    .map(|(run, task)| Holder { run: run.to_string(), task: task.clone() })
                    .collect(),
                ..Self::plain("slot", &slot_text(*running, *slots, held_by))
            },
            Gate::Quarantined { reason, until } => {
                let then = match until {
                    Some(at) => format!("it is tried again at {at}"),
                    None => "it stays so until somebody releases it".to_owned(),
                };
                Self::plain("quarantined", &format!("the package is quarantined, as {reason}; {then}"))
            }
            Gate::Withheld { reason } => {
                Self::plain("withheld", &format!("the engine cannot use the package: {reason}"))
            }
            Gate::PackageMissing { workflow } => {
                Self::plain("package_missing", &format!("the code of {workflow} is not there"))
            }
            Gate::StoreRefused { reason, until } => Self::plain(
                "store_refused",
                &format!(
                    "the database did not take what happened to the run; it is tried again at {until}, because {reason}"
                ),
            ),
            Gate::HistoryUnread { reason, until } => Self::plain(
                "history_unread",
                &format!("the history of the run could not be read; it is read again at {until}, because {reason}"),
            ),
            Gate::Owner { pid, host, lease_until, is_dead } => {
                let unknown = || "unknown".to_owned();
                let pid = pid.map_or_else(unknown, |pid| pid.to_string());
                let (host, until) =
                    (host.clone().unwrap_or_else(unknown), lease_until.map_or_else(unknown, |at| at.to_string()));
                let (gate, text) = match is_dead {
                    false => (
                        "owner",
                        format!(
                            "the run belongs to the engine in process {pid} on {host}; its lease runs until {until}"
                        ),
                    ),
                    true => (
                        "owner_dead",
                        format!(
                            "the engine in process {pid} on {host} is not heard of; its lease ended at {until}, and an engine that has the code takes the run over"
                        ),
                    ),
                };
                Self::plain(gate, &text)
            }
            other => Self::plain("other", &format!("{other:?}")),
        }
    }
}

fn slot_text(running: usize, slots: usize, held_by: &[(RunId, String)]) -> String {
    let mut text = format!("{running} of {slots} slots are taken");
    match held_by {
        [] => text.push_str(", or others are first"),
        [(run, task)] => text.push_str(&format!(", by {task} of {run}")),
        [(run, task), others @ ..] => text.push_str(&format!(", by {task} of {run} and {} more", others.len())),
    }
    text
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
                let (task, state) = if index == 0 { (waiting.task.as_str(), waiting.state) } else { ("", "") };
                vec![task.to_owned(), state.to_owned(), gate.text.clone()]
            })
        });
        paint.columns([header].into_iter().chain(rows), "  ")
    }
}
