//! `runs events`: the history of one run.
//!
//! The details of an event are as they are stored, but for what the rules of all documents say of nulls and moments.

use cloacina::{RunEvent, Timestamp, Value};
use serde::Serialize;
use utoipa::ToSchema;

use super::find::{Found, find_task};
use crate::cli::RunsEventsArgs;
use crate::config::Config;
use crate::document::{Document, Moment};
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

/// The kinds of events whose details are a context, or a part of one.
const USER_DATA: [&str; 3] = ["run_created", "task_completed", "task_reused"];

/// The member of an error's details that is a moment; an engine stores the microseconds since the epoch.
const DUE_AT: &str = "due_at";

/// The history of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    /// The id of the run.
    run: String,
    /// What happened, in order; with `--task`, to that task.
    events: Vec<Event>,
}

impl Document for History {}

/// Something that happened to a run.
#[derive(Debug, Serialize, ToSchema)]
struct Event {
    /// The number of the event, counted from 0 within the run, without gaps.
    sequence: i64,
    /// When it happened.
    #[schema(value_type = Moment)]
    at: Timestamp,
    /// What happened, such as `task_completed`.
    kind: &'static str,
    /// The id of the task. Absent if the event is about the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// The number of the attempt, counted from 1. Absent if the event is about no attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// The content digest of the package's version that ran the attempt. Absent if the event is about no attempt, or the
    /// workflow is compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_digest: Option<String>,
    /// What else is known, by kind: the input, what a task wrote, an error. Absent if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
    /// For the end of an attempt: the processor time that it used, in microseconds. Absent if nobody measured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us: Option<u128>,
    /// For the end of an attempt that was alone in its process: the most memory that the process held, in bytes. Absent
    /// if nobody measured it.
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
        let attempt = attempt.filter(|attempt| *attempt > 0);
        let details = shown(kind, details);
        let cpu_us = cpu.map(|cpu| cpu.as_micros());
        Self { sequence, at, kind, task, attempt, content_digest, details, cpu_us, peak_bytes }
    }

    fn row(&self, paint: Paint) -> Vec<String> {
        let attempt = self.attempt.map(|attempt| format!("#{attempt}"));
        vec![
            self.sequence.to_string(),
            paint.dim(&paint.time(self.at)),
            self.kind.to_owned(),
            self.task.clone().unwrap_or_default(),
            attempt.unwrap_or_default(),
            self.details.as_ref().map(line).unwrap_or_default(),
        ]
    }
}

impl History {
    fn text(&self, paint: Paint) -> String {
        let header = ["", "at", "event", "task", "attempt", "details"].map(str::to_owned).to_vec();
        paint.columns([header].into_iter().chain(self.events.iter().map(|event| event.row(paint))), "")
    }
}

/// Details by the rules of every document: nothing is null, and moments are texts. What users wrote stays as it is.
fn shown(kind: &str, mut details: Value) -> Option<Value> {
    if !USER_DATA.contains(&kind)
        && let Some(details) = details.as_object_mut()
    {
        details.retain(|_, value| !value.is_null());
        if let Some(at) = details.get(DUE_AT).and_then(Value::as_u64) {
            details.insert(DUE_AT.to_owned(), Timestamp::from_unix_micros(at).to_string().into());
        }
    }
    Some(details).filter(|details| !details.is_null())
}

/// The details in one line; a terminal breaks it to fit. Nothing is cut.
fn line(details: &Value) -> String {
    match details {
        Value::Object(details) if details.is_empty() => String::new(),
        details => details.to_string(),
    }
}
