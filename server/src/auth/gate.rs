//! The one place that every routed request passes: who asks, and whether the role suffices.
//!
//! A request passes with an [`Authorized`] in its extensions, or is answered here. No handler reads a credential.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cloacina::{API_KEY_BEGIN, Caller, Clock, Identity, Role, SystemClock};

use super::{Permissions, Refusal, permission::Need};
use crate::{
    app::{Admission, Shared},
    body::header_text,
    problem::Problem,
    refused::Refused,
};

/// The header by which a caller who sees every tenant names one.
pub(crate) const TENANT: &str = "cloacina-tenant";

/// What comes before a credential, in any case.
const BEARER: &str = "bearer ";

/// What the gate needs.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) app: Shared,
    pub(crate) permissions: Arc<Permissions>,
}

/// On whose behalf a request is made. Handlers find it in the request.
#[derive(Clone, Debug)]
pub(crate) struct Authorized {
    pub(crate) caller: Caller,
    pub(crate) identity: Identity,
}

/// Lets a request pass whose credential has the role that its route needs.
pub(crate) async fn check_credential(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let Some(need) = gate.permissions.need(&path, request.method()) else {
        return no_method(&gate.permissions, &path, &request);
    };
    if need == Need::Nothing {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let identity = match identify(&gate.app, &parts).await {
        Ok(identity) => identity,
        Err(problem) => return problem.into_response(),
    };
    let counted = gate.app.limits.count(identity.tenant.as_deref(), &identity.actor, SystemClock.now());
    let (mut response, told) = match counted {
        Ok(told) => (answer(identity, need, Request::from_parts(parts, body), next).await, told),
        Err((refusal, told)) => (Problem::from(Refused::Auth(refusal)).into_response(), told),
    };
    told.extend(response.headers_mut());
    response
}

/// What the handler answers to a request, if the role of the identity suffices.
async fn answer(identity: Identity, need: Need, mut request: Request, next: Next) -> Response {
    match authorize(identity, need, request.headers()) {
        Ok(authorized) => {
            request.extensions_mut().insert(authorized);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// A method that no operation of the path has.
fn no_method(permissions: &Permissions, path: &str, request: &Request) -> Response {
    let (path_asked, method) = (request.uri().path().to_owned(), request.method().to_string());
    let mut response = Problem::from(Refused::NoMethod { path: path_asked, method }).into_response();
    let allowed = HeaderValue::from_str(&permissions.methods(path)).ok();
    response.headers_mut().extend(allowed.map(|allowed| (header::ALLOW, allowed)));
    response
}

async fn identify(app: &Shared, parts: &Parts) -> Result<Identity, Problem> {
    match &app.admission {
        Admission::Loopback { actor } => Ok(Identity::of_every_tenant(actor)),
        Admission::Login { key } => {
            let credential = credential(&parts.headers)?;
            let access = app.engine.on_behalf_of(Caller::owner()).access();
            let found = if credential.starts_with(API_KEY_BEGIN) {
                access.identify_key(credential).await
            } else {
                match key.account(credential, SystemClock.now()) {
                    Some(account) => access.identify_account(&account).await,
                    None => Ok(None),
                }
            };
            Ok(found?.ok_or(Refused::Auth(Refusal::BadCredential))?)
        }
    }
}

fn authorize(identity: Identity, need: Need, headers: &HeaderMap) -> Result<Authorized, Problem> {
    let own = identity.caller().map_err(cloacina::Error::from)?;
    match need {
        Need::Nothing | Need::Credential => {}
        Need::Role(needed) => own.check(needed).map_err(cloacina::Error::from)?,
        Need::EveryTenant => own.check_every_tenant().map_err(cloacina::Error::from)?,
    }
    Ok(Authorized { caller: caller(own, headers)?, identity })
}

/// The credential of a request.
fn credential(headers: &HeaderMap) -> Result<&str, Refused> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Refused::Auth(Refusal::NoCredential))?;
    let text = value.to_str().unwrap_or_default();
    let named = text.get(..BEARER.len()).filter(|scheme| scheme.eq_ignore_ascii_case(BEARER));
    let credential = named.and_then(|_| text.get(BEARER.len()..)).map(str::trim).filter(|text| !text.is_empty());
    credential.ok_or(Refused::Auth(Refusal::BadCredential))
}

/// The caller for the tenant that the header names, if it may name one.
fn caller(own: Caller, headers: &HeaderMap) -> Result<Caller, Problem> {
    match header_text(headers, TENANT)? {
        Some(named) if own.tenant() != Some(named) => {
            own.check_every_tenant().map_err(cloacina::Error::from)?;
            Ok(Caller::of_tenant(named, own.actor(), Role::Admin).map_err(cloacina::Error::from)?)
        }
        _ => Ok(own),
    }
}

/// The address that a request comes from.
pub(crate) fn address(parts: &Parts) -> IpAddr {
    let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    from.expect("invariant: the server adds the address of the connection to each request").0.ip()
}
