//! Whom a tenant trusts to sign packages, and how that came about.
//!
//! Keys are shown as text. Whether a signature counts is decided by `trust`, which fills these types.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::TrustEventKind;

/// The keys that a tenant trusts, and how many signatures it requires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TrustRecord {
    /// The tenant.
    pub tenant: String,
    /// How many signatures a package needs, each by another key.
    pub required: usize,
    /// Whether the tenant never said how many it requires.
    pub is_default: bool,
    /// The keys.
    pub keys: Vec<KeyRecord>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct KeyRecord {
    /// The name of the key.
    pub name: String,
    /// The id of the key, 16 hexadecimal digits.
    pub id: String,
    /// The public key, in one line.
    pub public_key: String,
    /// `trusted`, `expired` or `revoked`.
    pub state: &'static str,
    /// The packages that the key may sign.
    pub scopes: Vec<String>,
    /// Until when it is trusted. Absent if for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub expires_at: Option<Timestamp>,
    /// When it was added.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub added_at: Timestamp,
    /// The actor that added it.
    pub added_by: String,
    /// When and why it was revoked. Absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// The end of the trust in a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Revoked {
    /// When the key was revoked.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub at: Timestamp,
    /// The actor that revoked it.
    pub by: String,
    /// The reason that was given.
    pub reason: String,
}

/// Something that happened to the trust of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TrustEvent {
    /// When it happened.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub at: Timestamp,
    /// What happened, such as `key_added`.
    pub kind: TrustEventKind,
    /// The actor.
    pub actor: String,
    /// The id of the key. Absent if the event is about none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The content digest of the package's version. Absent if the event is about none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub digest: Option<Digest>,
    /// The event in words.
    pub detail: String,
}

/// What came of a change of whom a tenant trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TrustChanged {
    /// The versions that are quarantined since, as `tenant::name@version`.
    pub quarantined: Vec<String>,
    /// The versions that may be used again, as `tenant::name@version`.
    pub released: Vec<String>,
}

impl TrustRecord {
    /// That of a tenant that has never said anything, where no engine says otherwise.
    #[must_use]
    pub fn none(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), required: 0, is_default: true, keys: Vec::new() }
    }
}
