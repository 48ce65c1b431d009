//! `runs context`: the values that the tasks of a run see, and the task that wrote each.

use std::collections::BTreeMap;

use cloacina::{Request, Value};
use serde::Serialize;
use serde_json::Map;
use utoipa::ToSchema;

use super::find::Found;
use crate::cli::RunsContextArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// The context of a run: its input, and what its tasks wrote so far.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    /// The id of the run.
    run: String,
    /// The values by key.
    context: Map<String, Value>,
    /// The id of the task that wrote each key. Keys of the input are absent.
    producers: BTreeMap<String, String>,
}

impl Document for Shown {}

/// Shows the context of a run, or one value of it.
pub(crate) fn context(arguments: &RunsContextArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { mut records, id, .. } = Found::open(&arguments.run, config)?;
    let report = records.report(id)?;
    if let Some(part) = report.pruned() {
        return Err(cloacina::Error::Pruned { id, request: Request::ShowContext, part }.into());
    }
    if let Some(key) = &arguments.key {
        let Some(value) = report.context.get(key) else {
            let available = report.context.keys().map(str::to_owned).collect();
            return Err(Error::UnknownKey { run: id.to_string(), key: key.clone(), available });
        };
        output.answer(value, |_| pretty(value))?;
        return Ok(exit::SUCCESS);
    }
    let keys = report.context.keys();
    let values = keys.filter_map(|key| Some((key.to_owned(), report.context.get(key)?.clone())));
    let shown = Shown { run: id.to_string(), context: values.collect(), producers: report.producers };
    output.answer(&shown, |_| pretty(&shown.context))?;
    Ok(exit::SUCCESS)
}

fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
