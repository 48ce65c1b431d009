//! Users: the accounts of people.
//!
//! No answer has a password or its hash.

use axum::{Json as Shown, extract::OriginalUri, http::StatusCode};
use cloacina::{AccountRecord, NewAccount, Role};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Json, Parameters},
    listed::{Listed, PageQuery},
    problem::{Problem, Problems},
    refused::Refused,
};

/// An account to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// The name to log in with, of letters, digits and `_-.@`.
    name: String,
    /// The password, of 12 to 1,024 bytes.
    #[schema(format = Password)]
    password: String,
    /// `worker`, `viewer`, `operator` or `admin`.
    role: String,
    /// The tenant that the account sees; without one, what the caller sees.
    tenant: Option<String>,
}

/// A password to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The password, of 12 to 1,024 bytes.
    #[schema(format = Password)]
    password: String,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(get))
        .routes(routes!(disable))
        .routes(routes!(set_password))
}

/// The accounts that the caller sees, by name.
#[utoipa::path(get, path = "/users", tag = "access", operation_id = "users_list", params(PageQuery), responses(
    (status = 200, description = "A page of accounts.", body = [AccountRecord],
        headers(("link" = String, description = "The address of the next page, if there is one, as `<…>; rel=\"next\"`."))),
    Problems,
))]
async fn list(
    asker: Asker,
    OriginalUri(uri): OriginalUri,
    Parameters(page): Parameters<PageQuery>,
) -> Result<Listed<AccountRecord>, Problem> {
    let (n_max, after) = page.place()?;
    let accounts = asker.access().accounts(after.unwrap_or_default(), n_max).await?;
    Ok(Listed::up_to(n_max, accounts, &uri, |last| Some(last.name.clone())))
}

/// Makes an account.
#[utoipa::path(post, path = "/users", tag = "access", operation_id = "users_add", request_body = NewUser, responses(
    (status = 201, description = "The account.", body = AccountRecord),
    Problems,
))]
async fn add(asker: Asker, Json(new): Json<NewUser>) -> Result<(StatusCode, Shown<AccountRecord>), Problem> {
    let NewUser { name, password, role, tenant } = new;
    let (role, tenant) = (self::role(&role)?, self::tenant(&asker, tenant));
    let new = NewAccount { name, tenant, role, password };
    let account = asker.access().account_add(new).await?;
    Ok((StatusCode::CREATED, Shown(account)))
}

/// An account.
#[utoipa::path(get, path = "/users/{name}", tag = "access", operation_id = "users_get",
    params(("name" = String, Path, description = "The name of the account.")),
    responses((status = 200, description = "The account.", body = AccountRecord), Problems))]
async fn get(asker: Asker, InPath(name): InPath<String>) -> Result<Shown<AccountRecord>, Problem> {
    Ok(Shown(asker.access().account(&name).await?))
}

/// Lets an account log in no longer, and ends its sessions.
#[utoipa::path(post, path = "/users/{name}/disable", tag = "access", operation_id = "users_disable",
    params(("name" = String, Path, description = "The name of the account.")),
    responses((status = 200, description = "The account.", body = AccountRecord), Problems))]
async fn disable(asker: Asker, InPath(name): InPath<String>) -> Result<Shown<AccountRecord>, Problem> {
    Ok(Shown(asker.access().account_disable(&name).await?))
}

/// Gives an account another password, and ends its sessions.
#[utoipa::path(post, path = "/users/{name}/password", tag = "access", operation_id = "users_set_password",
    params(("name" = String, Path, description = "The name of the account.")), request_body = NewPassword,
    responses((status = 204, description = "The password holds from now on."), Problems))]
async fn set_password(
    asker: Asker,
    InPath(name): InPath<String>,
    Json(new): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    asker.access().account_set_password(&name, new.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The tenant that was named, or what the caller sees.
pub(super) fn tenant(asker: &Asker, named: Option<String>) -> Option<String> {
    named.or_else(|| asker.engine.caller().tenant().map(str::to_owned))
}

/// The role of that name.
pub(super) fn role(name: &str) -> Result<Role, Refused> {
    let known = || Role::ALL.map(Role::as_str).join(", ");
    name.parse().map_err(|()| Refused::Shape { reason: format!("the role is {name:?}, and it can be {}", known()) })
}
