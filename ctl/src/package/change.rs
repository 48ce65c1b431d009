//! `package activate`, `rollback`, `retire`, `remove`, `quarantine` and `release`: one change each, and what came of it.
//!
//! Whether a change is possible is decided by the engine; here arguments become a [`PackageCommand`].

use cloacina::{PackageCommand, PackageRecord};

use crate::cli::{
    ActivateArgs, ActorArgs, DatabaseArgs, QuarantineArgs, ReleaseArgs, RemoveArgs, RetireArgs, RollbackArgs,
};
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::place::Place;
use crate::runs::with_engine;

impl Document for PackageRecord {}

/// A change, and where it is made.
struct Order<'a> {
    command: PackageCommand,
    database: &'a DatabaseArgs,
    actor: &'a ActorArgs,
}

/// Lets new runs take a version.
pub(crate) fn activate(arguments: &ActivateArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let ActivateArgs { version, percent, actor } = arguments;
    let command = PackageCommand::Activate { package: version.package.clone(), percent: *percent };
    let done = |now: &PackageRecord| match now.share {
        share if share < 100 => format!("gets {share} % of new runs"),
        _ => "gets all new runs".to_owned(),
    };
    Order { command, database: &version.database, actor }.carry_out(output, config, done)
}

/// Goes back to the version that was active before.
pub(crate) fn rollback(arguments: &RollbackArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let RollbackArgs { package, database, actor } = arguments;
    let command = PackageCommand::RollBack { package: package.clone() };
    Order { command, database, actor }.carry_out(output, config, |_| "gets all new runs again".to_owned())
}

/// Lets new runs take a version no more.
pub(crate) fn retire(arguments: &RetireArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let RetireArgs { version, actor } = arguments;
    let command = PackageCommand::Retire { package: version.package.clone() };
    Order { command, database: &version.database, actor }.carry_out(output, config, |_| "gets no new runs".to_owned())
}

/// Forgets a version.
pub(crate) fn remove(arguments: &RemoveArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let RemoveArgs { version, actor } = arguments;
    let command = PackageCommand::Remove { package: version.package.clone() };
    Order { command, database: &version.database, actor }.carry_out(output, config, |_| "is removed".to_owned())
}

/// Keeps a version from being used.
pub(crate) fn quarantine(arguments: &QuarantineArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let QuarantineArgs { version, reason, actor } = arguments;
    let command = PackageCommand::Quarantine { package: version.package.clone(), reason: reason.clone() };
    let done = |_: &PackageRecord| "is quarantined: no task of it starts".to_owned();
    Order { command, database: &version.database, actor }.carry_out(output, config, done)
}

/// Lets a quarantined version be used again.
pub(crate) fn release(arguments: &ReleaseArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let ReleaseArgs { version, actor } = arguments;
    let command = PackageCommand::Release { package: version.package.clone() };
    let done = |now: &PackageRecord| format!("is {} again", now.state);
    Order { command, database: &version.database, actor }.carry_out(output, config, done)
}

impl Order<'_> {
    fn carry_out(
        self,
        output: &Output,
        config: &Config,
        done: impl FnOnce(&PackageRecord) -> String,
    ) -> Result<u8, Error> {
        let Self { command, database, actor } = self;
        let place = Place::choose(database, config)?;
        let by = place.actor(actor, config)?;
        let now = with_engine(&place, output, async |engine| engine.perform_package(command, &by).await)?;
        output.answer(&now, |_| format!("{}::{}@{} {}\n", now.tenant, now.name, now.version, done(&now)))?;
        Ok(exit::SUCCESS)
    }
}
