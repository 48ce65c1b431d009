//! The commands of an engine as requests to a server.
//!
//! Each command has its request, in one exhaustive match; what a server cannot be asked is refused before anything is sent.

use std::path::Path;

use cloacina::{Command, PackageAnswer, PackageCommand, PackageRecord, RunReport, Timestamp, What};
use cloacina_client::{Again, Client, NewPackage, NewRun, NewWorkflow, Verb};

use crate::error::Error;

/// Has a server do something to a run.
pub(crate) async fn perform(client: &Client, command: Command) -> Result<RunReport, Error> {
    let report = match command {
        Command::Create { what: What::Workflow(workflow), input, at, key, version } => {
            let at = at.map(Timestamp::from_unix_micros);
            let new = NewRun { workflow, input, secrets: Vec::new(), held: at.is_none(), at, version, key };
            client.run(client.submit(&new).await?).await
        }
        Command::Create { .. } => return Err(not_on(client, "a built-in workflow")),
        Command::Report { run } => client.run(run).await,
        Command::Start { run } => client.control(run, Verb::Start).await,
        Command::Execute { run } => client.control(run, Verb::Execute).await,
        Command::RunTask { run, task } => client.run_task(run, &task).await,
        Command::Pause { run } => client.control(run, Verb::Pause).await,
        Command::Resume { run } => client.control(run, Verb::Resume).await,
        Command::Cancel { run } => client.control(run, Verb::Cancel).await,
        Command::Retry { run, task: None } => client.control(run, Verb::Retry).await,
        Command::Retry { run, task: Some(task) } => client.retry_task(run, &task).await,
        Command::Rerun { run, failed, input, version } => client.rerun(run, &Again { failed, input, version }).await,
        Command::Fork { run, from, input, version } => {
            client.fork(run, &from, &Again { failed: false, input, version }).await
        }
        Command::Dismiss { run } => client.control(run, Verb::Dismiss).await,
        Command::Delete { run } => {
            let report = client.run(run).await?;
            client.run_delete(run).await?;
            Ok(report)
        }
        _ => return Err(not_on(client, "this request")),
    };
    Ok(report?)
}

/// Has a server do something to a package that it has.
pub(crate) async fn perform_package(client: &Client, command: PackageCommand) -> Result<PackageRecord, Error> {
    let record = match command {
        PackageCommand::Activate { package, percent } => client.package_activate(&package, percent).await,
        PackageCommand::RollBack { package } => client.package_roll_back(&package).await,
        PackageCommand::Retire { package } => client.package_retire(&package).await,
        PackageCommand::Quarantine { package, reason } => client.package_quarantine(&package, &reason).await,
        PackageCommand::Release { package } => client.package_release(&package).await,
        PackageCommand::Remove { package } => {
            let record = client.package(&package).await?;
            client.package_remove(&package).await?;
            Ok(record)
        }
        _ => return Err(not_on(client, "this request")),
    };
    Ok(record?)
}

/// Has a server register an archive or a definition, which is read while it is sent.
pub(crate) async fn register(client: &Client, file: &Path, command: PackageCommand) -> Result<PackageAnswer, Error> {
    let file = file.to_owned();
    match command {
        PackageCommand::Register { tenant, activate, signatures, is_build } => {
            let new = NewPackage { archive: file, signatures, tenant, activate, is_build };
            Ok(client.package_register(&new).await?)
        }
        PackageCommand::Define { tenant, activate } => {
            Ok(client.workflow_define(&NewWorkflow { definition: file, tenant, activate }).await?)
        }
        _ => Err(not_on(client, "this request")),
    }
}

fn not_on(client: &Client, what: &'static str) -> Error {
    Error::NotOnServer { what, server: client.url() }
}
