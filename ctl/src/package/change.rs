//! `package activate`, `rollback`, `retire`, `remove`, `quarantine` and `release`: one change each, and what came of it.
//!
//! Whether a change is possible is decided by the engine; here arguments become a [`PackageCommand`].

use cloacina::{PackageAnswer, PackageCommand, PackageState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::actor;
use crate::cli::{ActivateArgs, ActorArgs, QuarantineArgs, ReleaseArgs, RemoveArgs, RetireArgs, RollbackArgs};
use crate::config::Config;
use crate::database::Database;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::runs::with_engine;

/// A version of a package, after something was done to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedView {
    /// The tenant.
    pub(super) tenant: String,
    /// The name of the package.
    pub(super) name: String,
    /// The version, for people.
    pub(super) version: String,
    /// The digest of what the package does: the identity of the version.
    pub(super) content_digest: String,
    /// The state of the version; of one that was removed, the state before.
    #[schema(value_type = PackageState)]
    pub(super) state: String,
    /// How many of a hundred new runs it gets.
    share: u8,
    /// The full names of its workflows.
    pub(super) workflows: Vec<String>,
}

impl Document for ChangedView {}

/// A change, and where it is made.
struct Order<'a> {
    command: PackageCommand,
    database: Option<&'a str>,
    actor: &'a ActorArgs,
}

/// Lets new runs take a version.
pub(crate) fn activate(arguments: &ActivateArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let ActivateArgs { version, percent, actor } = arguments;
    let command = PackageCommand::Activate { package: version.package.clone(), percent: *percent };
    Order { command, database: version.database.database.as_deref(), actor }.carry_out(output, config, |now| match now
        .share
    {
        Some(share) if share < 100 => format!("gets {share} % of new runs"),
        _ => "gets all new runs".to_owned(),
    })
}

/// Goes back to the version that was active before.
pub(crate) fn rollback(arguments: &RollbackArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let RollbackArgs { package, database, actor } = arguments;
    let command = PackageCommand::RollBack { package: package.clone() };
    Order { command, database: database.database.as_deref(), actor }
        .carry_out(output, config, |_| "gets all new runs again".to_owned())
}

/// Lets new runs take a version no more.
pub(crate) fn retire(arguments: &RetireArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let RetireArgs { version, actor } = arguments;
    let command = PackageCommand::Retire { package: version.package.clone() };
    Order { command, database: version.database.database.as_deref(), actor }
        .carry_out(output, config, |_| "gets no new runs".to_owned())
}

/// Forgets a version.
pub(crate) fn remove(arguments: &RemoveArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let RemoveArgs { version, actor } = arguments;
    let command = PackageCommand::Remove { package: version.package.clone() };
    Order { command, database: version.database.database.as_deref(), actor }
        .carry_out(output, config, |_| "is removed".to_owned())
}

/// Keeps a version from being used.
pub(crate) fn quarantine(arguments: &QuarantineArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let QuarantineArgs { version, reason, actor } = arguments;
    let command = PackageCommand::Quarantine { package: version.package.clone(), reason: reason.clone() };
    let done = |_: &PackageAnswer| "is quarantined: no task of it starts".to_owned();
    Order { command, database: version.database.database.as_deref(), actor }.carry_out(output, config, done)
}

/// Lets a quarantined version be used again.
pub(crate) fn release(arguments: &ReleaseArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let ReleaseArgs { version, actor } = arguments;
    let command = PackageCommand::Release { package: version.package.clone() };
    let done = |now: &PackageAnswer| format!("is {} again", now.state);
    Order { command, database: version.database.database.as_deref(), actor }.carry_out(output, config, done)
}

impl ChangedView {
    pub(super) fn new(answer: &PackageAnswer) -> Self {
        Self {
            tenant: answer.tenant.clone(),
            name: answer.name.clone(),
            version: answer.version.clone(),
            content_digest: answer.digest.clone(),
            state: answer.state.clone(),
            share: answer.share.unwrap_or(0),
            workflows: answer.workflows.clone(),
        }
    }
}

impl Order<'_> {
    fn carry_out(
        self,
        output: &Output,
        config: &Config,
        done: impl FnOnce(&PackageAnswer) -> String,
    ) -> Result<u8, Error> {
        let Self { command, database, actor } = self;
        let database = Database::choose(database, config)?;
        let by = actor::name(actor, config);
        let now =
            with_engine(&database, output, async |engine| engine.perform_package(command, Vec::new(), &by).await)?;
        output.answer(&ChangedView::new(&now), |_| {
            format!("{}::{}@{} {}\n", now.tenant, now.name, now.version, done(&now))
        })?;
        Ok(exit::SUCCESS)
    }
}
