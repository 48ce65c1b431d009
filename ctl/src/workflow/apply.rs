//! `workflow apply`: a definition becomes a registered version of a workflow, in the running engine, the database or on a server.
//!
//! The text goes to the engine as it stands in the file. What is shown is what `package register` shows of a package.

use cloacina::PackageCommand;

use crate::cli::WorkflowApplyArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::package::register::Registered;
use crate::place::Place;
use crate::runs::with_engine;

/// Registers the workflow that a file defines.
pub(crate) fn apply(arguments: &WorkflowApplyArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let WorkflowApplyArgs { file, no_activate, tenant, database, actor } = arguments;
    let place = Place::choose(database, config)?;
    let by = place.actor(actor, config)?;
    with_engine(&place, output, async |engine| {
        let command = PackageCommand::Define { tenant: tenant.clone(), activate: !no_activate };
        let answer = engine.register(command, file, &by).await.map_err(Error::of_file(file))?;
        let registered = Registered::new(file, answer, engine.is_living())?;
        output.answer(&registered, |_| registered.text())?;
        registered.note("workflow", &place, output);
        Ok(exit::SUCCESS)
    })
}
