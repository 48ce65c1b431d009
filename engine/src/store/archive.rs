//! The tables of archives and of their signatures: the bytes from which a library is unpacked wherever it is needed.
//!
//! An archive is kept by the digest of its bytes, once for all tenants, in the transaction that registers the package.
//! Two archives may have the same content; each is kept for as long as a package names it. Signatures are kept beside
//! the bytes that they sign and go with them. What is read here is as somebody wrote it into the database: a reader that
//! uses it checks it.

use std::collections::HashSet;

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl, dsl::exists, select};

use super::{
    Connection, JobResult,
    row::{content_digest, micros},
    schema::{archive, package, signature},
};

/// An archive as it was sent, with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArchiveRow {
    pub(crate) bytes: Vec<u8>,
    /// In the order in which they were added.
    pub(crate) signatures: Vec<Vec<u8>>,
}

/// The archive of a package with its digest, if it is kept.
pub(crate) fn archive_of_package(
    connection: &mut Connection,
    tenant: &str,
    content: Digest,
) -> JobResult<Option<(Digest, ArchiveRow)>> {
    let named: Option<Vec<u8>> = package::table
        .filter(package::tenant.eq(tenant))
        .filter(package::digest.eq(content.as_bytes().as_slice()))
        .select(package::archive_digest)
        .get_result(connection)
        .optional()?;
    let Some(named) = named else { return Ok(None) };
    let digest = content_digest(&named)?;
    Ok(archive_get(connection, digest)?.map(|archive| (digest, archive)))
}

/// The digests of all archives that are kept.
pub(crate) fn archive_list(connection: &mut Connection) -> JobResult<HashSet<Digest>> {
    let digests: Vec<Vec<u8>> = archive::table.select(archive::digest).load(connection)?;
    Ok(digests.iter().map(|digest| content_digest(digest)).collect::<Result<_, _>>()?)
}

/// The archive of that digest, if it is kept.
pub(crate) fn archive_get(connection: &mut Connection, digest: Digest) -> QueryResult<Option<ArchiveRow>> {
    let digest = digest.as_bytes().as_slice();
    let kept = archive::table.filter(archive::digest.eq(digest)).select(archive::bytes);
    let Some(bytes) = kept.get_result(connection).optional()? else { return Ok(None) };
    let signatures = signatures_of(connection, digest)?;
    Ok(Some(ArchiveRow { bytes, signatures }))
}

/// The signatures of the archive of that digest, in the order in which they were added.
pub(crate) fn signature_list(connection: &mut Connection, digest: Digest) -> QueryResult<Vec<Vec<u8>>> {
    signatures_of(connection, digest.as_bytes().as_slice())
}

fn signatures_of(connection: &mut Connection, digest: &[u8]) -> QueryResult<Vec<Vec<u8>>> {
    signature::table
        .filter(signature::archive.eq(digest))
        .order((signature::added_at, signature::digest))
        .select(signature::bytes)
        .load(connection)
}

/// Keeps an archive and adds signatures to it; returns how many were new. Must be called in a transaction of the
/// writer.
pub(super) fn archive_keep_in_txn(
    connection: &mut Connection,
    digest: Digest,
    row: &ArchiveRow,
    now: Timestamp,
) -> QueryResult<usize> {
    let column = digest.as_bytes().as_slice();
    let is_kept = select(exists(archive::table.filter(archive::digest.eq(column))));
    if !is_kept.get_result::<bool>(connection)? {
        let values = (archive::digest.eq(column), archive::bytes.eq(&row.bytes));
        diesel::insert_into(archive::table).values(values).execute(connection)?;
    }
    let mut n_new = 0;
    for bytes in &row.signatures {
        let own = Digest::of(bytes);
        let own = own.as_bytes().as_slice();
        let known = signature::table.filter(signature::archive.eq(column)).filter(signature::digest.eq(own));
        if select(exists(known)).get_result::<bool>(connection)? {
            continue;
        }
        let values = (
            signature::archive.eq(column),
            signature::digest.eq(own),
            signature::bytes.eq(bytes),
            signature::added_at.eq(micros(now)),
        );
        n_new += diesel::insert_into(signature::table).values(values).execute(connection)?;
    }
    Ok(n_new)
}

/// Removes an archive that no package names any longer. Must be called in a transaction of the writer.
pub(super) fn archive_drop_unused_in_txn(connection: &mut Connection, digest: Digest) -> QueryResult<()> {
    let column = digest.as_bytes().as_slice();
    let is_named = select(exists(package::table.filter(package::archive_digest.eq(column))));
    if !is_named.get_result::<bool>(connection)? {
        diesel::delete(signature::table.filter(signature::archive.eq(column))).execute(connection)?;
        diesel::delete(archive::table.filter(archive::digest.eq(column))).execute(connection)?;
    }
    Ok(())
}
