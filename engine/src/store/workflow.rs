//! The table of workflows that runs refer to.
//!
//! Rows are added when a workflow is registered and never change. They outlive their package, so that old runs can
//! still be shown.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

use super::{Connection, Error, JobResult, row::workflow_id, schema::workflow};
use crate::id::WorkflowId;

/// What makes a workflow's version one of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WorkflowKey {
    pub(crate) tenant: String,
    /// Empty for a workflow that is compiled into the program.
    pub(crate) package: String,
    pub(crate) name: String,
    /// The package's content digest; empty for a workflow that is compiled into the program.
    pub(crate) digest: Vec<u8>,
    pub(crate) fingerprint: String,
}

/// A workflow with its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkflowRow {
    pub(crate) id: WorkflowId,
    pub(crate) key: WorkflowKey,
    /// JSON of the descriptor's workflow.
    pub(crate) descriptor: String,
}

pub(super) type Columns = (Vec<u8>, String, String, String, Vec<u8>, String, String);

/// The id of that workflow, which is added if it is new. Must be called in a transaction of the writer.
pub(crate) fn workflow_ensure_in_txn(
    connection: &mut Connection,
    key: &WorkflowKey,
    descriptor: &str,
    now: Timestamp,
) -> JobResult<WorkflowId> {
    let id = WorkflowId::new(now);
    let insert = diesel::insert_into(workflow::table).values((
        workflow::id.eq(id.as_bytes().as_slice()),
        workflow::tenant.eq(&key.tenant),
        workflow::package.eq(&key.package),
        workflow::name.eq(&key.name),
        workflow::digest.eq(&key.digest),
        workflow::fingerprint.eq(&key.fingerprint),
        workflow::descriptor.eq(descriptor),
    ));
    // Written twice as diesel knows what a conflict is for each database, but not for both.
    match connection {
        Connection::Sqlite(connection) => insert.on_conflict_do_nothing().execute(connection)?,
        Connection::Postgres(connection) => insert.on_conflict_do_nothing().execute(connection)?,
    };
    let id: Vec<u8> = workflow::table
        .filter(workflow::tenant.eq(&key.tenant))
        .filter(workflow::package.eq(&key.package))
        .filter(workflow::name.eq(&key.name))
        .filter(workflow::digest.eq(&key.digest))
        .filter(workflow::fingerprint.eq(&key.fingerprint))
        .select(workflow::id)
        .get_result(connection)?;
    Ok(workflow_id(&id)?)
}

/// All workflows that those runs could refer to.
pub(crate) fn workflow_list(connection: &mut Connection) -> JobResult<Vec<WorkflowRow>> {
    let rows: Vec<Columns> = workflow::table.order(workflow::id).load(connection)?;
    Ok(rows.into_iter().map(from_columns).collect::<Result<_, _>>()?)
}

/// The workflows of one version of a package.
pub(crate) fn workflow_list_of(
    connection: &mut Connection,
    tenant: &str,
    content: Digest,
) -> JobResult<Vec<WorkflowRow>> {
    let rows: Vec<Columns> = workflow::table
        .filter(workflow::tenant.eq(tenant))
        .filter(workflow::digest.eq(content.as_bytes().as_slice()))
        .order(workflow::id)
        .load(connection)?;
    Ok(rows.into_iter().map(from_columns).collect::<Result<_, _>>()?)
}

/// Those of the workflows that are there.
pub(crate) fn workflow_list_some(
    connection: &mut Connection,
    ids: impl IntoIterator<Item = Vec<u8>>,
) -> JobResult<Vec<WorkflowRow>> {
    let rows: Vec<Columns> = workflow::table.filter(workflow::id.eq_any(ids)).order(workflow::id).load(connection)?;
    Ok(rows.into_iter().map(from_columns).collect::<Result<_, _>>()?)
}

pub(crate) fn workflow_get(connection: &mut Connection, id: WorkflowId) -> JobResult<WorkflowRow> {
    let row: Columns = workflow::table.filter(workflow::id.eq(id.as_bytes().as_slice())).get_result(connection)?;
    Ok(from_columns(row)?)
}

pub(super) fn from_columns(columns: Columns) -> Result<WorkflowRow, Error> {
    let (id, tenant, package, name, digest, fingerprint, descriptor) = columns;
    let key = WorkflowKey { tenant, package, name, digest, fingerprint };
    Ok(WorkflowRow { id: workflow_id(&id)?, key, descriptor })
}
