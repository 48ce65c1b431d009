//! Packages: registering, listing and withdrawing versions.
//!
//! An upload is an archive or a form with the archive and its signatures. The engine checks it before anything of it is
//! written or loaded.

use axum::{
    Json as Shown,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Multipart, OriginalUri, Request},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use cloacina::{
    PackageAnswer, PackageCommand, PackageEvent, PackageFilter, PackagePlace, PackageRecord, PackageState, Page,
};
use headers::ContentType;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Json, MaybeJson, Parameters},
    listed::{Listed, cursor_of, limit, place_of},
    problem::{Problem, Problems},
    ranged::{RangedBytes, RangedRequest, ranged},
    refused::Refused,
};

/// Bytes of an upload at most: the largest archive, with its signatures.
const UPLOAD_MAX: usize = 65 << 20;

/// How an archive is registered.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RegisterQuery {
    /// The tenant; without one, the one that the package names, else `public`.
    tenant: Option<String>,
    /// Whether new runs get it: `true` at once, `false` later, and without a word if it is the first version.
    activate: Option<bool>,
    /// Register a build among others of the same version: other content gets the first digits of its digest after the version.
    #[serde(default)]
    build: bool,
}

/// Which versions are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only packages of this tenant.
    tenant: Option<String>,
    /// Only packages of this name.
    name: Option<String>,
    /// Only versions in this state: `registered`, `active`, `retired` or `quarantined`.
    state: Option<String>,
    /// How many versions at most, 1 to 1,000; 50 unless said otherwise.
    limit: Option<usize>,
    /// Where the page begins, as the header `link` of the page before says.
    cursor: Option<String>,
}

/// How many new runs a version gets.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Share {
    /// How many of a hundred, while the version that was active gets the rest; all without it.
    percent: Option<u8>,
}

/// Why a version must not be used.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// The reason, for people.
    reason: String,
}

/// The bytes of a `.cloacina` file.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes the body, which is read as it is")]
struct Archive(Vec<u8>);

/// An archive as a form, with its detached signatures.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read part by part")]
struct Form {
    /// The bytes of a `.cloacina` file.
    #[schema(value_type = String, format = Binary)]
    archive: Vec<u8>,
    /// The text of `.minisig` files.
    signature: Vec<String>,
}

/// What came with a request to register.
#[derive(Debug, Default)]
struct Uploaded {
    archive: Vec<u8>,
    signatures: Vec<String>,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, register))
        .layer(DefaultBodyLimit::max(UPLOAD_MAX))
        .routes(routes!(get, remove))
        .routes(routes!(events))
        .routes(routes!(archive))
        .routes(routes!(activate))
        .routes(routes!(roll_back))
        .routes(routes!(retire))
        .routes(routes!(quarantine))
        .routes(routes!(release))
}

/// The versions of packages, by tenant and name; of one package those registered first in front.
#[utoipa::path(get, path = "/packages", tag = "packages", operation_id = "packages_list", params(ListQuery), responses(
    (status = 200, description = "A page of versions.", body = [PackageRecord],
        headers(("link" = String, description = "The address of the next page, if there is one, as `<…>; rel=\"next\"`."))),
    Problems,
))]
async fn list(
    asker: Asker,
    OriginalUri(uri): OriginalUri,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Listed<PackageRecord>, Problem> {
    let ListQuery { tenant, name, state, limit: asked, cursor } = query;
    let state = state.as_deref().map(state_of).transpose()?;
    let filter = PackageFilter { tenant, name, state, digests: None };
    let page = Page { limit: limit(asked)?, after: cursor.as_deref().map(place_of::<PackagePlace>).transpose()? };
    let found = asker.engine.list_packages(&filter, &page).await?;
    Ok(Listed::page(found.packages, &uri, found.next.as_ref().map(cursor_of)))
}

fn state_of(text: &str) -> Result<PackageState, Refused> {
    let known = PackageState::ALL.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| Refused::Parameter {
        part: "query",
        reason: format!("state is {text:?}, and it can be {}", PackageState::ALL.map(PackageState::as_str).join(", ")),
    })
}

/// Registers a package: the body is the archive, or a form with the archive and its signatures.
#[utoipa::path(post, path = "/packages", tag = "packages", operation_id = "packages_register", params(RegisterQuery),
    request_body(content(
        (Archive = "application/octet-stream"),
        (Form = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The tenant has had the same content before.", body = PackageAnswer),
        (status = 201, description = "The version is registered, durably.", body = PackageAnswer),
        Problems,
    ))]
async fn register(
    asker: Asker,
    Parameters(RegisterQuery { tenant, activate, build }): Parameters<RegisterQuery>,
    Uploaded { archive, signatures }: Uploaded,
) -> Result<(StatusCode, Shown<PackageAnswer>), Problem> {
    let command = PackageCommand::Register { tenant, activate, signatures, is_build: build };
    let answer = asker.engine.perform_package(command, archive, &asker.actor).await?;
    let is_new = answer.registration.as_ref().is_some_and(|registration| registration.is_new);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Shown(answer)))
}

impl FromRequest<Shared> for Uploaded {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        let found = request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unreadable"));
        let found = found.unwrap_or("nothing").to_owned();
        match found.split(';').next().unwrap_or_default().trim() {
            "application/octet-stream" => {
                let archive = Bytes::from_request(request, app).await?.into();
                Ok(Self { archive, signatures: Vec::new() })
            }
            "multipart/form-data" => {
                let form = Multipart::from_request(request, app).await;
                Self::of_form(form.map_err(|rejection| Refused::Unread { reason: rejection.body_text() })?).await
            }
            _ => Err(Refused::NoArchive { found }.into()),
        }
    }
}

impl Uploaded {
    async fn of_form(mut form: Multipart) -> Result<Self, Problem> {
        let unread = |error: axum::extract::multipart::MultipartError| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refused::TooLarge,
            _ => Refused::Unread { reason: error.body_text() },
        };
        let mut uploaded = Self::default();
        while let Some(part) = form.next_field().await.map_err(unread)? {
            match part.name() {
                Some("archive") => uploaded.archive = part.bytes().await.map_err(unread)?.into(),
                Some("signature") => uploaded.signatures.push(part.text().await.map_err(unread)?),
                other => {
                    let reason =
                        format!("the form has a part {:?}; `archive` and `signature` are known", other.unwrap_or(""));
                    return Err(Refused::Shape { reason }.into());
                }
            }
        }
        Ok(uploaded)
    }
}

/// One version of a package: `package`, `tenant::package`, either with `@version`, or `sha256:` and the first digits of a
/// digest. Without a version, the active one.
#[utoipa::path(get, path = "/packages/{package}", tag = "packages", operation_id = "packages_get",
    params(("package" = String, Path, description = "The version.")),
    responses((status = 200, description = "The version.", body = PackageRecord), Problems))]
async fn get(asker: Asker, InPath(package): InPath<String>) -> Result<Shown<PackageRecord>, Problem> {
    Ok(Shown(asker.records(move |records| records.package(&package)).await?))
}

/// What happened to the versions of a package, oldest first.
#[utoipa::path(get, path = "/packages/{package}/events", tag = "packages", operation_id = "packages_events",
    params(("package" = String, Path, description = "The package.")),
    responses((status = 200, description = "The events.", body = [PackageEvent]), Problems))]
async fn events(asker: Asker, InPath(package): InPath<String>) -> Result<Listed<PackageEvent>, Problem> {
    Ok(Listed::all(asker.records(move |records| records.package_events(&package)).await?))
}

/// The archive of a version as it was registered; for a workflow as data its canonical form. Parts of the answer can be asked
/// for with `range`.
#[utoipa::path(get, path = "/packages/{package}/archive", tag = "packages", operation_id = "packages_archive",
    params(("package" = String, Path, description = "The version."), RangedRequest),
    responses(
        (status = 200, description = "The bytes.", body = Archive, content_type = "application/octet-stream",
            headers(("etag" = String, description = "The digest of the bytes, in quotes."))),
        RangedBytes, Problems,
    ))]
async fn archive(asker: Asker, headers: HeaderMap, InPath(package): InPath<String>) -> Result<Response, Problem> {
    let name = package.clone();
    let kept = asker.records(move |records| records.package_archive(&name)).await?;
    let (_, bytes) = kept.ok_or(Refused::Unknown { what: "archive of the package", id: package })?;
    Ok(ranged(&headers, ContentType::octet_stream(), bytes))
}

/// Lets new runs take a version, all of them or some.
#[utoipa::path(post, path = "/packages/{package}/activate", tag = "packages", operation_id = "packages_activate",
    params(("package" = String, Path, description = "The version.")), request_body = Option<Share>,
    responses((status = 200, description = "The version.", body = PackageRecord), Problems))]
async fn activate(
    asker: Asker,
    InPath(package): InPath<String>,
    MaybeJson(share): MaybeJson<Share>,
) -> Result<Shown<PackageRecord>, Problem> {
    let percent = share.unwrap_or_default().percent;
    change(&asker, PackageCommand::Activate { package, percent }).await
}

/// Goes back to the version that was active before.
#[utoipa::path(post, path = "/packages/{package}/rollback", tag = "packages", operation_id = "packages_rollback",
    params(("package" = String, Path, description = "The package.")),
    responses((status = 200, description = "The version that is active now.", body = PackageRecord), Problems))]
async fn roll_back(asker: Asker, InPath(package): InPath<String>) -> Result<Shown<PackageRecord>, Problem> {
    change(&asker, PackageCommand::RollBack { package }).await
}

/// Lets new runs take a version no more; the runs that it has go on.
#[utoipa::path(post, path = "/packages/{package}/retire", tag = "packages", operation_id = "packages_retire",
    params(("package" = String, Path, description = "The version.")),
    responses((status = 200, description = "The version.", body = PackageRecord), Problems))]
async fn retire(asker: Asker, InPath(package): InPath<String>) -> Result<Shown<PackageRecord>, Problem> {
    change(&asker, PackageCommand::Retire { package }).await
}

/// Keeps a version from being used, until it is released: nothing more of its runs is started.
#[utoipa::path(post, path = "/packages/{package}/quarantine", tag = "packages", operation_id = "packages_quarantine",
    params(("package" = String, Path, description = "The version.")), request_body = Reason,
    responses((status = 200, description = "The version.", body = PackageRecord), Problems))]
async fn quarantine(
    asker: Asker,
    InPath(package): InPath<String>,
    Json(Reason { reason }): Json<Reason>,
) -> Result<Shown<PackageRecord>, Problem> {
    change(&asker, PackageCommand::Quarantine { package, reason }).await
}

/// Lets a quarantined version be used again.
#[utoipa::path(post, path = "/packages/{package}/release", tag = "packages", operation_id = "packages_release",
    params(("package" = String, Path, description = "The version.")),
    responses((status = 200, description = "The version.", body = PackageRecord), Problems))]
async fn release(asker: Asker, InPath(package): InPath<String>) -> Result<Shown<PackageRecord>, Problem> {
    change(&asker, PackageCommand::Release { package }).await
}

/// Removes a version that no unfinished run needs.
#[utoipa::path(delete, path = "/packages/{package}", tag = "packages", operation_id = "packages_remove",
    params(("package" = String, Path, description = "The version.")),
    responses((status = 204, description = "The version is gone."), Problems))]
async fn remove(asker: Asker, InPath(package): InPath<String>) -> Result<StatusCode, Problem> {
    asker.engine.perform_package(PackageCommand::Remove { package }, Vec::new(), &asker.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn change(asker: &Asker, command: PackageCommand) -> Result<Shown<PackageRecord>, Problem> {
    Ok(Shown(asker.engine.perform_package(command, Vec::new(), &asker.actor).await?.package))
}
