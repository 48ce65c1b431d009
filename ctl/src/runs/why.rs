//! `runs why`: the gates at which the tasks of a run wait.
//!
//! The gates come from the function that schedules tasks: that of the running engine if there is one, otherwise over
//! what is stored. Of tasks that were skipped the reason is shown, and nothing of others that run or have ended.

use cloacina::{RunReport, Why};
use serde::Serialize;
use utoipa::ToSchema;

use super::engine::living_report;
use super::find::Found;
use super::view::paint_state;
use crate::cli::RunsWhyArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

/// Why tasks of a run are not running, and whether an engine drives it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer {
    #[serde(flatten)]
    why: Why,
    /// The engine that drives the database. Absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<Engine>,
}

impl Document for Answer {}

/// An engine that lives.
#[derive(Debug, Serialize, ToSchema)]
struct Engine {
    /// The id of its process. Absent where only a server knows the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

/// Tells why tasks are not running.
pub(crate) fn why(arguments: &RunsWhyArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { place, mut source, id } = Found::open(&arguments.run, config)?;
    let (report, engine) = match living_report(&place, id)? {
        // Only the engine itself knows which tasks hold its slots.
        Some((report, pid)) => (report, Some(Engine { pid: Some(pid) })),
        None => (source.report(id)?, source.engine()?.map(|pid| Engine { pid })),
    };
    let answer = Answer { why: report.why(engine.is_some()), engine };
    output.answer(&answer, |paint| answer.text(&report, paint))?;
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

impl Answer {
    fn text(&self, report: &RunReport, paint: Paint) -> String {
        let state = paint_state(report.state, paint);
        let completed = report.n_completed();
        let total = report.tasks.len();
        let Why { id, workflow, waiting, skipped, .. } = &self.why;
        let mut text = format!("run {id} of {workflow} is {state}, {completed}/{total} tasks completed\n");
        if waiting.is_empty() {
            text.push_str("nothing waits\n");
        } else {
            text.push_str(&self.waits(paint));
        }
        if !skipped.is_empty() {
            let header = ["task", "skipped because"].map(str::to_owned).to_vec();
            let rows = skipped.iter().map(|skipped| vec![skipped.task.clone(), skipped.text.clone()]);
            text.push_str(&paint.columns([header].into_iter().chain(rows), "  "));
        }
        text
    }

    fn waits(&self, paint: Paint) -> String {
        let header = ["task", "state", "waits because"].map(str::to_owned).to_vec();
        let rows = self.why.waiting.iter().flat_map(|waiting| {
            waiting.gates.iter().enumerate().map(|(index, gate)| {
                let (task, state) = if index == 0 { (waiting.task.as_str(), waiting.state.as_str()) } else { ("", "") };
                vec![task.to_owned(), state.to_owned(), gate.text.clone()]
            })
        });
        paint.columns([header].into_iter().chain(rows), "  ")
    }
}
