//! Why a request has no answer: the server cannot be reached, or it refused.
//!
//! A refusal keeps the code, the hints and the class that the error has on the server. Errors of the client itself have codes
//! of their own, with a page in `docs/errors/` for each.

use std::{error::Error as StdError, io, path::PathBuf};

use cloacina::Class;
use hyper::StatusCode;
use serde::Deserialize;

/// What the layers below say.
pub(crate) type Source = Box<dyn StdError + Send + Sync>;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not the address of a server.
    #[error("`{text}` is not the address of a server: {reason}")]
    Address {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing answers at the address.
    #[error("the server {url} cannot be reached")]
    Unreachable {
        /// The address.
        url: String,
        /// What the system says.
        source: Source,
    },
    /// No certificate authority can be read, so that no server could be trusted.
    #[error("the certificate authorities of {place} cannot be read: {reason}")]
    Authorities {
        /// Where they are.
        place: String,
        /// What is wrong with them.
        reason: String,
    },
    /// The certificate of the server is not trusted. Nothing was sent.
    #[error("the server {url} is not trusted: {reason}")]
    Untrusted {
        /// The address.
        url: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The connection ended before the answer was whole. Whether the request was performed is not known.
    #[error("the connection to the server {url} was lost")]
    Lost {
        /// The address.
        url: String,
        /// What the system says.
        source: Source,
    },
    /// The answer is none that a server of this version gives.
    #[error("the answer of {url} is not understood: {reason}")]
    Answer {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that is to be sent cannot be read.
    #[error("cannot read `{}`", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A header cannot have that value.
    #[error("the {what} has characters that a header cannot have")]
    Header {
        /// What the value is.
        what: &'static str,
    },
    /// The server refused.
    #[error("{}", .0.message)]
    Refused(Box<Problem>),
}

/// Why a server refused a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The stable code of the error, which has a page in `docs/errors`.
    pub code: String,
    /// The error in words.
    #[serde(rename = "detail")]
    pub message: String,
    /// What the caller can do about it.
    #[serde(default)]
    pub hints: Vec<String>,
    /// The id of the request, by which the log of the server names it.
    #[serde(default)]
    pub request_id: String,
}

impl Error {
    /// The stable code; `docs/errors/<code>.md` explains it.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Address { .. } => "CLN0001",
            Self::Unreachable { .. } => "CLN0002",
            Self::Lost { .. } => "CLN0003",
            Self::Answer { .. } => "CLN0004",
            Self::File { .. } => "CLN0005",
            Self::Header { .. } => "CLN0006",
            Self::Authorities { .. } => "CLN0007",
            Self::Untrusted { .. } => "CLN0008",
            Self::Refused(problem) => &problem.code,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let one = |hint: &str| vec![hint.to_owned()];
        match self {
            Self::Address { .. } => one("an address looks like http://127.0.0.1:8080 or https://cloacina.example.com"),
            Self::Unreachable { .. } => one(
                "check the address, and whether the server runs: `cloacina-ctl serve` and `cloacina-ctl dev` print theirs",
            ),
            Self::Lost { .. } => {
                one("the request may have been performed: look before it is sent again, or send it with the same key")
            }
            Self::Answer { .. } => {
                one("check that the address is that of a Cloacina server, and of the same version as this program")
            }
            Self::File { .. } => one(
                "name a file that this user can read; a relative path starts at the folder in which the program runs",
            ),
            Self::Authorities { .. } | Self::Untrusted { .. } => {
                one("name a file in PEM with the authority that the certificate of the server is of: --ca-file FILE")
            }
            Self::Header { .. } => one("use printable ASCII characters alone"),
            Self::Refused(problem) => problem.hints.clone(),
        }
    }

    /// The kind of trouble.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Address { .. } | Self::File { .. } | Self::Header { .. } | Self::Authorities { .. } => Class::Invalid,
            Self::Untrusted { .. } => Class::Denied,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Answer { .. } => Class::Unavailable,
            Self::Refused(problem) => problem.class(),
        }
    }

    /// The id of the request, if the server answered.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => Some(&problem.request_id),
            _ => None,
        }
    }

    /// Whether the server does not know who asks.
    #[must_use]
    pub fn is_without_credential(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == StatusCode::UNAUTHORIZED.as_u16())
    }

    /// Whether the same request may succeed over another connection.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Refused(problem) => problem.class() == Class::Unavailable,
            Self::Address { .. }
            | Self::Authorities { .. }
            | Self::Untrusted { .. }
            | Self::Answer { .. }
            | Self::File { .. }
            | Self::Header { .. } => false,
        }
    }
}

impl Problem {
    /// The kind of trouble, which the server shows as the status.
    #[must_use]
    pub fn class(&self) -> Class {
        match StatusCode::from_u16(self.status) {
            Ok(StatusCode::NOT_FOUND) => Class::NotFound,
            Ok(StatusCode::CONFLICT) => Class::Conflict,
            Ok(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Class::Denied,
            Ok(StatusCode::TOO_MANY_REQUESTS) => Class::Busy,
            Ok(StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) => {
                Class::Unavailable
            }
            Ok(status) if status.is_client_error() => Class::Invalid,
            Ok(_) | Err(_) => Class::Internal,
        }
    }
}
