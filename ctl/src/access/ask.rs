//! Asking who may ask: a database as the owner of the machine, or a server with a credential.
//!
//! The caller of a command line that has the database itself has the role of an admin, and nothing asks for a password.

use cloacina::{Caller, Role};

use super::authority::Authority;
use crate::cli::{ActorArgs, DatabaseArgs};
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;
use crate::place::Place;
use crate::runs::{runtime, with_idle_engine};

/// Asks on behalf of an admin of that tenant; without one, of every tenant, or of what the credential for a server sees.
pub(super) fn ask<T>(
    (database, actor): (&DatabaseArgs, &ActorArgs),
    tenant: Option<&str>,
    (output, config): (&Output, &Config),
    ask: impl AsyncFnOnce(Authority) -> Result<T, Error>,
) -> Result<T, Error> {
    let place = Place::choose(database, config)?;
    let actor = place.actor(actor, config)?;
    let database = match place {
        Place::Database(database) => database,
        Place::Server(server) => {
            return runtime()?.block_on(async {
                let client = server.of_tenant(tenant).client()?;
                ask(Authority::Server(Box::new(client))).await
            });
        }
    };
    let caller = match tenant {
        Some(tenant) => Caller::of_tenant(tenant, &actor, Role::Admin),
        None => Caller::of_every_tenant(&actor),
    };
    let caller = caller.map_err(cloacina::Error::from)?;
    let asked = with_idle_engine(&database, output, async |engine| {
        ask(Authority::Engine(engine.on_behalf_of(caller).access())).await
    });
    asked.inspect_err(|error| {
        if error.is_of_a_moment() {
            output.note("if a server drives the database, ask the server: --server URL");
        }
    })
}
