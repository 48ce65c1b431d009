//! Tenants, and accounts of people.
//!
//! A change and its entry of the audit log are written in one transaction. A password is hashed before the transaction begins, and
//! is neither stored nor shown. An account of another tenant is unknown to the caller.

use std::fmt;

use cloacina_packager::name_problem;

use super::{
    Access, Error,
    audit::{Action, Entry},
    handle::{Decision, check_name, check_role, is_tenant, shown_tenant, stored_role, stored_tenant},
    secret,
};
use crate::{
    api::Role,
    id::TENANT_DEFAULT,
    limit,
    store::{self, AccountRow, Connection, EVERY_TENANT, JobResult, TenantRow},
    view::{AccountRecord, TenantRecord},
};

/// The name of the account that a new database gets.
const FIRST: &str = "admin";

/// The actor of what a server does for itself.
const SERVER: &str = "server";

/// An account to be.
#[derive(Clone)]
pub struct NewAccount {
    /// The name to log in with.
    pub name: String,
    /// The tenant that it sees; none for every tenant.
    pub tenant: Option<String>,
    /// What it may do.
    pub role: Role,
    /// The password, of 12 to 1,024 bytes.
    pub password: String,
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("NewAccount");
        shown.field("name", &self.name).field("tenant", &self.tenant).field("role", &self.role).finish_non_exhaustive()
    }
}

impl Access {
    /// The tenants that the caller sees, by name.
    ///
    /// # Errors
    /// [`Error::Denied`] to all but admins; what the store says.
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, Error> {
        self.caller.check(Role::Admin)?;
        let rows = self.gate.store.read("listing tenants", store::tenant_list).await?;
        let first = TenantRecord { name: TENANT_DEFAULT.to_owned(), created_at: None, created_by: None };
        let mut tenants: Vec<TenantRecord> = [first].into_iter().chain(rows.into_iter().map(tenant_record)).collect();
        tenants.retain(|tenant| self.caller.scope().has(&tenant.name));
        tenants.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(tenants)
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// [`Error::Denied`] to callers that see one tenant alone; [`Error::TenantThere`] or [`Error::Name`].
    pub async fn tenant_add(&self, name: &str) -> Result<TenantRecord, Error> {
        self.caller.check_every_tenant()?;
        limit::NAME.check(name)?;
        if let Some(reason) = name_problem(name) {
            return Err(Error::Name { what: "name of a tenant", text: name.to_owned(), reason });
        }
        let (name, actor) = (name.to_owned(), self.caller.actor().to_owned());
        let row = self.change("adding a tenant", move |connection, now| {
            if is_tenant(connection, &name)? {
                return Ok(Decision::Refused(Error::TenantThere { name: name.clone() }));
            }
            let row = TenantRow { name: name.clone(), created_at: now, created_by: actor.clone() };
            store::tenant_insert_in_txn(connection, &row)?;
            let entry = Entry::done(EVERY_TENANT, &actor, Action::TenantAdded, &name, String::new());
            Ok(Decision::Done(row, Some(entry)))
        });
        Ok(tenant_record(row.await?))
    }

    /// The accounts that the caller sees, by name, from the one after that name on.
    ///
    /// # Errors
    /// [`Error::Denied`] to all but admins; what the store says.
    pub async fn accounts(&self, after: &str, n_max: usize) -> Result<Vec<AccountRecord>, Error> {
        self.caller.check(Role::Admin)?;
        let (scope, after) = (self.caller.scope().clone(), after.to_owned());
        let n_max = i64::try_from(n_max).unwrap_or(i64::MAX);
        let read = move |connection: &mut Connection| store::account_list(connection, &scope, &after, n_max);
        let rows = self.gate.store.read("listing accounts", read).await?;
        rows.into_iter().map(account_record).collect()
    }

    /// An account that the caller sees.
    ///
    /// # Errors
    /// [`Error::Denied`] to all but admins; [`Error::UnknownAccount`].
    pub async fn account(&self, name: &str) -> Result<AccountRecord, Error> {
        self.caller.check(Role::Admin)?;
        let (access, wanted) = (self.clone(), name.to_owned());
        let read = move |connection: &mut Connection| access.seen(connection, &wanted);
        let row = self.gate.store.read("looking for an account", read).await?;
        account_record(row.ok_or_else(|| Error::UnknownAccount { name: name.to_owned() })?)
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Denied`] to callers that do not manage the tenant; what is wrong with the account.
    pub async fn account_add(&self, new: NewAccount) -> Result<AccountRecord, Error> {
        let NewAccount { name, tenant, role, password } = new;
        let tenant = stored_tenant(tenant.as_deref());
        self.check_manages(&tenant)?;
        check_role(&tenant, role)?;
        check_name("name of an account", &name)?;
        let (password, actor) = (self.gate.hasher.hash(password).await?, self.caller.actor().to_owned());
        let row = self.change("adding an account", move |connection, now| {
            if !is_tenant(connection, &tenant)? {
                return Ok(Decision::Refused(Error::UnknownTenant { name: tenant.clone() }));
            }
            if store::account_get(connection, &name)?.is_some() {
                return Ok(Decision::Refused(Error::AccountThere { name: name.clone() }));
            }
            let row = AccountRow {
                name: name.clone(),
                tenant: tenant.clone(),
                role: role.as_str().to_owned(),
                password: password.clone(),
                created_at: now,
                created_by: actor.clone(),
                disabled_at: None,
            };
            store::account_insert_in_txn(connection, &row)?;
            let entry = entry(&row, &actor, Action::AccountAdded, format!("as {}", row.role));
            Ok(Decision::Done(row, Some(entry)))
        });
        account_record(row.await?)
    }

    /// Lets an account log in no longer, and ends its sessions. An account that is disabled stays so.
    ///
    /// # Errors
    /// [`Error::Denied`] to all but admins; [`Error::UnknownAccount`]; [`Error::LastAdmin`].
    pub async fn account_disable(&self, name: &str) -> Result<AccountRecord, Error> {
        self.caller.check(Role::Admin)?;
        let (access, name) = (self.clone(), name.to_owned());
        let row = self.change("disabling an account", move |connection, now| {
            let Some(row) = access.seen(connection, &name)? else {
                return Ok(Decision::Refused(Error::UnknownAccount { name: name.clone() }));
            };
            if row.disabled_at.is_some() {
                return Ok(Decision::Done(row, None));
            }
            if row.tenant == EVERY_TENANT && !store::account_has_other(connection, &row)? {
                return Ok(Decision::Refused(Error::LastAdmin { name: row.name }));
            }
            store::account_disable_in_txn(connection, &name, now)?;
            store::refresh_account_delete_in_txn(connection, &name)?;
            let entry = entry(&row, access.caller.actor(), Action::AccountDisabled, String::new());
            Ok(Decision::Done(AccountRow { disabled_at: Some(now), ..row }, Some(entry)))
        });
        account_record(row.await?)
    }

    /// Gives an account another password, and ends its sessions.
    ///
    /// # Errors
    /// [`Error::Denied`] to all but admins; [`Error::UnknownAccount`]; [`Error::Password`].
    pub async fn account_set_password(&self, name: &str, password: String) -> Result<AccountRecord, Error> {
        self.caller.check(Role::Admin)?;
        let (access, name) = (self.clone(), name.to_owned());
        let hash = self.gate.hasher.hash(password).await?;
        let row = self.change("changing a password", move |connection, _| {
            let Some(row) = access.seen(connection, &name)? else {
                return Ok(Decision::Refused(Error::UnknownAccount { name: name.clone() }));
            };
            store::account_password_set_in_txn(connection, &name, &hash)?;
            store::refresh_account_delete_in_txn(connection, &name)?;
            let entry = entry(&row, access.caller.actor(), Action::PasswordChanged, String::new());
            Ok(Decision::Done(row, Some(entry)))
        });
        account_record(row.await?)
    }

    /// Makes the account of a system admin if there is no account yet. Returns its name and its password, which is kept
    /// nowhere.
    ///
    /// # Errors
    /// [`Error::Denied`] to callers that see one tenant alone; what the store says.
    pub async fn first_admin(&self) -> Result<Option<(String, String)>, Error> {
        self.caller.check_every_tenant()?;
        if self.gate.store.read("looking for accounts", store::account_is_any).await? {
            return Ok(None);
        }
        let password = secret::hex(&secret::random::<16>()?);
        let hash = self.gate.hasher.hash(password.clone()).await?;
        let made = self.change("adding the first account", move |connection, now| {
            // Another server may have been faster.
            if store::account_is_any(connection)? {
                return Ok(Decision::Done(false, None));
            }
            let row = AccountRow {
                name: FIRST.to_owned(),
                tenant: EVERY_TENANT.to_owned(),
                role: Role::Admin.as_str().to_owned(),
                password: hash.clone(),
                created_at: now,
                created_by: SERVER.to_owned(),
                disabled_at: None,
            };
            store::account_insert_in_txn(connection, &row)?;
            let detail = "as the first account of the database".to_owned();
            Ok(Decision::Done(true, Some(entry(&row, SERVER, Action::AccountAdded, detail))))
        });
        Ok(made.await?.then(|| (FIRST.to_owned(), password)))
    }

    /// The account of that name, if it is there for the caller.
    fn seen(&self, connection: &mut Connection, name: &str) -> JobResult<Option<AccountRow>> {
        Ok(store::account_get(connection, name)?.filter(|row| self.caller.scope().has(&row.tenant)))
    }
}

/// An entry about an account, in the log of its tenant.
pub(super) fn entry(row: &AccountRow, actor: &str, action: Action, detail: String) -> Entry {
    Entry::done(&row.tenant, actor, action, &row.name, detail)
}

fn tenant_record(row: TenantRow) -> TenantRecord {
    let TenantRow { name, created_at, created_by } = row;
    TenantRecord { name, created_at: Some(created_at), created_by: Some(created_by) }
}

fn account_record(row: AccountRow) -> Result<AccountRecord, Error> {
    let AccountRow { name, tenant, role, created_at, created_by, disabled_at, .. } = row;
    let role = stored_role(&role)?.as_str().to_owned();
    Ok(AccountRecord { name, tenant: shown_tenant(tenant), role, created_at, created_by, disabled_at })
}
