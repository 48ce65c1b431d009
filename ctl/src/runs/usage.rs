//! `runs usage`: what a run used up, by task, and attempt by attempt.
//!
//! What is stored is shown, beside a living engine too: only attempts that ended have used up anything that is known.

use cloacina::{RunUsage, Timestamp, UsedCall, UsedTask};
use serde::Serialize;
use utoipa::ToSchema;

use super::find::{Found, task_of};
use super::view::span;
use crate::cli::RunsUsageArgs;
use crate::config::Config;
use crate::document::{Document, Moment, RunStateName};
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint, size};
use crate::usage::{HEADINGS, UsageView, short};

/// What a run used up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    /// The id of the run.
    run: String,
    /// The full name of its workflow.
    workflow: String,
    /// The content digest of the package's version to which the run is pinned. Absent for a workflow that is compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_digest: Option<String>,
    /// The state of the run.
    #[schema(value_type = RunStateName)]
    state: &'static str,
    /// When retention removed its history, since when nothing is known. Absent before.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    history_removed_at: Option<Timestamp>,
    /// What all its tasks used up together; with `--task`, that task alone.
    total: UsageView,
    /// What each task used up.
    tasks: Vec<Task>,
}

impl Document for Shown {}

/// What a task used up.
#[derive(Debug, Serialize, ToSchema)]
struct Task {
    /// The id of the task.
    task: String,
    #[serde(flatten)]
    usage: UsageView,
    /// Its attempts and callbacks that ended, in order.
    calls: Vec<Call>,
}

/// An attempt or a callback that ended.
#[derive(Debug, Serialize, ToSchema)]
struct Call {
    /// The number of the attempt, counted from 1. Absent for a callback.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// How it ended, as an event says it, such as `task_completed`.
    end: &'static str,
    /// When it began. Absent if nobody noted it.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Moment)]
    ended_at: Timestamp,
    /// The processor time that it used, in microseconds. Absent if nobody measured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us: Option<u128>,
    /// The most memory that its process held, in bytes. Absent if nobody measured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_bytes: Option<u64>,
    #[serde(skip)]
    cells: Vec<String>,
}

/// Shows what a run used up.
pub(crate) fn usage(arguments: &RunsUsageArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { mut records, id, .. } = Found::open(&arguments.run, config)?;
    let mut usage = records.usage(id)?;
    if let Some(task) = &arguments.task {
        let ids = usage.tasks.iter().map(|used| used.task.as_str());
        let task = task_of(&id.to_string(), &usage.workflow, ids, task)?;
        usage.tasks.retain(|used| used.task == task);
        usage.total = usage.tasks.first().map_or(usage.total, |used| used.total);
    }
    let shown = Shown::new(usage);
    output.answer(&shown, |paint| shown.text(arguments.attempts, paint))?;
    if let Some(at) = shown.history_removed_at {
        output.note(&format!("its history was removed by retention at {at}, and with it what is known of this"));
    }
    Ok(exit::SUCCESS)
}

impl Shown {
    fn new(usage: RunUsage) -> Self {
        Self {
            run: usage.id.to_string(),
            workflow: usage.workflow,
            content_digest: usage.digest.map(|digest| digest.to_string()),
            state: usage.state.as_str(),
            history_removed_at: usage.pruned_at,
            total: UsageView::new(&usage.total),
            tasks: usage.tasks.into_iter().map(Task::new).collect(),
        }
    }

    fn text(&self, has_attempts: bool, paint: Paint) -> String {
        let header = std::iter::once("task").chain(HEADINGS).map(str::to_owned).collect();
        let mut rows: Vec<Vec<String>> = vec![header];
        for task in &self.tasks {
            rows.push(std::iter::once(task.task.clone()).chain(task.usage.cells()).collect());
            if has_attempts {
                rows.extend(task.calls.iter().map(|call| call.cells.clone()));
            }
        }
        if self.tasks.len() > 1 {
            rows.push(std::iter::once(paint.bold("together")).chain(self.total.cells()).collect());
        }
        paint.columns(rows, "")
    }
}

impl Task {
    fn new(task: UsedTask) -> Self {
        let usage = UsageView::new(&task.total);
        Self { task: task.task, usage, calls: task.calls.iter().map(Call::new).collect() }
    }
}

impl Call {
    fn new(call: &UsedCall) -> Self {
        let unknown = || "unknown".to_owned();
        let name = call.attempt.map_or_else(|| "  callback".to_owned(), |attempt| format!("  #{attempt}"));
        let took = call.started_at.map_or_else(unknown, |began| span(Some(began), Some(call.ended_at)));
        let (cpu, peak) = (call.cpu.map_or_else(unknown, short), call.peak_bytes.map_or_else(unknown, size));
        Self {
            attempt: call.attempt,
            end: call.end,
            started_at: call.started_at,
            ended_at: call.ended_at,
            cpu_us: call.cpu.map(|cpu| cpu.as_micros()),
            peak_bytes: call.peak_bytes,
            cells: vec![name, call.end.to_owned(), took, cpu, peak],
        }
    }
}
