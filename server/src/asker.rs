//! Who asks: from a request to an engine that acts for its caller.
//!
//! A handler gets at the engine by this extractor alone.

use axum::{extract::FromRequestParts, http::request::Parts};
use cloacina::{Caller, Engine, Records, Role};

use crate::{
    app::{Access, Shared},
    problem::Problem,
    refused::Refused,
};

/// The header by which a caller who sees every tenant names one.
pub(crate) const TENANT: &str = "cloacina-tenant";

/// An engine that acts for the caller of a request.
#[derive(Debug)]
pub(crate) struct Asker {
    /// The engine, as the caller sees it.
    pub(crate) engine: Engine,
    /// The name that the history keeps.
    pub(crate) actor: String,
}

impl FromRequestParts<Shared> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let caller = caller(parts, app)?;
        let actor = caller.actor().to_owned();
        Ok(Self { engine: app.engine.on_behalf_of(caller), actor })
    }
}

impl Asker {
    /// Asks the records of the database, as the caller sees them, on a thread that may block.
    pub(crate) async fn records<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Records) -> Result<T, cloacina::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let engine = self.engine.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&mut engine.records()?));
        match asked.await {
            Ok(answer) => Ok(answer?),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

fn caller(parts: &Parts, app: &Shared) -> Result<Caller, Problem> {
    let Access::Loopback { actor } = &app.access;
    let named = parts.headers.get(TENANT).map(|value| value.to_str());
    let caller = match named {
        None => Caller::of_every_tenant(actor),
        Some(Ok(tenant)) => Caller::of_tenant(tenant, actor, Role::Admin),
        Some(Err(_)) => {
            return Err(Refused::Header { name: TENANT, reason: "the value has characters that are not ASCII" }.into());
        }
    };
    caller.map_err(|refused| cloacina::Error::from(refused).into())
}
