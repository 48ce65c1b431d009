//! Small facts about the database as a whole: the epoch of its last engine and whether that one closed in order.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};

use super::{Connection, schema::setting};

const EPOCH: &str = "engine_epoch";
const CLOSED: &str = "closed_epoch";

/// The ownership that a starting engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ownership {
    /// Higher than that of any engine before.
    pub(crate) epoch: i64,
    /// Whether the engine before ended all its attempts and said so. If not, some may have been running.
    pub(crate) closed_in_order: bool,
}

/// Begins a new epoch. Must be called in a transaction of the writer.
pub(crate) fn epoch_begin_in_txn(connection: &mut Connection) -> QueryResult<Ownership> {
    let last = setting_number(connection, EPOCH)?;
    let closed = setting_number(connection, CLOSED)?;
    let epoch = last + 1;
    setting_write(connection, EPOCH, epoch)?;
    Ok(Ownership { epoch, closed_in_order: closed == last })
}

/// Notes that no attempt of that epoch is left without an end or an interruption in the history.
pub(crate) fn epoch_close_in_txn(connection: &mut Connection, epoch: i64) -> QueryResult<()> {
    setting_write(connection, CLOSED, epoch)
}

fn setting_number(connection: &mut Connection, name: &str) -> QueryResult<i64> {
    let value: Option<String> =
        setting::table.filter(setting::name.eq(name)).select(setting::value).first(connection).optional()?;
    Ok(value.and_then(|value| value.parse().ok()).unwrap_or(0))
}

fn setting_write(connection: &mut Connection, name: &str, value: i64) -> QueryResult<()> {
    let value = value.to_string();
    diesel::insert_into(setting::table)
        .values((setting::name.eq(name), setting::value.eq(&value)))
        .on_conflict(setting::name)
        .do_update()
        .set(setting::value.eq(&value))
        .execute(connection)?;
    Ok(())
}
