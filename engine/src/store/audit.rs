//! The table of the audit log. Rows are only ever added, one after the other.
//!
//! The digests of the chain are computed elsewhere; here they are bytes. Nothing here changes or deletes a row, and triggers of
//! the database refuse both.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl, connection::SimpleConnection};

use super::{
    Connection, Error, JobResult,
    row::{content_digest, micros, timestamp},
    schema::audit,
};

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditRow {
    pub(crate) tenant: String,
    /// Counted from 1, without a gap.
    pub(crate) sequence: i64,
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) subject: String,
    pub(crate) result: String,
    pub(crate) address: String,
    pub(crate) request: String,
    pub(crate) detail: String,
    /// The digest of the entry before; zeros for the first one.
    pub(crate) previous: Digest,
    pub(crate) digest: Digest,
}

type Columns = (String, i64, i64, String, String, String, String, String, String, String, Vec<u8>, Vec<u8>);

/// Waits until nobody else changes who may ask, and keeps others waiting to the end of the transaction.
pub(crate) fn access_lock_in_txn(connection: &mut Connection) -> QueryResult<()> {
    /// Any number that no other program uses.
    const LOCK: i32 = 0x636c_6163;
    match connection {
        // Nobody else writes to a file.
        Connection::Sqlite(_) => Ok(()),
        Connection::Postgres(connection) => {
            connection.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK}, hashtext(current_schema()))"))
        }
    }
}

/// The number and the digest of a tenant's newest entry.
pub(crate) fn audit_newest(connection: &mut Connection, tenant: &str) -> JobResult<Option<(i64, Digest)>> {
    let newest: Option<(i64, Vec<u8>)> = audit::table
        .filter(audit::tenant.eq(tenant))
        .order(audit::sequence.desc())
        .select((audit::sequence, audit::digest))
        .first(connection)
        .optional()?;
    Ok(newest.map(|(sequence, digest)| content_digest(&digest).map(|digest| (sequence, digest))).transpose()?)
}

pub(crate) fn audit_insert_in_txn(connection: &mut Connection, row: &AuditRow) -> QueryResult<()> {
    diesel::insert_into(audit::table)
        .values((
            audit::tenant.eq(&row.tenant),
            audit::sequence.eq(row.sequence),
            audit::at.eq(micros(row.at)),
            audit::actor.eq(&row.actor),
            audit::action.eq(&row.action),
            audit::subject.eq(&row.subject),
            audit::result.eq(&row.result),
            audit::address.eq(&row.address),
            audit::request.eq(&row.request),
            audit::detail.eq(&row.detail),
            audit::previous.eq(row.previous.as_bytes().as_slice()),
            audit::digest.eq(row.digest.as_bytes().as_slice()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Entries of a tenant, newest first, from the one before `before` on.
pub(crate) fn audit_list(
    connection: &mut Connection,
    tenant: &str,
    before: i64,
    n_max: i64,
) -> JobResult<Vec<AuditRow>> {
    let rows: Vec<Columns> = audit::table
        .filter(audit::tenant.eq(tenant))
        .filter(audit::sequence.lt(before))
        .order(audit::sequence.desc())
        .limit(n_max)
        .load(connection)?;
    Ok(rows.into_iter().map(entry).collect::<Result<_, _>>()?)
}

/// Entries of a tenant, oldest first, from the one after `after` on.
pub(crate) fn audit_list_from(
    connection: &mut Connection,
    tenant: &str,
    after: i64,
    n_max: i64,
) -> JobResult<Vec<AuditRow>> {
    let rows: Vec<Columns> = audit::table
        .filter(audit::tenant.eq(tenant))
        .filter(audit::sequence.gt(after))
        .order(audit::sequence)
        .limit(n_max)
        .load(connection)?;
    Ok(rows.into_iter().map(entry).collect::<Result<_, _>>()?)
}

fn entry(columns: Columns) -> Result<AuditRow, Error> {
    let (tenant, sequence, at, actor, action, subject, result, address, request, detail, previous, digest) = columns;
    Ok(AuditRow {
        tenant,
        sequence,
        at: timestamp(at),
        actor,
        action,
        subject,
        result,
        address,
        request,
        detail,
        previous: content_digest(&previous)?,
        digest: content_digest(&digest)?,
    })
}
