//! `config new-key`: a key for encrypted settings, in a file that its owner alone can read.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use super::seal::SealKey;
use super::surroundings::Config;
use crate::cli::ConfigNewKeyArgs;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::key::new_secret;
use crate::output::Output;

/// A key for encrypted settings that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewKey {
    /// The file of the key.
    file: String,
}

impl Document for NewKey {}

/// Makes a key.
pub(crate) fn new_key(arguments: &ConfigNewKeyArgs, output: &Output, _: &Config) -> Result<u8, Error> {
    let path = arguments.file.as_path();
    let key = SealKey::random().map_err(|error| no_random_bytes(&error))?;
    write(path, &format!("{}\n", key.line()))?;
    let made = NewKey { file: path.display().to_string() };
    output.answer(&made, |paint| {
        format!(
            "{} {}\n  encrypt  cloacina-ctl config encrypt database.url --key-file {1}\n  use      CLOACINA_SETTINGS_KEY_FILE={1}\n",
            paint.green("made the key"),
            made.file
        )
    })?;
    Ok(exit::SUCCESS)
}

/// The error of a system without random bytes.
pub(super) fn no_random_bytes(error: &getrandom::Error) -> Error {
    Error::Io {
        action: "take random bytes from",
        path: "the system".into(),
        source: io::Error::other(error.to_string()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => Error::SettingsKeyExists { path: path.into() },
        _ => Error::Io { action: "write", path: path.into(), source },
    };
    let mut file = new_secret(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}
