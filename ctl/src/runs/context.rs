//! `runs context`: the values that the tasks of a run see, and the task that wrote each.

use cloacina::{Request, RunContext};
use serde::Serialize;

use super::find::Found;
use crate::cli::RunsContextArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

impl Document for RunContext {}

/// Shows the context of a run, or one value of it.
pub(crate) fn context(arguments: &RunsContextArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { mut source, id, .. } = Found::open(&arguments.run, config)?;
    let report = source.report(id)?;
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
    let shown = report.into_context();
    output.answer(&shown, |_| pretty(&shown.context))?;
    Ok(exit::SUCCESS)
}

fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
