//! `runs create`: a run that waits to be started.

use cloacina::{Command, What};

use super::engine::with_engine;
use super::view::Shown;
use crate::actor;
use crate::cli::RunsCreateArgs;
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::run::read_input;

/// Creates a run.
pub(crate) fn create(arguments: &RunsCreateArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let input = read_input(arguments.input.as_deref())?;
    let what = match (&arguments.name, &arguments.workflow) {
        (Some(name), _) => What::BuiltIn { name: name.clone(), tasks: arguments.tasks as usize },
        (None, workflow) => What::Workflow(workflow.clone().unwrap_or_default()),
    };
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let command = Command::Create { what, input, at: None, key: None };
    let by = actor::name(&arguments.actor, config);
    let report = with_engine(&database, async |engine| engine.perform(command, &by).await)?;
    let shown = Shown::new(&report);
    output.answer(&shown, |paint| shown.text(paint))?;
    output.note(&format!("execute it with: cloacina-ctl runs execute {}{}", report.id, database.option()));
    Ok(exit::SUCCESS)
}
