//! `runs start`, `runs resume` and `runs execute`: a run, until it has ended.
//!
//! The three differ in what they ask for: `start` and `resume` refuse a run that does not wait for them, `execute` takes
//! a run as it is.

use cloacina::{Command, RunId};

use super::engine::{Drive, drive, with_engine};
use super::find::Found;
use super::view::{Shown, exit_code};
use crate::actor;
use crate::cli::{DriveArgs, RunArg, RunsExecuteArgs, RunsResumeArgs, RunsStartArgs};
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// Runs a run.
pub(crate) fn execute(arguments: &RunsExecuteArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    run(&arguments.run, &arguments.drive, output, config, |run| Command::Execute { run })
}

/// Lets a run begin, and runs it.
pub(crate) fn start(arguments: &RunsStartArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    run(&arguments.run, &arguments.drive, output, config, |run| Command::Start { run })
}

/// Goes on with a paused run, and runs it.
pub(crate) fn resume(arguments: &RunsResumeArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    run(&arguments.run, &arguments.drive, output, config, |run| Command::Resume { run })
}

fn run(
    argument: &RunArg,
    arguments: &DriveArgs,
    output: &Output,
    config: &Config,
    command: impl FnOnce(RunId) -> Command,
) -> Result<u8, Error> {
    let Found { database, records, id } = Found::open(argument, config)?;
    // The engine has connections of its own.
    drop(records);
    let by = actor::name(&arguments.actor, config);
    let command = command(id);
    let (report, code) = if arguments.no_wait {
        (with_engine(&database, async |engine| engine.perform(command, &by).await)?, exit::SUCCESS)
    } else {
        let job = Drive { database: &database, id, command, actor: &by, timeout: arguments.timeout };
        let report = drive(job, output)?;
        let code = exit_code(report.state);
        (report, code)
    };
    let shown = Shown::new(&report);
    output.answer(&shown, |paint| shown.text(paint))?;
    Ok(code)
}
