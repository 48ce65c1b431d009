//! The handle by which who may ask is looked at and changed, on behalf of a caller.
//!
//! Each change holds the lock of the access tables, so what was read before a change still holds when it is written. The handle
//! decides what a caller may manage; what a role may do elsewhere is decided elsewhere.

use std::sync::Arc;

use cloacina_workflow::Timestamp;

use super::{
    Error,
    audit::{self, Entry},
    password::Hasher,
};
use crate::{
    api::{Caller, Role},
    clock::Clock,
    id::{Scope, TENANT_DEFAULT},
    limit,
    store::{self, Connection, EVERY_TENANT, Error as StoreError, JobResult, Store},
    view::{AuditCheck, AuditRecord},
};

/// Bytes of an address and of an id of a request that the audit log keeps.
const ASKED_MAX: usize = 128;

/// What all handles of one engine share.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hasher: Hasher,
}

impl Gate {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, hasher: Hasher::new() }
    }
}

/// What was decided about a change in its transaction.
pub(super) enum Decision<T> {
    /// It was made, and the audit log gets the entry, if there is one.
    Done(T, Option<Entry>),
    /// Nothing was written.
    Refused(Error),
}

/// From where something was asked, for the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The network address.
    pub address: String,
    /// The id of the request.
    pub request_id: String,
}

/// Who may ask, as a caller sees and may change it; made by [`Engine::access`](crate::Engine::access).
#[derive(Clone, Debug)]
pub struct Access {
    pub(super) gate: Arc<Gate>,
    pub(super) caller: Caller,
    pub(super) asked: Asked,
}

impl Access {
    pub(crate) fn new(gate: Arc<Gate>, caller: Caller) -> Self {
        Self { gate, caller, asked: Asked::default() }
    }

    /// The same handle, of which the audit log keeps from where it was asked.
    #[must_use]
    pub fn asked_from(self, mut asked: Asked) -> Self {
        for text in [&mut asked.address, &mut asked.request_id] {
            let cut = text.floor_char_boundary(ASKED_MAX);
            text.truncate(cut);
        }
        Self { asked, ..self }
    }

    /// The audit log of the caller's tenant, newest first, from the entry before that number on. A caller that sees every
    /// tenant gets the log of what concerns every tenant.
    ///
    /// # Errors
    /// [`Error::Denied`] to all but admins; what the store says.
    pub async fn audit(&self, before: Option<i64>, n_max: usize) -> Result<Vec<AuditRecord>, Error> {
        let (tenant, before) = (self.logged_tenant()?, before.unwrap_or(i64::MAX));
        let n_max = i64::try_from(n_max).unwrap_or(i64::MAX);
        let read = move |connection: &mut Connection| store::audit_list(connection, &tenant, before, n_max);
        let rows = self.gate.store.read("reading the audit log", read).await?;
        Ok(rows.into_iter().map(audit::record).collect())
    }

    /// The audit log of the caller's tenant, oldest first, from the entry after that number on.
    ///
    /// # Errors
    /// As [`Self::audit`].
    pub async fn audit_from(&self, after: i64, n_max: usize) -> Result<Vec<AuditRecord>, Error> {
        let tenant = self.logged_tenant()?;
        let n_max = i64::try_from(n_max).unwrap_or(i64::MAX);
        let read = move |connection: &mut Connection| store::audit_list_from(connection, &tenant, after, n_max);
        let rows = self.gate.store.read("reading the audit log", read).await?;
        Ok(rows.into_iter().map(audit::record).collect())
    }

    /// Checks the chain of the audit log that [`Self::audit`] shows.
    ///
    /// # Errors
    /// As [`Self::audit`].
    pub async fn audit_check(&self) -> Result<AuditCheck, Error> {
        let tenant = self.logged_tenant()?;
        let read = move |connection: &mut Connection| audit::check(connection, &tenant);
        Ok(self.gate.store.read("checking the audit log", read).await?)
    }

    /// The tenant whose log the caller reads, as the tables have it.
    fn logged_tenant(&self) -> Result<String, Error> {
        self.caller.check(Role::Admin)?;
        Ok(self.caller.tenant().unwrap_or(EVERY_TENANT).to_owned())
    }

    /// Makes a change and writes its entry, if there is one, in one transaction.
    pub(super) async fn change<T, F>(&self, doing: &'static str, mut change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Connection, Timestamp) -> JobResult<Decision<T>> + Send + 'static,
    {
        let (now, asked) = (self.gate.clock.now(), self.asked.clone());
        let write = move |connection: &mut Connection| -> JobResult<Decision<T>> {
            store::access_lock_in_txn(connection)?;
            let decision = change(connection, now)?;
            if let Decision::Done(_, Some(entry)) = &decision {
                audit::append_in_txn(connection, entry, now, &asked)?;
            }
            Ok(decision)
        };
        match self.gate.store.write(doing, write).await? {
            Decision::Done(value, _) => Ok(value),
            Decision::Refused(error) => Err(error),
        }
    }

    /// Refuses to make something for a tenant, as the tables have it, that the caller does not manage.
    pub(super) fn check_manages(&self, tenant: &str) -> Result<(), Error> {
        self.caller.check(Role::Admin)?;
        match self.caller.scope() {
            Scope::Every => Ok(()),
            Scope::Tenant(own) if **own == *tenant => Ok(()),
            Scope::Tenant(_) if tenant == EVERY_TENANT => Ok(self.caller.check_every_tenant()?),
            Scope::Tenant(_) => Err(Error::UnknownTenant { name: tenant.to_owned() }),
        }
    }
}

/// A tenant as the tables have it.
pub(super) fn stored_tenant(tenant: Option<&str>) -> String {
    tenant.unwrap_or(EVERY_TENANT).to_owned()
}

/// A tenant as it is shown; none for every tenant.
pub(super) fn shown_tenant(tenant: String) -> Option<String> {
    (tenant != EVERY_TENANT).then_some(tenant)
}

/// Whether there is that tenant, as the tables have it.
pub(super) fn is_tenant(connection: &mut Connection, tenant: &str) -> JobResult<bool> {
    let is_always_there = tenant == TENANT_DEFAULT || tenant == EVERY_TENANT;
    Ok(is_always_there || store::tenant_is_there(connection, tenant)?)
}

/// A role as it is stored.
pub(super) fn stored_role(role: &str) -> Result<Role, StoreError> {
    role.parse().map_err(|()| StoreError::Corrupt { reason: format!("a role called {role:?}") })
}

/// What sees every tenant may do everything, so that no lesser role has to be thought through.
pub(super) fn check_role(tenant: &str, role: Role) -> Result<(), Error> {
    if tenant == EVERY_TENANT && role != Role::Admin { Err(Error::RoleOfEvery) } else { Ok(()) }
}

/// Refuses a name that could not be told from something else in a log or in an address.
pub(super) fn check_name(what: &'static str, name: &str) -> Result<(), Error> {
    limit::NAME.check(name)?;
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '@');
    match name.chars().all(is_letter) {
        true => Ok(()),
        false => Err(Error::Name { what, text: name.to_owned(), reason: "a name has letters, digits and `_-.@`" }),
    }
}
