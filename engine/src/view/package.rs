//! A version of a package, and what happened to it.

use std::sync::Arc;

use cloacina_packager::Digest;
use cloacina_workflow::{Timestamp, descriptor::Descriptor};
use serde::Serialize;

use crate::store::{PackageState, Quarantine};

/// A version of a package, with the same fields wherever one is shown.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PackageRecord {
    /// The tenant.
    pub tenant: String,
    /// The name of the package.
    pub name: String,
    /// The version, for people.
    pub version: String,
    /// The digest of what the package does: the identity of the version.
    #[serde(rename = "content_digest")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub digest: Digest,
    /// The digest of the archive's bytes.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub archive_digest: Digest,
    /// The state of the version.
    pub state: PackageState,
    /// How many of a hundred new runs it gets, or would get if it was not quarantined.
    pub share: u8,
    /// Why it is quarantined. Absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
    /// When it was registered.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub registered_at: Timestamp,
    /// The actor that registered it.
    #[serde(rename = "registered_by")]
    pub actor: String,
    /// The full names of its workflows.
    pub workflows: Vec<String>,
    /// What it says that it needs of the world outside, in the words in which it is allowed.
    pub needs: Vec<String>,
    /// What it says of itself.
    #[serde(skip)]
    pub descriptor: Arc<Descriptor>,
}
