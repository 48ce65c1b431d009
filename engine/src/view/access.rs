//! Who may ask: tenants, accounts, API keys, and the audit log.
//!
//! Of an account its password is not shown, and of a key neither the key nor its digest. A tenant that is absent means every
//! tenant.

use cloacina_workflow::Timestamp;
use serde::{Deserialize, Serialize};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TenantRecord {
    /// Its name.
    pub name: String,
    /// When it was made. Absent for `public`, which is always there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub created_at: Option<Timestamp>,
    /// The actor that made it. Absent for `public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
}

/// A person that may log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct AccountRecord {
    /// The name to log in with. No two tenants have an account of the same name.
    pub name: String,
    /// The tenant that the account sees. Absent if it sees every tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What it may do: `worker`, `viewer`, `operator` or `admin`.
    pub role: String,
    /// When it was made.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub created_at: Timestamp,
    /// The actor that made it.
    pub created_by: String,
    /// Since when it cannot log in. Absent if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub disabled_at: Option<Timestamp>,
}

/// A key with which a program asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ApiKeyRecord {
    /// The id, which the key itself begins with after `clk_`.
    pub id: String,
    /// The name. The actor in histories is `key:` and the name. No two keys of a tenant have the same one.
    pub name: String,
    /// The tenant that the key sees. Absent if it sees every tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What it may do: `worker`, `viewer`, `operator` or `admin`.
    pub role: String,
    /// When it was made.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub created_at: Timestamp,
    /// The actor that made it.
    pub created_by: String,
    /// From when on it is refused. Absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub expires_at: Option<Timestamp>,
    /// When it was used last, within a minute. Absent if it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub used_at: Option<Timestamp>,
    /// Since when it is refused for good. Absent if it was not revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub revoked_at: Option<Timestamp>,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct AuditRecord {
    /// The number of the entry in the log of its tenant, from 1 on, without a gap.
    pub number: i64,
    /// The tenant. Absent for what concerns every tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When it happened.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub at: Timestamp,
    /// Who did it, or tried to.
    pub actor: String,
    /// What was done, such as `account_added`.
    pub action: String,
    /// What it was done to: the name of an account or a tenant, or the id of a key.
    pub subject: String,
    /// `done` or `refused`.
    pub result: String,
    /// The network address that asked. Absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The id of the request. Absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// More, for people. Absent if there is nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The digest of the entry before, in hexadecimal digits; zeros for the first one.
    pub previous: String,
    /// The digest of this entry, the one before included.
    pub digest: String,
}

/// What came of checking the chain of an audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct AuditCheck {
    /// Whether every entry has the digest of the entry before it, and its own.
    pub is_intact: bool,
    /// How many entries are intact, from the first one on.
    pub entries: i64,
    /// The digest of the last of them. Keep it elsewhere: a log whose newest entries were removed is intact, and ends with
    /// another digest. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The number of the first entry that is missing or was changed. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<i64>,
}
