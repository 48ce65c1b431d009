//! What the server itself refuses, before an engine is asked: codes `SRV…`.
//!
//! Values in the fields, advice in [`Refused::hint`], a page in `docs/errors/` for each code.

use std::time::Duration;

use axum::{
    extract::rejection::{BytesRejection, PathRejection, QueryRejection},
    http::StatusCode,
};

use crate::auth::Refusal;

/// A request that the server does not pass on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The body is not JSON.
    #[error("the body of the request is not JSON: {reason}")]
    NotJson { reason: String },
    /// The body is JSON of another shape.
    #[error("the body of the request does not fit: {reason}")]
    Shape { reason: String },
    /// The body is said to be something else than JSON.
    #[error("the body of the request is said to be {found}, and JSON is needed")]
    MediaType { found: String },
    /// The body is said to be neither an archive nor a form.
    #[error("the body of the request is said to be {found}, and an archive or a form is needed")]
    NoArchive { found: String },
    /// The body is larger than the server takes.
    #[error("the body of the request is larger than the server takes")]
    TooLarge,
    /// The body did not arrive.
    #[error("the body of the request cannot be read: {reason}")]
    Unread { reason: String },
    /// A part of the path or of the query is wrong.
    #[error("the {part} of the request does not fit: {reason}")]
    Parameter { part: &'static str, reason: String },
    /// A header is wrong.
    #[error("the header {name} cannot be used: {reason}")]
    Header { name: &'static str, reason: &'static str },
    /// There is no such path.
    #[error("the server has no path {path}")]
    NoPath { path: String },
    /// The path does not take that method.
    #[error("{path} does not take {method}")]
    NoMethod { path: String, method: String },
    /// The request names another host than this server.
    #[error("the request is for the host {host:?}, and this server answers for loopback names alone")]
    Host { host: String },
    /// A page of another site sent the request.
    #[error("a page of {origin} sent the request, and this server answers to its own pages alone")]
    Origin { origin: String },
    /// An adapter cannot do that, because the engine cannot do it yet.
    #[error("{what}")]
    NotYet { what: &'static str, instead: &'static str },
    /// An adapter was asked to run a command.
    #[error("the server runs no commands, and the request has one")]
    NoCommands,
    /// An adapter knows nothing of that id.
    #[error("there is no {what} {id}")]
    Unknown { what: &'static str, id: String },
    /// The request is for a part that the content does not have.
    #[error("the content has {n_bytes} bytes, and the header range asks for others")]
    Range { n_bytes: u64 },
    /// The embedded worker cannot be removed.
    #[error("the embedded worker is part of the server and cannot be removed")]
    EmbeddedWorker,
    /// The tenant has as many workers as it can have, and all of them are online.
    #[error("the tenant has {limit} workers that are online, and cannot have more")]
    TooManyWorkers { limit: usize },
    /// There is no place for another connection.
    #[error("the server has as many connections as it may have")]
    Crowded,
    /// Somebody was not let in.
    #[error(transparent)]
    Auth(#[from] Refusal),
}

impl Refused {
    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "SRV0001",
            Self::Shape { .. } => "SRV0002",
            Self::MediaType { .. } => "SRV0003",
            Self::TooLarge => "SRV0004",
            Self::Unread { .. } => "SRV0005",
            Self::Parameter { .. } => "SRV0006",
            Self::Header { .. } => "SRV0007",
            Self::NoPath { .. } => "SRV0008",
            Self::NoMethod { .. } => "SRV0009",
            Self::Host { .. } => "SRV0010",
            Self::Origin { .. } => "SRV0011",
            Self::NoArchive { .. } => "SRV0012",
            Self::NotYet { .. } => "SRV0030",
            Self::NoCommands => "SRV0031",
            Self::Unknown { .. } => "SRV0032",
            Self::Range { .. } => "SRV0035",
            Self::EmbeddedWorker => "SRV0033",
            Self::TooManyWorkers { .. } => "SRV0034",
            Self::Crowded => "SRV0024",
            Self::Auth(refusal) => refusal.code(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotJson { .. } | Self::Unread { .. } | Self::Parameter { .. } | Self::Header { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::Shape { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::MediaType { .. } | Self::NoArchive { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoPath { .. } | Self::Unknown { .. } => StatusCode::NOT_FOUND,
            Self::NoMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Host { .. } | Self::Origin { .. } | Self::NoCommands => StatusCode::FORBIDDEN,
            Self::EmbeddedWorker | Self::TooManyWorkers { .. } => StatusCode::CONFLICT,
            Self::NotYet { .. } => StatusCode::NOT_IMPLEMENTED,
            Self::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Auth(refusal) => refusal.status(),
        }
    }

    /// How long to wait before the same request.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Auth(Refusal::TooMany { wait } | Refusal::TooFast { wait, .. }) => Some(*wait),
            _ => None,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "send one JSON value, encoded as UTF-8",
            Self::Shape { .. } | Self::Parameter { .. } => "/openapi.json and /swagger-ui describe each request",
            Self::MediaType { .. } => {
                "send the header `content-type: application/json`, or `application/toml` where a definition is sent"
            }
            Self::NoArchive { .. } => {
                "send the file as `application/octet-stream`, or as the part `archive` of a form: curl -F archive=@FILE"
            }
            Self::TooLarge => {
                "send less; a value that is large belongs into storage of its own, with its address in the input"
            }
            Self::Unread { .. } => "send the request again",
            Self::Header { .. } => "send another value, or leave the header out",
            Self::NoPath { .. } => "/openapi.json and /swagger-ui list the paths",
            Self::NoMethod { .. } => "the header `allow` of the answer lists the methods",
            Self::Host { .. } => "use the address that the server printed when it started",
            Self::Auth(refusal) => refusal.hint(),
            Self::Origin { .. } => "open the pages of the server itself, or ask from a program",
            Self::NotYet { instead, .. } => instead,
            Self::NoCommands => "leave `command` out: the tasks of the job run what their package holds",
            Self::Unknown { .. } => "the id may be of another tenant or server, or the server may have forgotten it",
            Self::Range { .. } => {
                "ask for bytes that are there: `content-range` says how many there are; or leave `range` out"
            }
            Self::EmbeddedWorker => "end the server; its unfinished runs go on with the next start",
            Self::Crowded => "close connections that are not used, and connect again",
            Self::TooManyWorkers { .. } => "remove workers that have ended: DELETE /api/v1/workers/ID",
        }
    }
}

impl From<BytesRejection> for Refused {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            _ => Self::Unread { reason: rejection.body_text() },
        }
    }
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Self::Parameter { part: "query", reason: rejection.body_text() }
    }
}

impl From<PathRejection> for Refused {
    fn from(rejection: PathRejection) -> Self {
        Self::Parameter { part: "path", reason: rejection.body_text() }
    }
}
