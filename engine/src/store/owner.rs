//! The table of owners: which engines there are, by their epochs, and until when each may be trusted to live.
//!
//! - A file has one engine, which holds the lock of the file; every other row is of one that ended out of order.
//! - A server has any number. Each renews its lease; when that has run out, whoever sees it removes the row. Commits
//!   lock the row for sharing, so nothing is taken over while a commit of its owner is on its way.
//! - Leases are reckoned by the server's clock alone, so the clocks of the engines' machines do not matter.
//! - Beginning and taking over are done by one engine at a time.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    dsl::sql,
    sql_types::{BigInt, Nullable},
};

use super::{
    Connection,
    schema::{owner, setting},
};

/// The epoch that was given out last.
const EPOCH: &str = "engine_epoch";

/// How long an engine counts as alive after it was last heard of. Renewed three times as often.
pub(crate) const LEASE: std::time::Duration = std::time::Duration::from_secs(15);

/// The ownership that a starting engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ownership {
    /// Higher than that of any engine before.
    pub(crate) epoch: i64,
    /// Whether every engine whose runs are taken over ended all its attempts and said so. If not, some may have been
    /// running.
    pub(crate) closed_in_order: bool,
}

/// Begins a new epoch and ends those of dead engines. Must be called in a transaction of the writer.
pub(crate) fn epoch_begin_in_txn(connection: &mut Connection) -> QueryResult<Ownership> {
    let epoch = lock_epoch(connection)?.unwrap_or(0) + 1;
    let value = epoch.to_string();
    diesel::update(setting::table.find(EPOCH)).set(setting::value.eq(&value)).execute(connection)?;
    let n_dead = owner_remove_dead(connection, epoch)?;
    let lease_until = match connection {
        Connection::Sqlite(_) => None,
        Connection::Postgres(_) => Some(lease_end(connection)?),
    };
    diesel::insert_into(owner::table)
        .values((owner::epoch.eq(epoch), owner::lease_until.eq(lease_until)))
        .execute(connection)?;
    Ok(Ownership { epoch, closed_in_order: n_dead == 0 })
}

/// Notes that no attempt of that epoch is left without an end or an interruption in the history.
pub(crate) fn epoch_close_in_txn(connection: &mut Connection, epoch: i64) -> QueryResult<()> {
    diesel::delete(owner::table.filter(owner::epoch.eq(epoch))).execute(connection)?;
    Ok(())
}

/// Prolongs the lease of that epoch. Says `false` if it is too late: another engine has taken over.
pub(crate) fn owner_renew_in_txn(connection: &mut Connection, epoch: i64) -> QueryResult<bool> {
    if matches!(connection, Connection::Sqlite(_)) {
        return Ok(true);
    }
    let lease_until = lease_end(connection)?;
    let mine = owner::table.filter(owner::epoch.eq(epoch));
    Ok(diesel::update(mine).set(owner::lease_until.eq(lease_until)).execute(connection)? == 1)
}

/// Removes the engines that are dead and returns how many there were. On a file that is everyone else.
pub(super) fn owner_remove_dead(connection: &mut Connection, epoch: i64) -> QueryResult<usize> {
    let others = owner::table.filter(owner::epoch.ne(epoch));
    match connection {
        Connection::Sqlite(connection) => diesel::delete(others).execute(connection),
        Connection::Postgres(connection) => {
            let now = sql::<Nullable<BigInt>>(NOW);
            diesel::delete(others.filter(owner::lease_until.lt(now))).execute(connection)
        }
    }
}

/// How many engines were heard of within their leases.
pub(super) fn owner_count_alive(connection: &mut Connection) -> QueryResult<i64> {
    owner::table.filter(owner::lease_until.gt(sql::<Nullable<BigInt>>(NOW))).count().get_result(connection)
}

/// The last epoch, if there has been one. Until the transaction ends nobody else can begin an epoch or take over.
pub(super) fn lock_epoch(connection: &mut Connection) -> QueryResult<Option<i64>> {
    let row = (setting::name.eq(EPOCH), setting::value.eq("0"));
    let insert = diesel::insert_into(setting::table).values(row);
    let value: Option<String> = match connection {
        Connection::Sqlite(connection) => {
            insert.on_conflict_do_nothing().execute(connection)?;
            setting::table.find(EPOCH).select(setting::value).first(connection).optional()?
        }
        Connection::Postgres(connection) => {
            insert.on_conflict_do_nothing().execute(connection)?;
            setting::table.find(EPOCH).select(setting::value).for_update().first(connection).optional()?
        }
    };
    Ok(value.and_then(|value| value.parse().ok()))
}

/// The server's time in microseconds.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

fn lease_end(connection: &mut Connection) -> QueryResult<i64> {
    let now: i64 = diesel::select(sql::<BigInt>(NOW)).get_result(connection)?;
    Ok(now + i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX))
}
