//! `runs events`: the history of one run.

use cloacina::{RunEvent, Timestamp, Value};
use serde::Serialize;

use super::find::{Found, find_task};
use crate::cli::RunsEventsArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

#[derive(Debug, Serialize)]
struct History {
    run: String,
    events: Vec<Event>,
}

#[derive(Debug, Serialize)]
struct Event {
    sequence: i64,
    at: Timestamp,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// Of the version that ran the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_digest: Option<String>,
    details: Value,
    /// Microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_bytes: Option<u64>,
}

/// Shows the history of a run.
pub(crate) fn events(arguments: &RunsEventsArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { mut records, id, .. } = Found::open(&arguments.run, config)?;
    let task = match &arguments.task {
        Some(task) => Some(find_task(&records.report(id)?, task)?),
        None => None,
    };
    let events = records.events(id)?.into_iter();
    let wanted = events.filter(|event| task.is_none() || event.task == task);
    let history = History { run: id.to_string(), events: wanted.map(Event::new).collect() };
    output.answer(&history, |paint| history.text(paint))?;
    Ok(exit::SUCCESS)
}

impl Event {
    fn new(event: RunEvent) -> Self {
        let RunEvent { sequence, at, kind, task, attempt, digest, details, cpu, peak_bytes, .. } = event;
        let content_digest = digest.map(|digest| digest.to_string());
        let cpu_us = cpu.map(|cpu| cpu.as_micros());
        Self { sequence, at, kind, task, attempt, content_digest, details, cpu_us, peak_bytes }
    }

    fn row(&self, paint: Paint) -> Vec<String> {
        let attempt = self.attempt.filter(|attempt| *attempt > 0).map(|attempt| format!("#{attempt}"));
        vec![
            self.sequence.to_string(),
            paint.dim(&paint.time(self.at)),
            self.kind.to_owned(),
            self.task.clone().unwrap_or_default(),
            attempt.unwrap_or_default(),
            line(&self.details),
        ]
    }
}

impl History {
    fn text(&self, paint: Paint) -> String {
        let header = ["", "at", "event", "task", "attempt", "details"].map(str::to_owned).to_vec();
        paint.columns([header].into_iter().chain(self.events.iter().map(|event| event.row(paint))), "")
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
