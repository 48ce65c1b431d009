//! Who may ask: tenants, users, API keys and the audit log.
//!
//! The text of a key is in the answer that makes it, and in no other.

use std::fmt;

use cloacina::{AccountRecord, ApiKeyRecord, AuditCheck, AuditRecord, Role, TenantRecord, Timestamp};
use futures_core::Stream;
use hyper::Method;
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    address::encoded,
    client::{BASE, Client},
    error::Error,
    query::Query,
};

/// An account to be.
#[derive(Clone, Serialize)]
pub struct NewUser {
    /// The name to log in with, of letters, digits and `_-.@`.
    pub name: String,
    /// The password, of 12 to 1,024 bytes.
    pub password: String,
    /// What the account may do.
    #[serde(serialize_with = "role")]
    pub role: Role,
    /// The tenant that the account sees; without one, what the caller sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// A key to be.
#[derive(Clone, Debug, Serialize)]
pub struct NewApiKey {
    /// The name, of letters, digits and `_-.@`.
    pub name: String,
    /// What the key may do.
    #[serde(serialize_with = "role")]
    pub role: Role,
    /// The tenant that the key sees; without one, what the caller sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// From when on the key is refused; never, without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A key that was made.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct IssuedKey {
    /// The key. It is shown this once, and kept nowhere.
    pub key: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub record: ApiKeyRecord,
}

/// A tenant to be, as the server reads it.
#[derive(Serialize)]
pub(crate) struct NewTenant<'a> {
    pub(crate) name: &'a str,
}

/// A password to be, as the server reads it.
#[derive(Serialize)]
pub(crate) struct NewPassword<'a> {
    pub(crate) password: &'a str,
}

impl Client {
    /// The tenants that the caller sees, by name.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, Error> {
        self.get(&format!("{BASE}/tenants")).await
    }

    /// Makes a tenant. The caller must see every tenant.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn tenant_add(&self, name: &str) -> Result<TenantRecord, Error> {
        self.post(&format!("{BASE}/tenants"), &NewTenant { name }).await
    }

    /// The accounts that the caller sees, by name.
    pub fn users(&self) -> impl Stream<Item = Result<AccountRecord, Error>> + use<> {
        self.items(format!("{BASE}/users"), Query::default())
    }

    /// An account.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn user(&self, name: &str) -> Result<AccountRecord, Error> {
        self.get(&of_user(name, "")).await
    }

    /// Makes an account.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn user_add(&self, new: &NewUser) -> Result<AccountRecord, Error> {
        self.post(&format!("{BASE}/users"), new).await
    }

    /// Lets an account log in no longer, and ends its sessions.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn user_disable(&self, name: &str) -> Result<AccountRecord, Error> {
        self.act(&of_user(name, "/disable")).await
    }

    /// Gives an account another password, and ends its sessions.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn user_set_password(&self, name: &str, password: &str) -> Result<(), Error> {
        let request = self.with_json(Method::POST, &of_user(name, "/password"), &NewPassword { password })?;
        self.send(request).await.map(drop)
    }

    /// The API keys that the caller sees, by id; revoked ones too.
    pub fn keys(&self) -> impl Stream<Item = Result<ApiKeyRecord, Error>> + use<> {
        self.items(format!("{BASE}/keys"), Query::default())
    }

    /// Makes an API key.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn key_add(&self, new: &NewApiKey) -> Result<IssuedKey, Error> {
        self.post(&format!("{BASE}/keys"), new).await
    }

    /// Refuses a key from now on, for good.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn key_revoke(&self, id: &str) -> Result<(), Error> {
        self.delete(&format!("{BASE}/keys/{}", encoded(id))).await
    }

    /// The audit log of the caller's tenant, newest first; for a caller who sees every tenant, of what concerns every tenant.
    pub fn audit(&self) -> impl Stream<Item = Result<AuditRecord, Error>> + use<> {
        self.items(format!("{BASE}/audit"), Query::default())
    }

    /// Has the server check that no entry of the log was changed or is missing.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn audit_check(&self) -> Result<AuditCheck, Error> {
        self.get(&format!("{BASE}/audit/verify")).await
    }
}

/// Without the secret.
impl fmt::Debug for NewUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("NewUser");
        shown.field("name", &self.name).field("tenant", &self.tenant).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Without the secret.
impl fmt::Debug for IssuedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IssuedKey").field("record", &self.record).finish_non_exhaustive()
    }
}

fn role<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(role.as_str())
}

fn of_user(name: &str, part: &str) -> String {
    format!("{BASE}/users/{}{part}", encoded(name))
}
