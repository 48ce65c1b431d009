//! `runs usage`: what a run used up, by task, and attempt by attempt.
//!
//! What is stored is shown, beside a running engine too: only attempts that ended have used up anything that is known.

use cloacina::{RunUsage, UsedCall};

use super::find::{Found, task_of};
use super::view::span;
use crate::cli::RunsUsageArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint, size};
use crate::usage::{HEADINGS, cells, short};

impl Document for RunUsage {}

/// Shows what a run used up.
pub(crate) fn usage(arguments: &RunsUsageArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { mut source, id, .. } = Found::open(&arguments.run, config)?;
    let mut usage = source.usage(id)?;
    if let Some(task) = &arguments.task {
        let ids = usage.tasks.iter().map(|used| used.task.as_str());
        let task = task_of(&id.to_string(), &usage.workflow, ids, task)?;
        usage.tasks.retain(|used| used.task == task);
        usage.total = usage.tasks.first().map_or(usage.total, |used| used.total);
    }
    output.answer(&usage, |paint| text(&usage, arguments.attempts, paint))?;
    if let Some(at) = usage.history_removed_at {
        output.note(&format!("retention has removed the history at {at}, and the usage with it"));
    }
    Ok(exit::SUCCESS)
}

fn text(usage: &RunUsage, has_attempts: bool, paint: Paint) -> String {
    let header = std::iter::once("task").chain(HEADINGS).map(str::to_owned).collect();
    let mut rows: Vec<Vec<String>> = vec![header];
    for task in &usage.tasks {
        rows.push(std::iter::once(task.task.clone()).chain(cells(&task.total)).collect());
        if has_attempts {
            rows.extend(task.calls.iter().map(call_cells));
        }
    }
    if usage.tasks.len() > 1 {
        rows.push(std::iter::once(paint.bold("together")).chain(cells(&usage.total)).collect());
    }
    paint.columns(rows, "")
}

fn call_cells(call: &UsedCall) -> Vec<String> {
    let unknown = || "unknown".to_owned();
    let name = call.attempt.map_or_else(|| "  callback".to_owned(), |attempt| format!("  #{attempt}"));
    let took = call.started_at.map_or_else(unknown, |began| span(Some(began), Some(call.ended_at)));
    let (cpu, peak) = (call.cpu.map_or_else(unknown, short), call.peak_bytes.map_or_else(unknown, size));
    vec![name, call.end.to_owned(), took, cpu, peak]
}
