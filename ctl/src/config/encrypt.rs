//! `config encrypt`: a secret value, so that it can stand in a file which others can read.
//!
//! The value comes from the standard input, so that it is in no list of processes and in no history of a shell.

use std::io::Read;
use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use super::kind::Kind;
use super::new_key::no_random_bytes;
use super::settings::key;
use super::surroundings::Config;
use super::table::{SETTINGS, setting};
use crate::cli::ConfigEncryptArgs;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// The longest value that is encrypted; far more than the address of a database needs.
const BYTES_MAX: u64 = 64 * 1024;

/// The encrypted value of a setting.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Encrypted {
    /// The setting.
    setting: String,
    /// The encrypted value.
    encrypted: String,
}

impl Document for Encrypted {}

/// Encrypts the standard input.
pub(crate) fn encrypt(arguments: &ConfigEncryptArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let name = arguments.setting.as_str();
    if !setting(name).is_some_and(|setting| matches!(setting.kind, Kind::Secret)) {
        let secrets = SETTINGS.iter().filter(|setting| matches!(setting.kind, Kind::Secret));
        let available = secrets.map(|setting| setting.name.to_owned()).collect();
        return Err(Error::NotSealable { name: name.to_owned(), available });
    }
    let config = match &arguments.key_file {
        Some(file) => &Config { settings_key: None, settings_key_file: Some(file.clone()), ..config.clone() },
        None => config,
    };
    let key = key(config)?.ok_or_else(|| Error::NoSettingsKey { place: format!("`{name}`") })?;
    let encrypted = key.seal(name, &input()?).map_err(|error| no_random_bytes(&error))?;
    let encrypted = Encrypted { setting: name.to_owned(), encrypted };
    output.answer(&encrypted, |_| encrypted.text())?;
    Ok(exit::SUCCESS)
}

impl Encrypted {
    /// The lines for the file.
    fn text(&self) -> String {
        let (section, key) = self.setting.split_once('.').unwrap_or(("", &self.setting));
        format!("[{section}]\n{key} = {{ encrypted = \"{}\" }}\n", self.encrypted)
    }
}

/// The standard input without the end of its last line.
fn input() -> Result<String, Error> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(BYTES_MAX).read_to_string(&mut text);
    read.map_err(|source| Error::Io { action: "read", path: Path::new("the standard input").into(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
