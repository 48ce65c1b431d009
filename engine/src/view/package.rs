//! A version of a package, what an engine answers about it, and how an engine runs it.
//!
//! What the database says stands in [`PackageRecord`] alone; what only a living engine knows stands in [`PackageRunning`].

use std::time::Duration;

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use serde::{Deserialize, Serialize};

use super::json::micros;
use crate::store::{PackageState, Quarantine};

/// A version of a package, with the same fields wherever one is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A version of a package, after something was done to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PackageAnswer {
    /// The version; one that was removed as it was before.
    #[serde(flatten)]
    pub package: PackageRecord,
    /// What registering it did. Absent if something else was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

/// What registering a version did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Registration {
    /// Whether the tenant did not have the same content before.
    pub is_new: bool,
    /// What the package declares and the engine does not execute.
    pub warnings: Vec<PackageWarning>,
}

/// Something that a package declares and the engine does not execute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PackageWarning {
    /// The code of the warning, which has a page in `docs/errors`.
    pub code: String,
    /// The warning in words.
    pub message: String,
}

/// How an engine runs a version of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PackageRunning {
    /// `inline` or `process`. Absent while it depends on the keys by which the version is signed, and for a workflow as data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    /// How tightly its processes are to be kept in: `dev` or `server`. Absent for a version without a sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Whether its library is loaded, in the engine or in a process of its own.
    #[serde(rename = "loaded")]
    pub is_loaded: bool,
    /// How many calls of its tasks are under way, those of all engines in one process together.
    #[serde(rename = "open_calls")]
    pub n_open_calls: u64,
    /// Its processes that are alive.
    pub hosts: Vec<PackageHost>,
    /// Why the engine cannot use it, with the code in front. Absent if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A process that runs a version of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PackageHost {
    /// The id of the process.
    pub pid: u32,
    /// How many calls are under way in it.
    #[serde(rename = "open_calls")]
    pub n_open_calls: u64,
    /// How many calls were made to it.
    #[serde(rename = "calls")]
    pub n_calls: u64,
    /// Whether it gets no more calls, and ends when those that it has are done.
    #[serde(rename = "leaving")]
    pub is_leaving: bool,
    /// The memory that it holds, in bytes. Absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// The processor time that it used, in microseconds. Absent if it is not known.
    #[serde(rename = "cpu_us", with = "micros", default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub cpu: Option<Duration>,
    /// The steps of the sandbox that are in force.
    pub in_force: Vec<String>,
    /// The steps of the sandbox that this system does not have, with the reason.
    pub missing: Vec<String>,
}
