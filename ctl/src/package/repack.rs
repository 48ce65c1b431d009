//! `package repack`: an archive that another tar made, in the one form that is read.

use std::path::PathBuf;

use cloacina_packager::{Digest, Limits, ReadOptions};
use serde::Serialize;
use utoipa::ToSchema;

use super::place;
use crate::cli::RepackArgs;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, size};

/// An archive in the one canonical form.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Repacked {
    /// The file of the archive.
    #[schema(value_type = String)]
    archive: PathBuf,
    /// The size of the archive, in bytes.
    size: u64,
    /// The digest of what the package does: the identity of the version.
    content_digest: String,
    /// The digest of the archive's bytes.
    archive_digest: String,
    /// Whether the old archive was canonical already.
    was_canonical: bool,
}

impl Document for Repacked {}

/// Writes an archive again.
pub(crate) fn repack(arguments: &RepackArgs, output: &Output) -> Result<u8, Error> {
    let old = place::read(&arguments.file)?;
    let archive = cloacina_packager::repack(&old, &Limits::default()).map_err(Error::of_file(&arguments.file))?;
    let package = cloacina_packager::read_with(&archive, &ReadOptions::default())?;
    let to = arguments.to.as_ref().unwrap_or(&arguments.file);
    place::write(to, &archive)?;
    let repacked = Repacked {
        archive: to.clone(),
        size: archive.len() as u64,
        content_digest: package.content_digest().to_string(),
        archive_digest: Digest::of(&archive).to_string(),
        was_canonical: old == archive,
    };
    output.answer(&repacked, |paint| {
        let what = if repacked.was_canonical { "was canonical already" } else { "written canonically" };
        let archive = repacked.archive.display();
        format!(
            "{} {archive}, {}: {what}\n  content digest  {}\n  archive digest  {}\n",
            paint.green("repacked"),
            size(repacked.size),
            repacked.content_digest,
            repacked.archive_digest
        )
    })?;
    Ok(exit::SUCCESS)
}
