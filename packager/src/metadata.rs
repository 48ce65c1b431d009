//! `metadata.json`: the authors of the package, its license, and how it was built.
//!
//! For people and inventories; nothing is decided by it. Name and version are those of the manifest, checked when
//! an archive is read. No time of day and no path of the building machine: they would differ from build to build.

use cloacina_workflow::descriptor::Descriptor;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Error;

/// The content of `metadata.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// What the package is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The authors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// The license, as an SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// How it was built.
    pub build: BuildFacts,
}

/// How a package was built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildFacts {
    /// The compiler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toolchain: Option<String>,
    /// The cargo profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// sha-256 over the sorted lines `<fingerprint>  <workflow>` of the workflows that have a fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The revision of the sources; `-dirty` behind it if files differ from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_revision: Option<String>,
}

/// What only the builder knows; everything else of `metadata.json` comes from the descriptor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Authors beside the one that the descriptor names.
    pub authors: Vec<String>,
    /// What the package is for, where the descriptor does not say it.
    pub description: Option<String>,
    /// The license, as an SPDX expression.
    pub license: Option<String>,
    /// The cargo profile.
    pub profile: Option<String>,
    /// The revision of the sources.
    pub source_revision: Option<String>,
}

impl Metadata {
    /// The metadata of a package with that descriptor.
    pub(crate) fn describe(descriptor: &Descriptor, origin: &Origin) -> Metadata {
        let mut authors: Vec<String> = descriptor.author.iter().cloned().collect();
        authors.extend(origin.authors.iter().filter(|author| descriptor.author.as_ref() != Some(author)).cloned());
        Metadata {
            name: descriptor.package.clone(),
            version: descriptor.version.clone(),
            description: descriptor.description.clone().or_else(|| origin.description.clone()),
            authors,
            license: origin.license.clone(),
            build: BuildFacts {
                toolchain: descriptor.build.as_ref().map(|build| build.compiler.clone()),
                profile: origin.profile.clone(),
                fingerprint: fingerprint(descriptor),
                source_revision: origin.source_revision.clone(),
            },
        }
    }

    /// Reads the text.
    pub fn parse(text: &[u8]) -> Result<Metadata, Error> {
        serde_json::from_slice(text).map_err(|error| Error::MetadataUnreadable { reason: error.to_string() })
    }

    /// Writes the text.
    pub fn render(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("invariant: the metadata is made of strings and lists alone");
        text.push('\n');
        text
    }
}

/// One fingerprint for all workflows, or none if none has one.
fn fingerprint(descriptor: &Descriptor) -> Option<String> {
    let named =
        descriptor.workflows.iter().filter_map(|workflow| Some((workflow.fingerprint.as_ref()?, &workflow.name)));
    let mut lines: Vec<_> = named.map(|(fingerprint, name)| format!("{fingerprint}  {name}\n")).collect();
    lines.sort_unstable();
    (!lines.is_empty()).then(|| Digest::of(lines.concat().as_bytes()).hex())
}
