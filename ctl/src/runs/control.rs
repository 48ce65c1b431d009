//! `runs pause`, `cancel`, `retry`, `rerun`, `fork` and `dismiss`: changes of a run, durable when the command returns.
//!
//! The running engine makes them where there is one. Without one none of them runs a task: what begins anew is run by
//! `runs execute`, or by the next engine on the database.

use cloacina::{Command, RunId, RunState, Value};
use serde_json::Map;

use super::bulk::{Bulk, bulk};
use super::engine::with_engine;
use super::find::{Found, find_task};
use super::view::show_run;
use crate::cli::{ActorArgs, ChosenArgs, RunArg, RunsForkArgs, RunsPlainArgs, RunsRerunArgs, RunsRetryArgs};
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::place::Place;
use crate::run::read_input;

/// Lets nothing new of runs start.
pub(crate) fn pause(arguments: &RunsPlainArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let asked = Bulk {
        verb: "pause",
        states: &[RunState::Running],
        not_dismissed: false,
        command: &|run| Command::Pause { run },
    };
    on_runs(&asked, &arguments.chosen, &arguments.actor, output, config)
}

/// Ends runs.
pub(crate) fn cancel(arguments: &RunsPlainArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let asked = Bulk {
        verb: "cancel",
        states: &[RunState::Pending, RunState::Running, RunState::Paused],
        not_dismissed: false,
        command: &|run| Command::Cancel { run },
    };
    on_runs(&asked, &arguments.chosen, &arguments.actor, output, config)
}

/// Takes failed runs off the list of dead letters.
pub(crate) fn dismiss(arguments: &RunsPlainArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let asked = Bulk {
        verb: "dismiss",
        states: &[RunState::Failed],
        not_dismissed: true,
        command: &|run| Command::Dismiss { run },
    };
    on_runs(&asked, &arguments.chosen, &arguments.actor, output, config)
}

/// Lets tasks that wait for their next attempt have it now.
pub(crate) fn retry(arguments: &RunsRetryArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let mut task = arguments.task.clone();
    if let (Some(run), Some(named)) = (arguments.chosen.one(), &arguments.task) {
        let argument = RunArg { run: run.to_owned(), database: arguments.chosen.database.clone() };
        let Found { mut source, id, .. } = Found::open(&argument, config)?;
        task = Some(find_task(&source.report(id)?, named)?);
    }
    let asked = Bulk {
        verb: "retry",
        states: &[RunState::Running, RunState::Paused],
        not_dismissed: false,
        command: &|run| Command::Retry { run, task: task.clone() },
    };
    on_runs(&asked, &arguments.chosen, &arguments.actor, output, config)
}

/// Runs runs again, each in a new one.
pub(crate) fn rerun(arguments: &RunsRerunArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let input = other_input(arguments.input.as_deref())?;
    let (failed, version) = (arguments.failed, arguments.version.package_version.clone());
    let asked = Bulk {
        verb: "rerun",
        states: &[RunState::Failed],
        not_dismissed: true,
        command: &|run| Command::Rerun { run, failed, input: input.clone(), version: version.clone() },
    };
    on_runs(&asked, &arguments.chosen, &arguments.actor, output, config)
}

/// Runs a run again from one of its tasks, in a new one.
pub(crate) fn fork(arguments: &RunsForkArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let input = other_input(arguments.input.as_deref())?;
    let version = arguments.version.package_version.clone();
    let Found { place, mut source, id } = Found::open(&arguments.run, config)?;
    let from = match (find_task(&source.report(id)?, &arguments.from), &version) {
        // Another version may have other tasks, and the engine knows them.
        (Err(_), Some(_)) => arguments.from.clone(),
        (found, _) => found?,
    };
    drop(source);
    on_found(&place, &arguments.actor, output, config, Command::Fork { run: id, from, input, version })
}

/// Asks something of the one run that is named, or of all that are chosen.
fn on_runs(
    asked: &Bulk<'_>,
    chosen: &ChosenArgs,
    actor: &ActorArgs,
    output: &Output,
    config: &Config,
) -> Result<u8, Error> {
    match chosen.one() {
        Some(run) => {
            let argument = RunArg { run: run.to_owned(), database: chosen.database.clone() };
            on_run(&argument, actor, output, config, asked.command)
        }
        None => bulk(asked, chosen, actor, output, config),
    }
}

/// Asks something of a run, and shows the run that it is about then.
fn on_run(
    argument: &RunArg,
    actor: &ActorArgs,
    output: &Output,
    config: &Config,
    command: impl FnOnce(RunId) -> Command,
) -> Result<u8, Error> {
    let Found { place, source, id } = Found::open(argument, config)?;
    drop(source);
    on_found(&place, actor, output, config, command(id))
}

fn on_found(place: &Place, actor: &ActorArgs, output: &Output, config: &Config, command: Command) -> Result<u8, Error> {
    let by = place.actor(actor, config)?;
    let (report, is_driven) = with_engine(place, output, async |engine| {
        let report = engine.perform(command, &by).await?;
        Ok((report, engine.is_living()))
    })?;
    show_run(&report, place, output)?;
    if !report.state.is_terminal() {
        let verb = if is_driven { "watch" } else { "execute" };
        output.note(&format!("{verb} it with: cloacina-ctl runs {verb} {}{}", report.id, place.option()));
    }
    Ok(exit::SUCCESS)
}

fn other_input(argument: Option<&str>) -> Result<Option<Map<String, Value>>, Error> {
    argument.map(|input| read_input(Some(input))).transpose()
}
