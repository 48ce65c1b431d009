//! `runs pause`, `cancel`, `retry`, `rerun`, `fork` and `dismiss`: changes of a run, durable when the command returns.
//!
//! None of them runs a task. What begins anew is run by `runs execute`, or by the next engine on the database.

use cloacina::RunHandle;

use super::engine::{ACTOR, change};
use super::find::Found;
use super::view::Shown;
use crate::cli::RunArg;
use crate::cli::{RunsForkArgs, RunsPlainArgs, RunsRerunArgs, RunsRetryArgs};
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::run::read_input;

/// Lets nothing new of a run start.
pub(crate) fn pause(arguments: &RunsPlainArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    on_run(&arguments.run, output, config, async |handle| {
        handle.pause(ACTOR).await?;
        Ok(handle)
    })
}

/// Ends a run.
pub(crate) fn cancel(arguments: &RunsPlainArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    on_run(&arguments.run, output, config, async |handle| {
        handle.cancel(ACTOR).await?;
        handle.wait().await?;
        Ok(handle)
    })
}

/// Takes a failed run off the list of dead letters.
pub(crate) fn dismiss(arguments: &RunsPlainArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    on_run(&arguments.run, output, config, async |handle| {
        handle.dismiss().await?;
        Ok(handle)
    })
}

/// Lets a task that waits for its next attempt have it now.
pub(crate) fn retry(arguments: &RunsRetryArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    on_run(&arguments.run, output, config, async |handle| {
        handle.retry(&arguments.task, ACTOR).await?;
        Ok(handle)
    })
}

/// Runs a run again, in a new one.
pub(crate) fn rerun(arguments: &RunsRerunArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let input = arguments.input.as_deref().map(|input| read_input(Some(input))).transpose()?;
    on_run(&arguments.run, output, config, async |handle| match arguments.failed {
        true => Ok(handle.rerun_failed(input, ACTOR).await?),
        false => Ok(handle.rerun(ACTOR).await?),
    })
}

/// Runs a run again from one of its tasks, in a new one.
pub(crate) fn fork(arguments: &RunsForkArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let input = arguments.input.as_deref().map(|input| read_input(Some(input))).transpose()?;
    on_run(&arguments.run, output, config, async |handle| Ok(handle.fork(&arguments.from, input, ACTOR).await?))
}

/// Asks something of a run, and shows the run that it is about then.
fn on_run(
    argument: &RunArg,
    output: &Output,
    config: &Config,
    ask: impl AsyncFnOnce(RunHandle) -> Result<RunHandle, Error>,
) -> Result<u8, Error> {
    let Found { database, records, id } = Found::open(argument, config)?;
    drop(records);
    let report = change(&database, async |engine| {
        let handle = ask(engine.run(id).await?).await?;
        Ok(handle.report().await?)
    })?;
    let shown = Shown::new(&report);
    output.answer(&shown, |paint| shown.text(paint))?;
    if !report.state.is_terminal() {
        output.note(&format!("run it with: cloacina-ctl runs execute {}{}", report.id, database.option()));
    }
    Ok(exit::SUCCESS)
}
