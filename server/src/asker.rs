//! Who asks: from a request to an engine that acts for its caller.
//!
//! A handler gets at the engine by this extractor alone.

use axum::{extract::FromRequestParts, http::request::Parts};
use cloacina::{Asked, Engine, Identity, Records};

use crate::{
    app::Shared,
    auth::{Authorized, Refusal, address},
    guard,
    problem::Problem,
    refused::Refused,
};

/// An engine that acts for the caller of a request.
#[derive(Debug)]
pub(crate) struct Asker {
    /// The engine, as the caller sees it.
    pub(crate) engine: Engine,
    /// The name that the history keeps.
    pub(crate) actor: String,
    /// Who the caller is.
    pub(crate) identity: Identity,
    asked: Asked,
}

impl FromRequestParts<Shared> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        // Without it the request did not pass the gate.
        let authorized = parts.extensions.get::<Authorized>().cloned();
        let Authorized { caller, identity } = authorized.ok_or(Refused::Auth(Refusal::NoCredential))?;
        let (actor, asked) = (caller.actor().to_owned(), asked(parts));
        Ok(Self { engine: app.engine.on_behalf_of(caller), actor, identity, asked })
    }
}

impl Asker {
    /// The handle that shows and changes who may ask.
    pub(crate) fn access(&self) -> cloacina::Access {
        self.engine.access().asked_from(self.asked.clone())
    }

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

/// From where a request comes, for the audit log.
pub(crate) fn asked(parts: &Parts) -> Asked {
    let request_id = parts.headers.get(guard::REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    Asked { address: address(parts).to_string(), request_id: request_id.to_owned() }
}
