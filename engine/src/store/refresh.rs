//! The table of refresh tokens. A token is used once; the update that uses it compares.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};

use super::{
    Connection, Error, JobResult,
    row::{content_digest, micros, timestamp},
    schema::refresh_token,
};

/// A refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefreshRow {
    /// The hash of the token.
    pub(crate) hash: Digest,
    /// The login that it descends from.
    pub(crate) family: [u8; 16],
    pub(crate) account: String,
    /// The end of the family.
    pub(crate) until: Timestamp,
    /// When it was used, and the sealed token that came out of it.
    pub(crate) used: Option<(Timestamp, [u8; 32])>,
}

type Columns = (Vec<u8>, Vec<u8>, String, i64, Option<i64>, Option<Vec<u8>>);

/// The token with that hash.
pub(crate) fn refresh_get(connection: &mut Connection, hash: &Digest) -> JobResult<Option<RefreshRow>> {
    let row: Option<Columns> =
        refresh_token::table.find(hash.as_bytes().as_slice()).get_result(connection).optional()?;
    Ok(row.map(token).transpose()?)
}

/// Adds a token that was not used.
pub(crate) fn refresh_insert_in_txn(connection: &mut Connection, row: &RefreshRow) -> QueryResult<()> {
    diesel::insert_into(refresh_token::table)
        .values((
            refresh_token::hash.eq(row.hash.as_bytes().as_slice()),
            refresh_token::family.eq(row.family.as_slice()),
            refresh_token::account.eq(&row.account),
            refresh_token::until.eq(micros(row.until)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Uses a token. Returns whether it was not used before.
pub(crate) fn refresh_use_in_txn(
    connection: &mut Connection,
    hash: &Digest,
    at: Timestamp,
    successor: &[u8; 32],
) -> QueryResult<bool> {
    let unused = refresh_token::table.find(hash.as_bytes().as_slice()).filter(refresh_token::used_at.is_null());
    let n_changed = diesel::update(unused)
        .set((refresh_token::used_at.eq(micros(at)), refresh_token::successor.eq(successor.as_slice())))
        .execute(connection)?;
    Ok(n_changed == 1)
}

/// Ends a family. Deleting leaves nothing that could be taken for a token within its time of grace.
pub(crate) fn refresh_family_delete_in_txn(connection: &mut Connection, family: &[u8; 16]) -> QueryResult<()> {
    diesel::delete(refresh_token::table.filter(refresh_token::family.eq(family.as_slice()))).execute(connection)?;
    Ok(())
}

/// Ends all families of an account.
pub(crate) fn refresh_account_delete_in_txn(connection: &mut Connection, account: &str) -> QueryResult<()> {
    diesel::delete(refresh_token::table.filter(refresh_token::account.eq(account))).execute(connection)?;
    Ok(())
}

/// Removes the families that have ended by themselves.
pub(crate) fn refresh_expired_delete_in_txn(connection: &mut Connection, now: Timestamp) -> QueryResult<()> {
    diesel::delete(refresh_token::table.filter(refresh_token::until.le(micros(now)))).execute(connection)?;
    Ok(())
}

fn token(columns: Columns) -> Result<RefreshRow, Error> {
    let (hash, family, account, until, used_at, successor) = columns;
    let n_bytes = family.len();
    let family = family.try_into().map_err(|_| Error::Corrupt { reason: format!("a family of {n_bytes} bytes") })?;
    let successor = successor.map(|sealed| content_digest(&sealed)).transpose()?;
    let used = used_at.map(timestamp).zip(successor.map(|sealed| *sealed.as_bytes()));
    Ok(RefreshRow { hash: content_digest(&hash)?, family, account, until: timestamp(until), used })
}
