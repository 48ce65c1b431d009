//! Tenants: listing and making them.
//!
//! A tenant of a credential sees itself alone. A caller that makes a tenant must see every tenant.

use axum::{Json as Shown, http::StatusCode};
use cloacina::TenantRecord;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::Json,
    listed::Listed,
    problem::{Problem, Problems},
};

/// A tenant to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTenant {
    /// Its name.
    name: String,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, add))
}

/// The tenants that the caller sees, by name.
#[utoipa::path(get, path = "/tenants", tag = "access", operation_id = "tenants_list", responses(
    (status = 200, description = "The tenants.", body = [TenantRecord]),
    Problems,
))]
async fn list(asker: Asker) -> Result<Listed<TenantRecord>, Problem> {
    Ok(Listed::all(asker.access().tenants().await?))
}

/// Makes a tenant. The caller must see every tenant.
#[utoipa::path(post, path = "/tenants", tag = "access", operation_id = "tenants_add", request_body = NewTenant, responses(
    (status = 201, description = "The tenant.", body = TenantRecord),
    Problems,
))]
async fn add(asker: Asker, Json(new): Json<NewTenant>) -> Result<(StatusCode, Shown<TenantRecord>), Problem> {
    let tenant = asker.access().tenant_add(&new.name).await?;
    Ok((StatusCode::CREATED, Shown(tenant)))
}
