//! `cloacina-ctl serve`: the engine of a database, and its HTTP interface.

use cloacina_server::Access;

use super::life::{Living, Start, listen};
use crate::actor;
use crate::cli::{ActorArgs, ServeArgs};
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// Serves until somebody asks the program to stop.
pub(crate) fn serve(arguments: &ServeArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let access = match arguments.no_login {
        true => Access::Loopback { actor: actor::name(&ActorArgs::default(), config) },
        false => Access::Login { token_key: arguments.token_key.clone() },
    };
    let start = Start {
        listener: listen(arguments.listen, access, &arguments.engine)?,
        database: &database,
        isolation: &arguments.isolation,
        engine: &arguments.engine,
    };
    super::life::runtime()?.block_on(async {
        let living = Living::start(start, output).await?;
        let started = living.started();
        output.part(&started, |paint| started.text(paint))?;
        living.serve(output).await
    })?;
    Ok(exit::SUCCESS)
}
