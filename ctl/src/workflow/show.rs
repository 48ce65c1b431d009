//! `workflow show`: one workflow and its tasks.

use cloacina::WorkflowReport;

use crate::cli::WorkflowShowArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::Place;
use crate::table::few;

/// The code of a name that fits no workflow.
const UNKNOWN: &str = "RUN0001";

/// Digits of a digest in the table, as many as elsewhere.
const DIGITS: usize = 12;

impl Document for WorkflowReport {}

/// Shows a workflow.
pub(crate) fn show(arguments: &WorkflowShowArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let place = Place::choose(&arguments.database, config)?;
    let not_there = || Error::WorkflowNotThere { name: arguments.name.clone() };
    let mut source = place.source(output)?.ok_or_else(not_there)?;
    let shown = source.workflow(&arguments.name).map_err(|error| match error.code() {
        UNKNOWN => not_there(),
        _ => error,
    })?;
    output.answer(&shown, |paint| text(&shown, paint))?;
    Ok(exit::SUCCESS)
}

fn text(shown: &WorkflowReport, paint: Paint) -> String {
    let workflow = &shown.record;
    let facts = [
        ("workflow", Some(workflow.name.clone())),
        ("version", workflow.version.clone()),
        ("digest", workflow.digest.map(|digest| digest.to_string())),
        ("state", Some(workflow.state.as_str().to_owned())),
        ("description", workflow.description.clone()),
    ];
    let facts = facts.into_iter().filter_map(|(name, fact)| Some(vec![name.to_owned(), fact?]));
    let mut text = paint.columns(facts, "");
    text.push('\n');
    let mut header = ["task", "depends on", "retries", "timeout", "description"].map(str::to_owned).to_vec();
    if shown.uses.is_some() {
        header.insert(1, "uses".to_owned());
    }
    let rows = shown.workflow.tasks.iter().map(|task| {
        let mut row = vec![
            task.id.clone(),
            few(&task.dependencies),
            task.retry.attempts.to_string(),
            task.timeout_ms.map(|timeout| format!("{timeout} ms")).unwrap_or_default(),
            task.description.clone().unwrap_or_default(),
        ];
        if let Some(uses) = &shown.uses {
            row.insert(1, uses.get(&task.id).map(|uses| brief(uses)).unwrap_or_default());
        }
        row
    });
    text.push_str(&paint.columns([header].into_iter().chain(rows), "  "));
    text
}

/// What a task uses, with the first digits of the digest; the JSON has them all.
fn brief(uses: &str) -> String {
    match uses.split_once("@sha256:") {
        Some((function, digits)) => format!("{function}@{}", digits.get(..DIGITS).unwrap_or(digits)),
        None => uses.to_owned(),
    }
}
