//! The libraries of a package's version: one for each target that its archive is for.
//!
//! They stand in one column as JSON, as they are written once and always read together. Which of them an engine loads is
//! its own to say; here a target is text. A workflow as data stands there as its only library, with its definition.

use cloacina_packager::Digest;
use serde::{Deserialize, Serialize};

use super::Error;

/// One library of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LibraryRow {
    /// The target triple; absent for that of the machine that registered the version, before targets were written down.
    pub(crate) target: Option<String>,
    /// Of the file.
    pub(crate) digest: Digest,
    /// Below the folder of packages, so that the data folder may be moved.
    pub(crate) path: String,
    /// JSON of what the library says of itself.
    pub(crate) descriptor: String,
    /// The canonical form of a workflow as data, which has no file.
    pub(crate) definition: Option<String>,
}

/// As it stands in the column.
#[derive(Serialize, Deserialize)]
struct Stored {
    target: Option<String>,
    digest: String,
    path: String,
    descriptor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    definition: Option<String>,
}

/// The text of the column.
pub(super) fn libraries_text(libraries: &[LibraryRow]) -> String {
    let stored = libraries.iter().map(|library| Stored {
        target: library.target.clone(),
        digest: library.digest.hex(),
        path: library.path.clone(),
        descriptor: library.descriptor.clone(),
        definition: library.definition.clone(),
    });
    // Text and options of text are always JSON.
    serde_json::to_string(&stored.collect::<Vec<_>>()).unwrap_or_default()
}

/// What the column says; never none at all.
pub(super) fn libraries_of(text: &str) -> Result<Vec<LibraryRow>, Error> {
    let corrupt = |reason: String| Error::Corrupt { reason: format!("the libraries of a package: {reason}") };
    let stored: Vec<Stored> = serde_json::from_str(text).map_err(|error| corrupt(error.to_string()))?;
    if stored.is_empty() {
        return Err(corrupt("there are none".to_owned()));
    }
    let library = |Stored { target, digest, path, descriptor, definition }| {
        let digest = Digest::from_hex(&digest).map_err(|error| corrupt(error.to_string()))?;
        Ok(LibraryRow { target, digest, path, descriptor, definition })
    };
    stored.into_iter().map(library).collect()
}
