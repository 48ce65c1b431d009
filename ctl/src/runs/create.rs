//! `runs create`: a run that waits to be started.

use cloacina::{Command, Timestamp, What};

use super::engine::with_engine;
use super::moment;
use super::view::show_run;
use crate::cli::RunsCreateArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::place::Place;
use crate::run::{add_secrets, read_input};

/// Creates a run.
pub(crate) fn create(arguments: &RunsCreateArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let mut input = read_input(arguments.input.as_deref())?;
    add_secrets(&arguments.secret, &mut input)?;
    let what = match (&arguments.name, &arguments.workflow) {
        (Some(name), _) => What::BuiltIn { name: name.clone(), tasks: arguments.tasks as usize },
        (None, workflow) => What::Workflow(workflow.clone().unwrap_or_default()),
    };
    let place = Place::choose(&arguments.database, config)?;
    let at = begin(arguments, Timestamp::now())?;
    let command =
        Command::Create { what, input, at: at.map(Timestamp::unix_micros), key: arguments.key.clone(), version: None };
    let by = place.actor(&arguments.actor, config)?;
    let report = with_engine(&place, output, async |engine| engine.perform(command, &by).await)?;
    show_run(&report, &place, output)?;
    let (id, option) = (report.id, place.option());
    output.note(&match at {
        None => format!("execute it with: cloacina-ctl runs execute {id}{option}"),
        Some(at) => format!(
            "an engine that is running at {at} starts it; to run it now: cloacina-ctl runs execute {id}{option}"
        ),
    });
    Ok(exit::SUCCESS)
}

/// When it begins by itself.
fn begin(arguments: &RunsCreateArgs, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    match (&arguments.at, &arguments.after) {
        (Some(at), _) => moment::at("--at", at).map(Some),
        (None, Some(wait)) => moment::after("--after", wait, now).map(Some),
        (None, None) => Ok(None),
    }
}
