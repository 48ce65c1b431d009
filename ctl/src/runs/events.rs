//! `runs events`: the history of one run.

use cloacina::{RunEvent, Value};
use serde::Serialize;
use utoipa::ToSchema;

use super::find::{Found, find_task};
use crate::cli::RunsEventsArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

/// The history of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    /// The id of the run.
    run: String,
    /// What happened, in order; with `--task`, to that task.
    events: Vec<RunEvent>,
}

impl Document for History {}

/// Shows the history of a run.
pub(crate) fn events(arguments: &RunsEventsArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { mut source, id, .. } = Found::open(&arguments.run, config)?;
    let task = match &arguments.task {
        Some(task) => Some(find_task(&source.report(id)?, task)?),
        None => None,
    };
    let events = source.events(id)?.into_iter();
    let wanted = events.filter(|event| task.is_none() || event.task == task);
    let history = History { run: id.to_string(), events: wanted.collect() };
    output.answer(&history, |paint| history.text(paint))?;
    Ok(exit::SUCCESS)
}

fn row(event: &RunEvent, paint: Paint) -> Vec<String> {
    vec![
        event.sequence.to_string(),
        paint.dim(&paint.time(event.at)),
        event.kind.to_owned(),
        event.task.clone().unwrap_or_default(),
        event.attempt.map(|attempt| format!("#{attempt}")).unwrap_or_default(),
        line(&event.details),
    ]
}

impl History {
    fn text(&self, paint: Paint) -> String {
        let header = ["", "at", "event", "task", "attempt", "details"].map(str::to_owned).to_vec();
        paint.columns([header].into_iter().chain(self.events.iter().map(|event| row(event, paint))), "")
    }
}

/// The details in one line; a terminal breaks it to fit. Nothing is cut.
fn line(details: &Value) -> String {
    match details {
        Value::Null => String::new(),
        Value::Object(details) if details.is_empty() => String::new(),
        details => details.to_string(),
    }
}
