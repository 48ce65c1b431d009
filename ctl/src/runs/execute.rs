//! `runs start`, `runs resume` and `runs execute`: become the engine of a run until it has ended.

use super::engine::drive;
use super::find::Found;
use super::view::{Shown, exit_code};
use crate::cli::RunsExecuteArgs;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;

/// Runs a run.
pub(crate) fn execute(arguments: &RunsExecuteArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { database, records, id } = Found::open(&arguments.run, config)?;
    // The engine has connections of its own.
    drop(records);
    let report = drive(&database, id, arguments.timeout, output)?;
    let shown = Shown::new(&report);
    output.answer(&shown, |paint| shown.text(paint))?;
    Ok(exit_code(report.state))
}
