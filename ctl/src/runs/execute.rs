//! `runs start`, `runs resume` and `runs execute`: a run, until it has ended.
//!
//! The three differ in what they ask for: `start` and `resume` refuse a run that does not wait for them, `execute` takes
//! a run as it is.

use cloacina::{Command, RunId, RunState, TaskState};

use super::bulk::{Bulk, bulk};
use super::engine::{Drive, drive, drive_task, with_engine};
use super::find::{Found, find_task};
use super::view::{exit_code, show_run};
use crate::cli::{DriveArgs, RunArg, RunsExecuteArgs, RunsResumeArgs, RunsStartArgs};
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::place::Source;

/// Runs a run.
pub(crate) fn execute(arguments: &RunsExecuteArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    match &arguments.task {
        Some(task) => one_task(&arguments.run, task, &arguments.drive, output, config),
        None => run(&arguments.run, &arguments.drive, output, config, |run| Command::Execute { run }),
    }
}

/// Lets a run begin, and runs it.
pub(crate) fn start(arguments: &RunsStartArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    run(&arguments.run, &arguments.drive, output, config, |run| Command::Start { run })
}

/// Resumes a paused run, and executes it.
pub(crate) fn resume(arguments: &RunsResumeArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Some(one) = arguments.chosen.one() else {
        let asked = Bulk {
            verb: "resume",
            states: &[RunState::Paused],
            not_dismissed: false,
            command: &|run| Command::Resume { run },
        };
        return bulk(&asked, &arguments.chosen, &arguments.drive.actor, output, config);
    };
    let argument = RunArg { run: one.to_owned(), database: arguments.chosen.database.clone() };
    run(&argument, &arguments.drive, output, config, |run| Command::Resume { run })
}

/// Runs one task of a run.
fn one_task(
    argument: &RunArg,
    task: &str,
    arguments: &DriveArgs,
    output: &Output,
    config: &Config,
) -> Result<u8, Error> {
    let Found { place, mut source, id } = Found::open(argument, config)?;
    let task = find_task(&source.report(id)?, task)?;
    drop(source);
    let task = task.as_str();
    let by = place.actor(&arguments.actor, config)?;
    let command = Command::RunTask { run: id, task: task.to_owned() };
    let report = if arguments.no_wait {
        with_engine(&place, output, async |engine| engine.perform(command, &by).await)?
    } else {
        let job = Drive {
            place: &place,
            id,
            command,
            actor: &by,
            timeout: arguments.timeout,
            isolation: &arguments.isolation,
        };
        drive_task(job, task, output)?
    };
    show_run(&report, &place, output)?;
    if !report.state.is_terminal() {
        output.note(&format!("the rest waits: cloacina-ctl runs execute {id}{}", place.option()));
    }
    let completed = report.task(task).is_some_and(|task| task.state == TaskState::Completed);
    Ok(if completed || arguments.no_wait { exit::SUCCESS } else { exit::FAILED })
}

fn run(
    argument: &RunArg,
    arguments: &DriveArgs,
    output: &Output,
    config: &Config,
    command: impl FnOnce(RunId) -> Command,
) -> Result<u8, Error> {
    let Found { place, mut source, id } = Found::open(argument, config)?;
    let by = place.actor(&arguments.actor, config)?;
    let command = command(id);
    let (report, code) = if arguments.no_wait {
        let before = source.state(id)?;
        let (report, is_driven) = with_engine(&place, output, async |engine| {
            let report = engine.perform(command, &by).await?;
            Ok((report, engine.is_living()))
        })?;
        if !report.state.is_terminal() && !is_driven && !has_owner(&mut source, id)? {
            let execute = format!("cloacina-ctl runs execute {id}{}", place.option());
            if report.state == before {
                return Err(Error::NothingRuns { run: id.to_string(), execute });
            }
            output.note(&format!("no engine drives the run; run it with: {execute}"));
        }
        (report, exit::SUCCESS)
    } else {
        // The engine has connections of its own.
        drop(source);
        let job = Drive {
            place: &place,
            id,
            command,
            actor: &by,
            timeout: arguments.timeout,
            isolation: &arguments.isolation,
        };
        let report = drive(job, output)?;
        let code = exit_code(report.state);
        (report, code)
    };
    show_run(&report, &place, output)?;
    Ok(code)
}

/// Whether a running engine has the run, on a server where it cannot be asked.
fn has_owner(source: &mut Source, id: RunId) -> Result<bool, Error> {
    Ok(source.engine()?.is_some() && source.owner(id)?.is_some_and(|owner| !owner.is_overdue))
}
