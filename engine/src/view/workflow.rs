//! A version of a workflow: what lists tell of it, and what it consists of.
//!
//! A version outlives its package, as old runs are pinned to it, so its state may be that the package is gone.
//!
//! What it consists of is not in the JSON of a list, which would be long; a report has it.

use std::collections::BTreeMap;

use cloacina_packager::Digest;
use cloacina_workflow::{Timestamp, descriptor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::store::PackageState;

/// One version of a workflow, with the same fields wherever one is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WorkflowRecord {
    /// The full name: `tenant::package::workflow`, or the bare name of one that is compiled in.
    pub name: String,
    /// The tenant.
    pub tenant: String,
    /// The name of the package. Absent for a workflow that is compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The version of the package. Absent once it is not registered any longer, and for a workflow that is compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The content digest of the package's version. Absent for a workflow that is compiled in.
    #[serde(rename = "content_digest", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub digest: Option<Digest>,
    /// The state of the package's version; `removed` once it is not registered any longer, `compiled_in` for a workflow
    /// without a package.
    pub state: WorkflowState,
    /// How many tasks it has.
    pub tasks: usize,
    /// What it is for. Absent if its author does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When the database first knew that version; none for a record that was read from JSON.
    #[serde(skip)]
    pub known_since: Option<Timestamp>,
    /// What it consists of; none for a record that was read from JSON.
    #[serde(skip)]
    pub descriptor: Option<descriptor::Workflow>,
}

/// One version of a workflow with what it consists of.
///
/// The fields of the workflow itself are those that it has in the list of workflows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WorkflowReport {
    /// The version.
    #[serde(flatten)]
    pub record: WorkflowRecord,
    /// The workflow as its package declares it: a member of `workflows` in [the description](../abi.md) of a package.
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    pub workflow: descriptor::Workflow,
    /// What each task of a workflow as data uses: `package::workflow::task@sha256:…`, or the name of a built-in. Absent for a
    /// workflow of a package, and once the version is not registered any longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<BTreeMap<String, String>>,
}

impl WorkflowRecord {
    /// The same with what it consists of, if that is known.
    pub(crate) fn into_report(self) -> Option<WorkflowReport> {
        Some(WorkflowReport { workflow: self.descriptor.clone()?, record: self, uses: None })
    }
}

/// Where the code of a workflow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkflowState {
    /// In a version of a package that is registered.
    Packaged(PackageState),
    /// In a version of a package that is not registered any longer.
    Removed,
    /// In a program.
    CompiledIn,
}

impl WorkflowState {
    /// The name that is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Packaged(state) => state.as_str(),
            Self::Removed => "removed",
            Self::CompiledIn => "compiled_in",
        }
    }
}

impl<'de> Deserialize<'de> for WorkflowState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match [Self::Removed, Self::CompiledIn].into_iter().find(|state| state.as_str() == name) {
            Some(state) => Ok(state),
            None => name
                .parse()
                .map(Self::Packaged)
                .map_err(|()| D::Error::custom(format_args!("{name:?} is not a state of a workflow"))),
        }
    }
}

impl Serialize for WorkflowState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for WorkflowState {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let packaged = PackageState::ALL.map(Self::Packaged);
        super::schema::one_of(packaged.into_iter().chain([Self::Removed, Self::CompiledIn]).map(Self::as_str))
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for WorkflowState {}
