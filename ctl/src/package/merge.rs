//! `package merge`: one archive out of several that hold the same package for different targets.

use std::path::PathBuf;

use cloacina_packager::{Digest, Package, Part, ReadOptions};
use serde::Serialize;
use utoipa::ToSchema;

use super::place;
use crate::cli::MergeArgs;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, size};

/// An archive that was merged from others.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Merged {
    /// The file of the archive.
    #[schema(value_type = String)]
    archive: PathBuf,
    /// The size of the archive, in bytes.
    size: u64,
    /// The name of the package.
    package: String,
    /// Its version.
    version: String,
    /// The target triples for which it has libraries.
    targets: Vec<&'static str>,
    /// The digest of what the package does: the identity of the version.
    content_digest: String,
    /// The digest of the archive's bytes.
    archive_digest: String,
}

impl Document for Merged {}

/// Writes the archives as one.
pub(crate) fn merge(arguments: &MergeArgs, output: &Output) -> Result<u8, Error> {
    let mut parts: Vec<(String, Package)> = Vec::new();
    for file in &arguments.files {
        let package = cloacina_packager::read_with(&place::read(file)?, &ReadOptions::default());
        parts.push((file.display().to_string(), package.map_err(Error::of_file(file))?));
    }
    let parts: Vec<_> = parts.iter().map(|(name, package)| Part { name, package }).collect();
    let archive = cloacina_packager::merge(&parts)?;
    let package = cloacina_packager::read_with(&archive, &ReadOptions::default())?;
    place::write(&arguments.to, &archive)?;
    let facts = &package.manifest().package;
    let merged = Merged {
        archive: arguments.to.clone(),
        size: archive.len() as u64,
        package: facts.name.clone(),
        version: facts.version.clone(),
        targets: package.libraries().map(|(target, _)| target.triple()).collect(),
        content_digest: package.content_digest().to_string(),
        archive_digest: Digest::of(&archive).to_string(),
    };
    output.answer(&merged, |paint| {
        format!(
            "{} {} {}: {}, {}\n  content digest  {}\n  archive digest  {}\n  targets         {}\n",
            paint.green("merged"),
            merged.package,
            merged.version,
            merged.archive.display(),
            size(merged.size),
            merged.content_digest,
            merged.archive_digest,
            merged.targets.join(", ")
        )
    })?;
    Ok(exit::SUCCESS)
}
