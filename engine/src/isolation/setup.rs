//! What an engine and a package host tell each other before the first call, as JSON.
//!
//! Both are the same program, so there is no version to agree on: a host that reads something else is not ours.

use std::path::PathBuf;

use cloacina_packager::Class;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Confinement, Limits, Sandbox, error::UNCONFINED, sandbox::Grants};
use crate::loader;

/// What a host is to load, and within which bounds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    /// The library's file.
    pub(super) library: PathBuf,
    /// Its digest, in hexadecimal.
    pub(super) digest: String,
    /// What it must say of itself.
    pub(super) descriptor: Box<RawValue>,
    /// Threads for the package's own runtime.
    pub(super) workers: u32,
    /// The number of the most verbose level of log lines that anyone wants.
    pub(super) max_log_level: u32,
    pub(super) sandbox: Sandbox,
    /// Whether the library is refused unless every step of the sandbox is in force.
    pub(super) requires_sandbox: bool,
    pub(super) grants: Grants,
    pub(super) limits: Limits,
    /// How long the package may take to shut down when the connection ends.
    pub(super) grace_ms: u64,
}

/// The library is loaded.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    /// What keeps it in, in words.
    pub(super) confinement: Confinement,
}

/// The library is not loaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NotReady {
    pub(crate) code: String,
    pub(crate) class: Class,
    pub(crate) message: String,
    pub(crate) hints: Vec<String>,
}

impl NotReady {
    /// The sandbox is not what is required.
    pub(super) fn unconfined(confinement: &Confinement) -> Self {
        let message = format!("the sandbox of the package is not complete: {confinement}");
        let hints =
            vec!["use a kernel that has what is missing, or do not require it: no `--require-sandbox`".to_owned()];
        Self { code: UNCONFINED.to_owned(), class: Class::Unavailable, message, hints }
    }

    pub(super) fn new(error: &loader::Error) -> Self {
        let (code, class) = (error.code().to_owned(), error.class());
        Self { code, class, message: loader::with_causes(error), hints: error.hints() }
    }
}
