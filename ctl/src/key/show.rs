//! `key show`: the public half of a key, to be given to users who should trust it.
//!
//! Takes a name, the path of a public key's file, or its line; a secret key is never looked into.

use serde::Serialize;

use super::Ring;
use crate::cli::KeyShowArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    public_key: String,
}

/// Shows a key.
pub(crate) fn show(arguments: &KeyShowArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let ring = Ring::choose(arguments.ring.keys.as_deref(), config)?;
    let key = ring.public(&arguments.key)?;
    // As text it is the file, so that it can be sent on.
    output.answer(&Shown { id: key.id().to_string(), public_key: key.line() }, |_| key.text())?;
    Ok(exit::SUCCESS)
}
