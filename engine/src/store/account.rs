//! The tables of tenants and accounts.
//!
//! What a role may do is decided elsewhere; here a role is text, and a password is what was made of it. The tenant
//! [`EVERY_TENANT`] stands for all of them.

use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};

use super::{
    Connection,
    row::{micros, timestamp},
    schema::{account, tenant},
};
use crate::id::Scope;

/// What stands for every tenant in a column. No tenant can have this name.
pub(crate) const EVERY_TENANT: &str = "*";

/// A tenant that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TenantRow {
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
}

/// A person that may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) name: String,
    pub(crate) tenant: String,
    pub(crate) role: String,
    /// A PHC string.
    pub(crate) password: String,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
    pub(crate) disabled_at: Option<Timestamp>,
}

/// The tenants that were made, by name.
pub(crate) fn tenant_list(connection: &mut Connection) -> QueryResult<Vec<TenantRow>> {
    let rows: Vec<(String, i64, String)> = tenant::table.order(tenant::name).load(connection)?;
    let row = |(name, created_at, created_by)| TenantRow { name, created_at: timestamp(created_at), created_by };
    Ok(rows.into_iter().map(row).collect())
}

/// Whether that tenant was made.
pub(crate) fn tenant_is_there(connection: &mut Connection, name: &str) -> QueryResult<bool> {
    let found: Option<String> = tenant::table.find(name).select(tenant::name).get_result(connection).optional()?;
    Ok(found.is_some())
}

pub(crate) fn tenant_insert_in_txn(connection: &mut Connection, row: &TenantRow) -> QueryResult<()> {
    diesel::insert_into(tenant::table)
        .values((
            tenant::name.eq(&row.name),
            tenant::created_at.eq(micros(row.created_at)),
            tenant::created_by.eq(&row.created_by),
        ))
        .execute(connection)?;
    Ok(())
}

type AccountColumns = (String, String, String, String, i64, String, Option<i64>);

/// The account of that name.
pub(crate) fn account_get(connection: &mut Connection, name: &str) -> QueryResult<Option<AccountRow>> {
    let row: Option<AccountColumns> = account::table.find(name).get_result(connection).optional()?;
    Ok(row.map(account_row))
}

/// The accounts of which the scope has any, by name, from the one after `after` on.
pub(crate) fn account_list(
    connection: &mut Connection,
    scope: &Scope,
    after: &str,
    n_max: i64,
) -> QueryResult<Vec<AccountRow>> {
    let page = account::table.filter(account::name.gt(after)).order(account::name).limit(n_max);
    let rows: Vec<AccountColumns> = match scope {
        Scope::Every => page.load(connection)?,
        Scope::Tenant(tenant) => page.filter(account::tenant.eq(&**tenant)).load(connection)?,
    };
    Ok(rows.into_iter().map(account_row).collect())
}

/// Whether there is any account.
pub(crate) fn account_is_any(connection: &mut Connection) -> QueryResult<bool> {
    let any: Option<String> = account::table.select(account::name).first(connection).optional()?;
    Ok(any.is_some())
}

/// Whether another account of that tenant with that role may log in.
pub(crate) fn account_has_other(connection: &mut Connection, row: &AccountRow) -> QueryResult<bool> {
    let other: Option<String> = account::table
        .filter(account::tenant.eq(&row.tenant))
        .filter(account::role.eq(&row.role))
        .filter(account::name.ne(&row.name))
        .filter(account::disabled_at.is_null())
        .select(account::name)
        .first(connection)
        .optional()?;
    Ok(other.is_some())
}

pub(crate) fn account_insert_in_txn(connection: &mut Connection, row: &AccountRow) -> QueryResult<()> {
    diesel::insert_into(account::table)
        .values((
            account::name.eq(&row.name),
            account::tenant.eq(&row.tenant),
            account::role.eq(&row.role),
            account::password.eq(&row.password),
            account::created_at.eq(micros(row.created_at)),
            account::created_by.eq(&row.created_by),
            account::disabled_at.eq(row.disabled_at.map(micros)),
        ))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn account_disable_in_txn(connection: &mut Connection, name: &str, at: Timestamp) -> QueryResult<()> {
    diesel::update(account::table.find(name)).set(account::disabled_at.eq(micros(at))).execute(connection)?;
    Ok(())
}

pub(crate) fn account_password_set_in_txn(connection: &mut Connection, name: &str, password: &str) -> QueryResult<()> {
    diesel::update(account::table.find(name)).set(account::password.eq(password)).execute(connection)?;
    Ok(())
}

fn account_row(columns: AccountColumns) -> AccountRow {
    let (name, tenant, role, password, created_at, created_by, disabled_at) = columns;
    let (created_at, disabled_at) = (timestamp(created_at), disabled_at.map(timestamp));
    AccountRow { name, tenant, role, password, created_at, created_by, disabled_at }
}
