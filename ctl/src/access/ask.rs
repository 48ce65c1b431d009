//! Asking the database who may ask, as the owner of the machine.
//!
//! The caller of a command line has the database itself, so the role is that of an admin, and nothing asks for a password.

use cloacina::{Access, Caller, Role};

use crate::actor;
use crate::cli::{ActorArgs, DatabaseArgs};
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;
use crate::place::Place;
use crate::runs::with_idle_engine;

/// Items of a list that are read at once.
const PAGE: usize = 1_000;

/// All items of a list that is read in pages. `next` reads at most so many items after the last one that was read.
pub(super) async fn all<T>(
    mut next: impl AsyncFnMut(Option<&T>, usize) -> Result<Vec<T>, cloacina::AccessError>,
) -> Result<Vec<T>, cloacina::AccessError> {
    let mut items = Vec::new();
    loop {
        let page = next(items.last(), PAGE).await?;
        let is_last = page.len() < PAGE;
        items.extend(page);
        if is_last {
            return Ok(items);
        }
    }
}

/// Asks on behalf of an admin of that tenant; without one, of every tenant.
pub(super) fn ask<T>(
    (database, actor): (&DatabaseArgs, &ActorArgs),
    tenant: Option<&str>,
    (output, config): (&Output, &Config),
    ask: impl AsyncFnOnce(Access) -> Result<T, cloacina::AccessError>,
) -> Result<T, Error> {
    let database = Place::database(database, config)?;
    let actor = actor::name(actor, config);
    let caller = match tenant {
        Some(tenant) => Caller::of_tenant(tenant, &actor, Role::Admin),
        None => Caller::of_every_tenant(&actor),
    };
    let caller = caller.map_err(cloacina::Error::from)?;
    let asked = with_idle_engine(&database, output, async |engine| {
        Ok(ask(engine.on_behalf_of(caller).access()).await.map_err(cloacina::Error::from)?)
    });
    asked.inspect_err(|error| {
        if error.is_of_a_moment() {
            output.note("if a server drives the database, ask the server: /api/v1/tenants, /users, /keys and /audit");
        }
    })
}
