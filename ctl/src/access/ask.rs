//! Asking the database who may ask, as the owner of the machine.
//!
//! The caller of a command line has the database itself, so the role is that of an admin, and nothing asks for a password.

use cloacina::{Access, Caller, Role};

use crate::actor;
use crate::cli::{ActorArgs, DatabaseArgs};
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::output::Output;
use crate::runs::with_idle_engine;

/// Asks on behalf of an admin of that tenant; without one, of every tenant.
pub(super) fn ask<T>(
    (database, actor): (&DatabaseArgs, &ActorArgs),
    tenant: Option<&str>,
    (output, config): (&Output, &Config),
    ask: impl AsyncFnOnce(Access) -> Result<T, cloacina::AccessError>,
) -> Result<T, Error> {
    let database = Database::choose(database.database.as_deref(), config)?;
    let actor = actor::name(actor, config);
    let caller = match tenant {
        Some(tenant) => Caller::of_tenant(tenant, &actor, Role::Admin),
        None => Caller::of_every_tenant(&actor),
    };
    let caller = caller.map_err(cloacina::Error::from)?;
    with_idle_engine(&database, output, async |engine| {
        Ok(ask(engine.on_behalf_of(caller).access()).await.map_err(cloacina::Error::from)?)
    })
}
