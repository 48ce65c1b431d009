//! `key show`: the public key, for users that should trust it.
//!
//! Takes a name, the path of a public key's file, or its line; a secret key is never looked into.

use serde::Serialize;
use utoipa::ToSchema;

use super::Ring;
use crate::cli::KeyShowArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// A public key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    /// The id of the key, 16 hexadecimal digits.
    id: String,
    /// The public key, in one line.
    public_key: String,
}

impl Document for Shown {}

/// Shows a key.
pub(crate) fn show(arguments: &KeyShowArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let ring = Ring::choose(arguments.ring.keys.as_deref(), config)?;
    let key = ring.public(&arguments.key)?;
    // As text it is the file, so that it can be sent on.
    output.answer(&Shown { id: key.id().to_string(), public_key: key.line() }, |_| key.text())?;
    Ok(exit::SUCCESS)
}
