//! The table of API keys. Of a key only its hash is kept.
//!
//! What a role may do is decided elsewhere; here a role is text. A row is never deleted: a key that was revoked keeps its name.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};

use super::{
    Connection, Error, JobResult,
    row::{content_digest, micros, timestamp},
    schema::api_key,
};
use crate::id::Scope;

/// A key with which programs ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiKeyRow {
    /// 16 hexadecimal digits.
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) secret: Digest,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) used_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
}

type Columns = (String, String, String, String, Vec<u8>, i64, String, Option<i64>, Option<i64>, Option<i64>);

/// The key of that id.
pub(crate) fn api_key_get(connection: &mut Connection, id: &str) -> JobResult<Option<ApiKeyRow>> {
    let row: Option<Columns> = api_key::table.find(id).get_result(connection).optional()?;
    Ok(row.map(key).transpose()?)
}

/// Whether a key of the tenant has that name.
pub(crate) fn api_key_is_named(connection: &mut Connection, tenant: &str, name: &str) -> QueryResult<bool> {
    let named = api_key::table.filter(api_key::tenant.eq(tenant)).filter(api_key::name.eq(name));
    let found: Option<String> = named.select(api_key::id).first(connection).optional()?;
    Ok(found.is_some())
}

/// The keys of which the scope has any, by id, from the one after `after` on.
pub(crate) fn api_key_list(
    connection: &mut Connection,
    scope: &Scope,
    after: &str,
    n_max: i64,
) -> JobResult<Vec<ApiKeyRow>> {
    let page = api_key::table.filter(api_key::id.gt(after)).order(api_key::id).limit(n_max);
    let rows: Vec<Columns> = match scope {
        Scope::Every => page.load(connection)?,
        Scope::Tenant(tenant) => page.filter(api_key::tenant.eq(&**tenant)).load(connection)?,
    };
    Ok(rows.into_iter().map(key).collect::<Result<_, _>>()?)
}

pub(crate) fn api_key_insert_in_txn(connection: &mut Connection, row: &ApiKeyRow) -> QueryResult<()> {
    diesel::insert_into(api_key::table)
        .values((
            api_key::id.eq(&row.id),
            api_key::tenant.eq(&row.tenant),
            api_key::name.eq(&row.name),
            api_key::role.eq(&row.role),
            api_key::secret.eq(row.secret.as_bytes().as_slice()),
            api_key::created_at.eq(micros(row.created_at)),
            api_key::created_by.eq(&row.created_by),
            api_key::expires_at.eq(row.expires_at.map(micros)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Writes down that a key was used, unless an earlier use since `before` was written down.
pub(crate) fn api_key_use_in_txn(
    connection: &mut Connection,
    id: &str,
    at: Timestamp,
    before: Timestamp,
) -> QueryResult<()> {
    let is_due = api_key::used_at.is_null().or(api_key::used_at.lt(micros(before)));
    diesel::update(api_key::table.find(id).filter(is_due)).set(api_key::used_at.eq(micros(at))).execute(connection)?;
    Ok(())
}

/// Writes down that a key was revoked; a key that was revoked before stays as it is.
pub(crate) fn api_key_revoke_in_txn(connection: &mut Connection, id: &str, at: Timestamp) -> QueryResult<()> {
    diesel::update(api_key::table.find(id).filter(api_key::revoked_at.is_null()))
        .set(api_key::revoked_at.eq(micros(at)))
        .execute(connection)?;
    Ok(())
}

fn key(columns: Columns) -> Result<ApiKeyRow, Error> {
    let (id, tenant, name, role, secret, created_at, created_by, expires_at, used_at, revoked_at) = columns;
    Ok(ApiKeyRow {
        id,
        tenant,
        name,
        role,
        secret: content_digest(&secret)?,
        created_at: timestamp(created_at),
        created_by,
        expires_at: expires_at.map(timestamp),
        used_at: used_at.map(timestamp),
        revoked_at: revoked_at.map(timestamp),
    })
}
