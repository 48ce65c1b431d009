//! API keys: what programs ask with.
//!
//! The text of a key is in the answer that makes it, and in no other.

use axum::{Json as Shown, extract::OriginalUri, http::StatusCode};
use cloacina::{ApiKeyRecord, NewKey, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::user::{role, tenant};
use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Json, Parameters},
    listed::{Listed, PageQuery},
    problem::{Problem, Problems},
};

/// A key to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewApiKey {
    /// The name, of letters, digits and `_-.@`.
    name: String,
    /// `worker`, `viewer`, `operator` or `admin`.
    role: String,
    /// The tenant that the key sees; without one, what the caller sees.
    tenant: Option<String>,
    /// From when on the key is refused; never, without it.
    #[schema(value_type = Option<cloacina::Moment>)]
    expires_at: Option<Timestamp>,
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
struct Issued {
    /// The key. It is shown this once, and kept nowhere.
    key: String,
    /// What is kept of it.
    #[serde(flatten)]
    record: ApiKeyRecord,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(revoke))
}

/// The API keys that the caller sees, by id; revoked ones too.
#[utoipa::path(get, path = "/keys", tag = "access", operation_id = "keys_list", params(PageQuery), responses(
    (status = 200, description = "A page of keys.", body = [ApiKeyRecord],
        headers(("link" = String, description = "The address of the next page, if there is one, as `<…>; rel=\"next\"`."))),
    Problems,
))]
async fn list(
    asker: Asker,
    OriginalUri(uri): OriginalUri,
    Parameters(page): Parameters<PageQuery>,
) -> Result<Listed<ApiKeyRecord>, Problem> {
    let (n_max, after) = page.place()?;
    let keys = asker.access().keys(after.unwrap_or_default(), n_max).await?;
    Ok(Listed::up_to(n_max, keys, &uri, |last| Some(last.id.clone())))
}

/// Makes an API key.
#[utoipa::path(post, path = "/keys", tag = "access", operation_id = "keys_add", request_body = NewApiKey, responses(
    (status = 201, description = "The key.", body = Issued),
    Problems,
))]
async fn add(asker: Asker, Json(new): Json<NewApiKey>) -> Result<(StatusCode, Shown<Issued>), Problem> {
    let NewApiKey { name, role: named, tenant: wanted, expires_at } = new;
    let new = NewKey { name, tenant: tenant(&asker, wanted), role: role(&named)?, expires_at };
    let issued = asker.access().key_add(new).await?;
    Ok((StatusCode::CREATED, Shown(Issued { key: issued.text, record: issued.record })))
}

/// Refuses a key from now on, for good.
#[utoipa::path(delete, path = "/keys/{id}", tag = "access", operation_id = "keys_revoke",
    params(("id" = String, Path, description = "The id of the key.")),
    responses((status = 204, description = "The key is refused from now on."), Problems))]
async fn revoke(asker: Asker, InPath(id): InPath<String>) -> Result<StatusCode, Problem> {
    asker.access().key_revoke(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
