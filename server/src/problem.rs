//! Every refusal as a problem document (RFC 9457), with the code, the hints and the page of the error.
//!
//! The class of an error is its status, in one exhaustive match. A handler returns a problem and never a bare status.

use std::{error::Error as _, sync::Arc};

use axum::{
    extract::rejection::{BytesRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use cloacina::Class;
use serde::Serialize;
use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{ContentBuilder, HeaderBuilder, RefOr, ResponseBuilder},
};

use crate::{auth::seconds, refused::Refused};

/// The media type of a problem document.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A reference to the page of the error code, relative to the server.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: Box<str>,
    /// The status in words, the same for every problem of that status.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// The stable code of the error.
    code: &'static str,
    /// What the caller can do about it.
    hints: Vec<String>,
    /// The id of the request, as in the header `x-request-id`.
    #[schema(value_type = String)]
    request_id: Box<str>,
    /// The seconds after which the same request may be answered otherwise.
    #[serde(skip)]
    retry_after: Option<u16>,
}

/// The kind of trouble as a status.
fn status(class: Class) -> StatusCode {
    match class {
        Class::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Class::NotFound => StatusCode::NOT_FOUND,
        Class::Conflict => StatusCode::CONFLICT,
        Class::Denied => StatusCode::FORBIDDEN,
        Class::Busy | Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Class::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: String, hints: Vec<String>) -> Self {
        Self {
            kind: format!("/errors/{code}").into(),
            title: status.canonical_reason().unwrap_or("Refused"),
            status: status.as_u16(),
            detail,
            code,
            hints,
            request_id: Box::default(),
            retry_after: None,
        }
    }

    /// The same problem, with one more hint.
    pub(crate) fn with_hint(mut self, hint: String) -> Self {
        self.hints.push(hint);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn code(&self) -> &str {
        self.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The document for the request of that id.
    pub(crate) fn document(&self, request_id: &str) -> Vec<u8> {
        let shown = Self { request_id: request_id.into(), ..self.clone() };
        // Texts and numbers are always JSON.
        serde_json::to_vec(&shown).unwrap_or_default()
    }
}

impl From<cloacina::Error> for Problem {
    fn from(error: cloacina::Error) -> Self {
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // A wrapper that shows its source itself says the same twice.
            if !detail.ends_with(&cause_text) {
                detail.push_str(": ");
                detail.push_str(&cause_text);
            }
            source = cause.source();
        }
        Self::new(status(error.class()), error.code(), detail, error.hints())
    }
}

impl From<cloacina::RegistryError> for Problem {
    fn from(error: cloacina::RegistryError) -> Self {
        cloacina::Error::from(error).into()
    }
}

impl From<cloacina::AccessError> for Problem {
    fn from(error: cloacina::AccessError) -> Self {
        cloacina::Error::from(error).into()
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let hints = vec![refused.hint().to_owned()];
        let retry_after = refused.wait().map(|wait| u16::try_from(seconds(wait)).unwrap_or(u16::MAX));
        Self { retry_after, ..Self::new(refused.status(), refused.code(), refused.to_string(), hints) }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Refused::from(rejection).into()
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Refused::from(rejection).into()
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Refused::from(rejection).into()
    }
}

/// The body is written by the guard, which knows the id of the request.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if self.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The problems that every call may be answered with.
#[derive(Debug)]
pub(crate) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> std::collections::BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let content = || ContentBuilder::new().schema(Some(utoipa::openapi::Ref::from_schema_name("Problem"))).build();
        let described = [
            ("400", "The request cannot be read."),
            ("401", "The request has no credential that holds."),
            ("403", "The caller may not do that, or the request comes from elsewhere."),
            ("404", "There is no such thing that the caller could see."),
            ("405", "The path does not take that method."),
            ("409", "The present state does not allow that."),
            ("413", "The body is too large."),
            ("415", "The body is of another media type."),
            ("422", "The request can be read, and cannot be done."),
            ("429", "There were too many requests."),
            ("500", "A fault of the server."),
            ("503", "The server cannot do that now; the same request may succeed later."),
        ];
        let wait = || HeaderBuilder::new().description(Some("Seconds to wait.")).schema(Some(u64::schema())).build();
        let response = |(status, text): (&str, &str)| {
            let response = ResponseBuilder::new().description(text).content(MEDIA_TYPE, content());
            let response = if status == "429" { response.header("retry-after", wait()) } else { response };
            (status.to_owned(), RefOr::T(response.build()))
        };
        described.into_iter().map(response).collect()
    }
}

/// Names the schema, so that the responses can refer to it.
pub(crate) fn schema() -> (String, RefOr<utoipa::openapi::Schema>) {
    (Problem::name().into_owned(), Problem::schema())
}
