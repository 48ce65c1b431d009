//! Bodies and parameters of requests, read so that every mistake becomes a problem.
//!
//! A body is read only if its media type is named, and never beyond the limit of the guard.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use cloacina_workflow::payload::check_exact;
use serde::de::DeserializeOwned;
use utoipa::{
    IntoParams, PartialSchema,
    openapi::{
        Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};

use crate::{app::Shared, problem::Problem, refused::Refused};

/// The header that makes a submission happen once.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The submission key of a request that makes a run: the same request again is answered with the same run.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

/// The parameters of the query.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Parameters<T>(pub(crate) T);

/// The parameters of the path.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct InPath<T>(pub(crate) T);

/// A JSON body, all of whose values can be kept as they are written.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may be left out.
#[derive(Debug)]
pub(crate) struct MaybeJson<T>(pub(crate) Option<T>);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        check_media_type(request.headers())?;
        Ok(Self(parse(&Bytes::from_request(request, app).await?)?))
    }
}

impl<T: DeserializeOwned> FromRequest<Shared> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        let checked = check_media_type(request.headers());
        let body = Bytes::from_request(request, app).await?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        checked?;
        Ok(Self(Some(parse(&body)?)))
    }
}

impl FromRequestParts<Shared> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        Ok(Self(header_text(&parts.headers, IDEMPOTENCY_KEY)?.map(str::to_owned)))
    }
}

/// The value of a header that may be left out.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Refused> {
    let value = headers.get(name).map(|value| value.to_str()).transpose();
    value.map_err(|_| Refused::Header { name, reason: "the value has characters that are not ASCII" })
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let described = "The submission key of the one run: the same request again is answered with the same run.";
        let parameter = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        vec![parameter.required(Required::False).description(Some(described)).schema(Some(String::schema())).build()]
    }
}

/// A page of another site cannot send JSON without asking the server first, so JSON must be named.
fn check_media_type(headers: &HeaderMap) -> Result<(), Refused> {
    let found = headers.get(header::CONTENT_TYPE).map_or("nothing", |value| value.to_str().unwrap_or("unreadable"));
    let essence = found.split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json");
    if is_json { Ok(()) } else { Err(Refused::MediaType { found: found.to_owned() }) }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let text = str::from_utf8(body).map_err(|error| Refused::NotJson { reason: error.to_string() })?;
    serde_json::from_str(text)
        .map_err(|error| match error.is_data() {
            true => Refused::Shape { reason: error.to_string() },
            false => Refused::NotJson { reason: error.to_string() },
        })
        .and_then(|value| match check_exact(text) {
            Ok(()) => Ok(value),
            Err(inexact) => Err(Refused::Shape { reason: inexact.to_string() }),
        })
}
