//! `package sign`: a signature beside an archive.
//!
//! The archive is read as at its registration, so that an unusable archive is never signed.

use std::fs;
use std::path::PathBuf;

use cloacina_packager::ReadOptions;
use cloacina_packager::sign::Signature;
use serde::Serialize;
use utoipa::ToSchema;

use super::place;
use crate::cli::SignArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::key::Ring;
use crate::output::Output;

/// A signature beside an archive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Signed {
    /// The file of the signature.
    #[schema(value_type = String)]
    signature: PathBuf,
    /// The id of the key, 16 hexadecimal digits.
    key: String,
    /// The comment that is signed with it.
    comment: String,
    /// Whether a valid signature by the key existed already, and was kept.
    was_signed: bool,
}

impl Document for Signed {}

/// Signs an archive.
pub(crate) fn sign(arguments: &SignArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let archive = place::read(&arguments.file)?;
    let package = cloacina_packager::read_with(&archive, &ReadOptions::default());
    let package = package.map_err(Error::of_file(&arguments.file))?;
    let ring = Ring::choose(arguments.ring.keys.as_deref(), config)?;
    let key = ring.secret(&arguments.key, config.key_password.as_deref())?;
    let signature = key.sign(&archive, &package)?;
    let path = signature.path_beside(&arguments.file);
    let existing = fs::read_to_string(&path).ok().and_then(|text| Signature::from_text(&text).ok());
    let was_signed = existing.is_some_and(|existing| {
        existing.verify(&archive, key.public()).is_ok() && existing.check_facts(&package).is_ok()
    });
    if !was_signed {
        place::write(&path, signature.text().as_bytes())?;
    }
    let key = signature.key_id().to_string();
    let signed = Signed { signature: path, key, comment: signature.comment(), was_signed };
    output.answer(&signed, |paint| {
        let what = if was_signed { "was signed already" } else { "signed" };
        let (path, key) = (signed.signature.display(), &signed.key);
        format!(
            "{} {}\n  by       {key}\n  says     {}\n  in       {path}\n",
            paint.green(what),
            arguments.file.display(),
            signed.comment
        )
    })?;
    Ok(exit::SUCCESS)
}
