//! API keys: what programs ask with.
//!
//! A key has 256 random bits and is shown once; its SHA-256 digest is kept. A key that was revoked stays in the table, so that
//! its name keeps its meaning in histories.

use std::fmt;

use cloacina_workflow::Timestamp;

use super::{
    Access, Error,
    audit::{Action, Entry},
    handle::{Decision, check_name, check_role, is_tenant, shown_tenant, stored_role, stored_tenant},
    secret,
};
use crate::{
    api::Role,
    store::{self, ApiKeyRow, Connection},
    view::ApiKeyRecord,
};

/// A key to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The name.
    pub name: String,
    /// The tenant that it sees; none for every tenant.
    pub tenant: Option<String>,
    /// What it may do.
    pub role: Role,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// A key that was made.
#[derive(Clone)]
#[non_exhaustive]
pub struct IssuedKey {
    /// What is kept of it.
    pub record: ApiKeyRecord,
    /// The key itself, which is kept nowhere.
    pub text: String,
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IssuedKey").field("record", &self.record).finish_non_exhaustive()
    }
}

impl Access {
    /// The keys that the caller sees, by id, from the one after that id on; revoked ones too.
    ///
    /// # Errors
    /// [`Error::Denied`] to all but admins; what the store says.
    pub async fn keys(&self, after: &str, n_max: usize) -> Result<Vec<ApiKeyRecord>, Error> {
        self.caller.check(Role::Admin)?;
        let (scope, after) = (self.caller.scope().clone(), after.to_owned());
        let n_max = i64::try_from(n_max).unwrap_or(i64::MAX);
        let read = move |connection: &mut Connection| store::api_key_list(connection, &scope, &after, n_max);
        let rows = self.gate.store.read("listing API keys", read).await?;
        rows.into_iter().map(record).collect()
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`Error::Denied`] to callers that do not manage the tenant; what is wrong with the key.
    pub async fn key_add(&self, new: NewKey) -> Result<IssuedKey, Error> {
        let NewKey { name, tenant, role, expires_at } = new;
        let tenant = stored_tenant(tenant.as_deref());
        self.check_manages(&tenant)?;
        check_role(&tenant, role)?;
        check_name("name of an API key", &name)?;
        let (id, text, kept) = secret::new_key()?;
        let actor = self.caller.actor().to_owned();
        let row = self.change("adding an API key", move |connection, now| {
            if !is_tenant(connection, &tenant)? {
                return Ok(Decision::Refused(Error::UnknownTenant { name: tenant.clone() }));
            }
            if store::api_key_is_named(connection, &tenant, &name)? {
                return Ok(Decision::Refused(Error::KeyThere { name: name.clone() }));
            }
            let row = ApiKeyRow {
                id: id.clone(),
                tenant: tenant.clone(),
                name: name.clone(),
                role: role.as_str().to_owned(),
                secret: kept,
                created_at: now,
                created_by: actor.clone(),
                expires_at,
                used_at: None,
                revoked_at: None,
            };
            store::api_key_insert_in_txn(connection, &row)?;
            let entry = entry(&row, &actor, Action::KeyAdded, format!("{} as {}", row.name, row.role));
            Ok(Decision::Done(row, Some(entry)))
        });
        Ok(IssuedKey { record: record(row.await?)?, text })
    }

    /// Refuses a key from now on, for good. A key that was revoked stays so.
    ///
    /// # Errors
    /// [`Error::Denied`] to all but admins; [`Error::UnknownKey`].
    pub async fn key_revoke(&self, id: &str) -> Result<ApiKeyRecord, Error> {
        self.caller.check(Role::Admin)?;
        let (caller, id) = (self.caller.clone(), id.to_owned());
        let row = self.change("revoking an API key", move |connection, now| {
            let row = store::api_key_get(connection, &id)?.filter(|row| caller.scope().has(&row.tenant));
            let Some(row) = row else { return Ok(Decision::Refused(Error::UnknownKey { id: id.clone() })) };
            if row.revoked_at.is_some() {
                return Ok(Decision::Done(row, None));
            }
            store::api_key_revoke_in_txn(connection, &id, now)?;
            let entry = entry(&row, caller.actor(), Action::KeyRevoked, row.name.clone());
            Ok(Decision::Done(ApiKeyRow { revoked_at: Some(now), ..row }, Some(entry)))
        });
        record(row.await?)
    }
}

fn entry(row: &ApiKeyRow, actor: &str, action: Action, detail: String) -> Entry {
    Entry::done(&row.tenant, actor, action, &row.id, detail)
}

fn record(row: ApiKeyRow) -> Result<ApiKeyRecord, Error> {
    let ApiKeyRow { id, tenant, name, role, secret: _, created_at, created_by, expires_at, used_at, revoked_at } = row;
    let role = stored_role(&role)?.as_str().to_owned();
    let tenant = shown_tenant(tenant);
    Ok(ApiKeyRecord { id, name, tenant, role, created_at, created_by, expires_at, used_at, revoked_at })
}
