//! Login: from a password to an access token, and on with a refresh token.
//!
//! The caller has no credential yet, so these handlers act for the server itself and take nothing but what they compare.

use std::net::IpAddr;

use axum::{
    Json as Shown,
    extract::{DefaultBodyLimit, FromRequestParts, State},
    http::{StatusCode, request::Parts},
};
use cloacina::{Access, Asked, Caller, Clock, LoggedIn, SystemClock};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::{Admission, App, Shared},
    asker::{self, Asker},
    auth::{EXPIRES_IN, Refusal, TokenKey, address},
    body::Json,
    problem::{Problem, Problems},
    refused::Refused,
};

/// Bytes of the body of a login at most. It is read before it is known who sends it, and a password has 1,024 bytes.
const BODY_MAX: usize = 8 * 1024;

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// The name of the account.
    username: String,
    /// Its password.
    #[schema(format = Password)]
    password: String,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    /// The token.
    refresh_token: String,
}

/// What to ask with, and how to go on when it has expired.
#[derive(Serialize, ToSchema)]
struct Tokens {
    /// Send it as `authorization: Bearer`.
    access_token: String,
    /// Exchange it for new tokens. It can be used once; the answer that was lost is given again for ten seconds.
    refresh_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: u64,
}

/// Who the caller is.
#[derive(Serialize, ToSchema)]
struct Whoami {
    /// The name that histories keep.
    actor: String,
    /// The tenant that the caller sees. Absent if it sees every tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// `worker`, `viewer`, `operator` or `admin`.
    role: &'static str,
}

/// From where a login comes.
struct Origin {
    address: IpAddr,
    asked: Asked,
}

impl FromRequestParts<Shared> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        Ok(Self { address: address(parts), asked: asker::asked(parts) })
    }
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    let routes = OpenApiRouter::new().routes(routes!(login)).routes(routes!(refresh)).routes(routes!(logout));
    routes.routes(routes!(whoami)).layer(DefaultBodyLimit::max(BODY_MAX))
}

/// Logs in.
#[utoipa::path(post, path = "/auth/login", tag = "auth", operation_id = "auth_login", request_body = Credentials, responses(
    (status = 200, description = "The tokens.", body = Tokens),
    Problems,
))]
async fn login(
    State(app): State<Shared>,
    from: Origin,
    Json(body): Json<Credentials>,
) -> Result<Shown<Tokens>, Problem> {
    let key = token_key(&app)?;
    let Credentials { username, password } = body;
    let taken = app.throttle.take(&username, from.address, SystemClock.now());
    taken.map_err(|wait| Refused::Auth(Refusal::TooMany { wait }))?;
    let logged_in = access(&app, from.asked).log_in(&username, password).await?;
    let logged_in = logged_in.ok_or(Refused::Auth(Refusal::BadPassword))?;
    app.throttle.succeeded(&username, from.address);
    Ok(tokens(key, logged_in))
}

/// Exchanges a refresh token for new tokens.
///
/// A token that was used longer than ten seconds ago ends its session: one of two holders is a thief.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", operation_id = "auth_refresh", request_body = Refresh, responses(
    (status = 200, description = "The tokens.", body = Tokens),
    Problems,
))]
async fn refresh(State(app): State<Shared>, from: Origin, Json(body): Json<Refresh>) -> Result<Shown<Tokens>, Problem> {
    let key = token_key(&app)?;
    let refreshed = access(&app, from.asked).refresh(&body.refresh_token).await?;
    Ok(tokens(key, refreshed.ok_or(Refused::Auth(Refusal::BadRefreshToken))?))
}

/// Ends the session of a refresh token. An unknown token ends nothing, and that is not an error.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", operation_id = "auth_logout", request_body = Refresh, responses(
    (status = 204, description = "The session has ended."),
    Problems,
))]
async fn logout(State(app): State<Shared>, from: Origin, Json(body): Json<Refresh>) -> Result<StatusCode, Problem> {
    token_key(&app)?;
    access(&app, from.asked).log_out(&body.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who the caller is.
#[utoipa::path(get, path = "/auth/whoami", tag = "auth", operation_id = "auth_whoami", responses(
    (status = 200, description = "The caller.", body = Whoami),
    Problems,
))]
async fn whoami(asker: Asker) -> Shown<Whoami> {
    let tenant = asker.engine.caller().tenant().map(str::to_owned);
    Shown(Whoami { actor: asker.actor, tenant, role: asker.identity.role.as_str() })
}

fn token_key(app: &App) -> Result<&TokenKey, Refused> {
    match &app.admission {
        Admission::Login { key } => Ok(key),
        Admission::Loopback { .. } => Err(Refused::Auth(Refusal::NoLogin)),
    }
}

/// The handle of the server itself: the caller has not shown who it is.
fn access(app: &App, asked: Asked) -> Access {
    app.engine.on_behalf_of(Caller::owner()).access().asked_from(asked)
}

fn tokens(key: &TokenKey, logged_in: LoggedIn) -> Shown<Tokens> {
    let access_token = key.issue(&logged_in.identity.actor, SystemClock.now());
    let refresh_token = logged_in.refresh_token;
    Shown(Tokens { access_token, refresh_token, token_type: "Bearer", expires_in: EXPIRES_IN })
}
