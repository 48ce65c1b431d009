//! Why an engine could not be asked through its socket, or what it answered instead of a report.
//!
//! A refusal is the engine's own error, carried over whole: who reads it cannot tell which process it came from.

use std::{error::Error as StdError, fmt, io, path::PathBuf};

use cloacina_packager::Class;
use serde::{Deserialize, Serialize};

use crate::{Error as EngineError, RegistryError};

/// The code of a refusal for want of room.
const CROWDED: &str = "SOC0007";

/// Why a command got no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An engine has the database, and its socket cannot be used.
    #[error("the engine of the database cannot be reached through {}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Engine and program are of different versions.
    #[error("the engine speaks version {theirs} of the protocol ({program}), and this program speaks version {ours}")]
    Version {
        /// The engine's.
        theirs: u32,
        /// What the engine says it is.
        program: String,
        /// This program's.
        ours: u32,
    },
    /// The bytes are not a message, or too large for one.
    #[error("the message is refused: {reason}")]
    Message {
        /// What is wrong with it.
        reason: String,
    },
    /// The connection ended before the answer came.
    #[error("the engine went away before it answered")]
    Lost {
        /// What the system said.
        source: io::Error,
    },
    /// The socket belongs to somebody else.
    #[error("the socket {} is served by the user {uid}", path.display())]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// Who serves it.
        uid: u32,
    },
    /// The engine serves as many as it can.
    #[error("the engine has reached its limit of {what}: {max}")]
    Crowded {
        /// Of what there are too many.
        what: String,
        /// How many there may be.
        max: usize,
    },
    /// The client is a process that a sandbox keeps in, such as that of a package.
    #[error("the engine refuses requests of a process in a sandbox: {reason}")]
    Confined {
        /// How that shows.
        reason: String,
    },
    /// The engine said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// An engine's error, as it came through the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    code: String,
    class: Class,
    is_ending: bool,
    message: String,
    cause: Option<Box<Cause>>,
    hints: Vec<String>,
}

/// One of the reasons behind an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cause {
    message: String,
    cause: Option<Box<Cause>>,
}

impl Error {
    /// Whether there is an engine that serves another user, and not this one.
    #[must_use]
    pub fn is_of_another_user(&self) -> bool {
        match self {
            Self::Stranger { .. } => true,
            Self::Unreachable { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            _ => false,
        }
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => Class::Unavailable,
            Self::Version { .. } => Class::Conflict,
            Self::Message { .. } => Class::Invalid,
            Self::Stranger { .. } | Self::Confined { .. } => Class::Denied,
            Self::Crowded { .. } => Class::Busy,
            Self::Refused(refusal) => refusal.class,
        }
    }

    /// Whether nothing was done because the engine is about to end, or has ended.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Refused(refusal) => refusal.is_ending,
            _ => false,
        }
    }

    /// The stable code; each has a page under `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "SOC0001",
            Self::Version { .. } => "SOC0002",
            Self::Message { .. } => "SOC0003",
            Self::Lost { .. } => "SOC0004",
            Self::Stranger { .. } => "SOC0005",
            Self::Crowded { .. } => CROWDED,
            Self::Confined { .. } => "SOC0006",
            Self::Refused(refusal) => &refusal.code,
        }
    }

    /// Whether the engine refused for want of room, and nothing was done.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        matches!(self, Self::Crowded { .. }) || self.code() == CROWDED
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Unreachable { .. } => "check the process whose id is in the lock file beside the database",
            Self::Version { .. } => "use the program that the engine was started with, or restart the engine",
            Self::Message { .. } => {
                "the message may be too large, or contain a value that cannot be stored exactly: see `cloacina-ctl explain SOC0003`"
            }
            Self::Lost { .. } => {
                "show the run to see whether the request was performed; a request is durable before it is answered"
            }
            Self::Stranger { .. } => "run this as the user of the engine, or as root",
            Self::Crowded { .. } => "try again in a moment; end programs that keep idle connections open",
            Self::Confined { .. } => {
                "run the command outside of packages, and outside of services that are more restricted than the engine"
            }
            Self::Refused(refusal) => return refusal.hints.clone(),
        };
        vec![hint.to_owned()]
    }
}

impl Refusal {
    /// That error, for the other side.
    pub(super) fn new(error: &EngineError) -> Self {
        let is_ending = error.is_ending();
        Self { is_ending, ..Self::of(error.code(), error.class(), error, error.hints()) }
    }

    /// The same of an error of the registry.
    pub(super) fn of_registry(error: &RegistryError) -> Self {
        let is_ending = error.is_ending();
        Self { is_ending, ..Self::of(error.code(), error.class(), error, error.hints()) }
    }

    /// The same of an error of the socket itself.
    pub(super) fn of_socket(error: &Error) -> Self {
        Self::of(error.code(), error.class(), error, error.hints())
    }

    fn of(code: &str, class: Class, error: &dyn StdError, hints: Vec<String>) -> Self {
        let (code, cause) = (code.to_owned(), Cause::of(error.source()));
        Self { code, class, is_ending: false, message: error.to_string(), cause, hints }
    }
}

impl Cause {
    fn of(error: Option<&dyn StdError>) -> Option<Box<Self>> {
        error.map(|error| Box::new(Self { message: error.to_string(), cause: Self::of(error.source()) }))
    }
}

impl StdError for Refusal {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}
