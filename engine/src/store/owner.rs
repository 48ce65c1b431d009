//! The table of owners: which engines there are, by their epochs, and until when each may be trusted to live.
//!
//! - A file has one engine, which holds the lock of the file; every other row is of an engine that has ended.
//! - A server has any number. Each renews its lease; when that has run out, or when its process is provably gone, an engine that
//!   sees it marks the row as ended. That is for good: a commit or a renewal under an epoch that has ended is refused.
//! - Commits lock the row of their owner for sharing, and ending it takes the lock for itself: nothing is taken over
//!   while a commit of its owner is on its way. Nobody waits for that lock; who is busy is ended the next time.
//! - Leases are measured by the server's clock alone, so the clocks of the engines' machines do not matter.

use std::time::Duration;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, QueryDsl, QueryResult, QueryableByName, RunQueryDsl,
    dsl::sql,
    result::Error as DieselError,
    sql_query,
    sql_types::{Array, BigInt, Nullable, Text},
};

use super::{
    Connection,
    postgres::PgConnection,
    process::Process,
    schema::{owner, run},
};

/// The epoch that was given out last.
const EPOCH: &str = "engine_epoch";

/// How long an engine counts as alive after it was last heard of, unless told otherwise.
pub(crate) const LEASE_DEFAULT: Duration = Duration::from_secs(15);

/// So many times in a lease the engine says that it lives, each time with one query.
pub(crate) const PERIODS_OF_LEASE: u32 = 3;

/// An engine whose runs may be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndedOwner {
    pub(super) epoch: i64,
    /// Whether it ended all its attempts and said so. If not, some may have been running.
    pub(super) closed_in_order: bool,
}

/// What an engine is told when it says that it lives.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Renewal {
    /// Whether the lease was prolonged. If not, another engine has ended this epoch.
    pub(super) is_owner: bool,
    /// Other epochs that have ended, or whose lease has.
    pub(super) ended: Vec<i64>,
    /// Higher after any change of any package, or of whom any tenant trusts; 0 if there was none.
    pub(super) newest_change: i64,
}

/// Begins a new epoch, higher than any before, and ends the one that it takes the place of. Must be called in a
/// transaction of the writer.
pub(crate) fn epoch_begin_in_txn(
    connection: &mut Connection,
    lease: Duration,
    instead_of: Option<i64>,
) -> QueryResult<i64> {
    // Others wait from here to the end of the transaction, so everything else comes first.
    adopt_strangers(connection)?;
    if let Some(before) = instead_of {
        epoch_end_in_txn(connection, before, false)?;
    }
    let now = now(connection)?;
    let epoch = next_epoch(connection)?;
    let lease_until = match connection {
        Connection::Sqlite(_) => None,
        Connection::Postgres(_) => Some(now + micros(lease)),
    };
    let Process { pid, host, machine, began } = Process::this();
    diesel::insert_into(owner::table)
        .values((
            owner::epoch.eq(epoch),
            owner::lease_until.eq(lease_until),
            owner::started_at.eq(now),
            owner::host.eq(host),
            owner::pid.eq(pid),
            owner::machine.eq(machine),
            owner::process_began.eq(began),
        ))
        .execute(connection)?;
    Ok(epoch)
}

/// Ends an epoch by its own engine's will. `in_order` says that no attempt of it is left without an end or an
/// interruption in the history.
pub(crate) fn epoch_end_in_txn(connection: &mut Connection, epoch: i64, in_order: bool) -> QueryResult<()> {
    let ended = if in_order { CLOSED } else { DEAD };
    let mine = owner::table.filter(owner::epoch.eq(epoch)).filter(owner::ended.is_null());
    diesel::update(mine).set(owner::ended.eq(ended)).execute(connection)?;
    owner_remove_idle(connection, &[epoch])
}

/// Prolongs the lease of that epoch and looks for engines that have ended and for changes of packages and of
/// trust, in one query.
pub(super) fn owner_renew(connection: &mut PgConnection, epoch: i64, lease: Duration) -> QueryResult<Renewal> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        n_renewed: i64,
        #[diesel(sql_type = Array<BigInt>)]
        ended: Vec<i64>,
        #[diesel(sql_type = BigInt)]
        newest_change: i64,
    }
    let Row { n_renewed, ended, newest_change } = sql_query(renewal(epoch, lease)).get_result(connection)?;
    Ok(Renewal { is_owner: n_renewed == 1, ended, newest_change })
}

/// The query of [`owner_renew`].
pub(super) fn renewal(epoch: i64, lease: Duration) -> String {
    let lease = micros(lease);
    format!(
        "WITH mine AS (UPDATE owner SET lease_until = {NOW} + {lease} WHERE epoch = {epoch} AND ended IS NULL \
         RETURNING epoch) SELECT (SELECT count(*) FROM mine) AS n_renewed, \
         coalesce(array_agg(epoch), ARRAY[]::bigint[]) AS ended, \
         (SELECT coalesce(max(id), 0) FROM package_event) \
         + (SELECT coalesce(max(id), 0) FROM trust_event WHERE kind <> 'vouched') AS newest_change FROM owner \
         WHERE epoch <> {epoch} AND (ended IS NOT NULL OR lease_until < {NOW})"
    )
}

/// Marks every other engine that has ended as ended, for good, and returns those that have ended. Nobody else
/// can take their runs over before the transaction ends.
pub(super) fn owner_end_in_txn(connection: &mut Connection, epoch: i64) -> QueryResult<Vec<EndedOwner>> {
    let others = owner::table.filter(owner::epoch.ne(epoch));
    let rows: Vec<(i64, Option<String>)> = match connection {
        Connection::Sqlite(connection) => others.select((owner::epoch, owner::ended)).load(connection)?,
        Connection::Postgres(connection) => {
            let gone = owner_list_gone(connection)?;
            let lease_is_over = owner::lease_until.lt(sql::<Nullable<BigInt>>(NOW));
            others
                .filter(owner::ended.is_not_null().or(lease_is_over).or(owner::epoch.eq_any(gone)))
                .select((owner::epoch, owner::ended))
                .for_update()
                .skip_locked()
                .load(connection)?
        }
    };
    let epochs: Vec<i64> = rows.iter().map(|(epoch, _)| *epoch).collect();
    let unmarked = owner::table.filter(owner::epoch.eq_any(epochs)).filter(owner::ended.is_null());
    diesel::update(unmarked).set(owner::ended.eq(DEAD)).execute(connection)?;
    let ended =
        |(epoch, ended): (i64, Option<String>)| EndedOwner { epoch, closed_in_order: ended.as_deref() == Some(CLOSED) };
    Ok(rows.into_iter().map(ended).collect())
}

/// Removes those of the epochs, all of which have ended, of which no run is unfinished.
pub(super) fn owner_remove_idle(connection: &mut Connection, epochs: &[i64]) -> QueryResult<()> {
    let needed: Vec<i64> = run::table
        .filter(run::finished_at.is_null())
        .filter(run::owner_epoch.eq_any(epochs))
        .select(run::owner_epoch)
        .distinct()
        .load(connection)?;
    let idle: Vec<i64> = epochs.iter().copied().filter(|epoch| !needed.contains(epoch)).collect();
    diesel::delete(owner::table.filter(owner::epoch.eq_any(idle))).execute(connection)?;
    Ok(())
}

/// Whether the lease of that epoch has run out. On a file there are no leases.
pub(super) fn owner_is_overdue(connection: &mut Connection, epoch: i64) -> QueryResult<bool> {
    let Connection::Postgres(connection) = connection else { return Ok(false) };
    let overdue =
        owner::table.filter(owner::epoch.eq(epoch)).filter(owner::lease_until.lt(sql::<Nullable<BigInt>>(NOW)));
    Ok(overdue.count().get_result::<i64>(connection)? > 0)
}

/// The engines that were heard of within their leases.
pub(super) fn owner_list_alive(connection: &mut Connection) -> QueryResult<Vec<i64>> {
    let alive = owner::table.filter(owner::ended.is_null());
    alive.filter(owner::lease_until.gt(sql::<Nullable<BigInt>>(NOW))).select(owner::epoch).load(connection)
}

/// Engines of this machine that have not ended, but whose processes have.
fn owner_list_gone(connection: &mut PgConnection) -> QueryResult<Vec<i64>> {
    let this = Process::this();
    let rows: Vec<(i64, Option<i64>, Option<i64>)> = owner::table
        .filter(owner::ended.is_null())
        .filter(owner::machine.eq(&this.machine))
        .select((owner::epoch, owner::pid, owner::process_began))
        .load(connection)?;
    let gone = rows.into_iter().filter(|(_, pid, began)| {
        pid.is_some_and(|pid| Process { pid, began: *began, host: None, machine: this.machine.clone() }.is_gone())
    });
    Ok(gone.map(|(epoch, ..)| epoch).collect())
}

/// Gives a row to epochs that have unfinished runs and no row: before version 0004 of the schema it was removed when an
/// engine closed in order.
fn adopt_strangers(connection: &mut Connection) -> QueryResult<()> {
    let known: Vec<i64> = owner::table.select(owner::epoch).load(connection)?;
    let strangers: Vec<i64> = run::table
        .filter(run::finished_at.is_null())
        .filter(run::owner_epoch.ne_all(known))
        .select(run::owner_epoch)
        .distinct()
        .load(connection)?;
    for epoch in strangers {
        let row = (owner::epoch.eq(epoch), owner::lease_until.eq(0), owner::ended.eq(CLOSED));
        let insert = diesel::insert_into(owner::table).values(row);
        // Others who begin at the same time do the same.
        match connection {
            Connection::Sqlite(connection) => insert.on_conflict_do_nothing().execute(connection)?,
            Connection::Postgres(connection) => insert.on_conflict_do_nothing().execute(connection)?,
        };
    }
    Ok(())
}

/// An epoch that nobody has had. Until the transaction ends nobody else can begin one.
fn next_epoch(connection: &mut Connection) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let next = format!(
        "INSERT INTO setting (name, value) VALUES ('{EPOCH}', '1') ON CONFLICT (name) \
         DO UPDATE SET value = CAST(CAST(setting.value AS BIGINT) + 1 AS TEXT) RETURNING value"
    );
    let Row { value } = match connection {
        Connection::Sqlite(connection) => sql_query(next).get_result(connection)?,
        Connection::Postgres(connection) => sql_query(next).get_result(connection)?,
    };
    value.parse().map_err(|error| DieselError::DeserializationError(Box::new(error)))
}

/// How an owner ended, as the column has it.
const CLOSED: &str = "closed";
const DEAD: &str = "dead";

/// The server's time in microseconds.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

fn now(connection: &mut Connection) -> QueryResult<i64> {
    let now = match connection {
        Connection::Sqlite(_) => "CAST(strftime('%s', 'now') AS INTEGER) * 1000000",
        Connection::Postgres(_) => NOW,
    };
    diesel::select(sql::<BigInt>(now)).get_result(connection)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
