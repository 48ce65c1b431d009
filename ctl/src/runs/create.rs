//! `runs create`: a run that waits to be started.

use cloacina::{RunHandle, RunRequest};

use super::engine::change;
use super::view::Shown;
use crate::built_in;
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
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let built_in = arguments.name.as_deref().map(|name| built_in::workflow(name, arguments.tasks as usize));
    let built_in = built_in.transpose()?;
    let report = change(&database, async |engine| {
        let workflow = match (built_in, &arguments.workflow) {
            (Some(workflow), _) => {
                engine.register(workflow).await?;
                let package = workflow.descriptor().map(|descriptor| descriptor.package).unwrap_or_default();
                format!("{}::{package}::{}", cloacina::TENANT_DEFAULT, workflow.name())
            }
            (None, workflow) => workflow.clone().unwrap_or_default(),
        };
        let request = RunRequest::new(workflow, input).held();
        let handle: RunHandle = engine.scheduler().submit(request).await?;
        Ok(handle.report().await?)
    })?;
    let shown = Shown::new(&report);
    output.answer(&shown, |paint| shown.text(paint))?;
    output.note(&format!("run it with: cloacina-ctl runs execute {}{}", report.id, database.option()));
    Ok(exit::SUCCESS)
}
