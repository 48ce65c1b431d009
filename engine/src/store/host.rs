//! What the processes of packages used up: a row for each process, written again while it lives and left as it is once it
//! has ended.
//!
//! A process may have run attempts of any number of runs, and may live longer than their histories are kept, so its row
//! belongs to the version of its package and goes by its own age.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    dsl::{exists, min, select, sql},
    sql_types::{BigInt, Nullable},
};

use super::{
    Connection, JobResult,
    row::{content_digest, micros, timestamp},
    schema::package_host,
};
use crate::id::HostId;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostRow {
    pub(crate) id: HostId,
    pub(crate) tenant: String,
    /// The content digest of the package's version.
    pub(crate) digest: Digest,
    pub(crate) began_at: Timestamp,
    /// When it was looked at last.
    pub(crate) read_at: Timestamp,
    /// How it ended, if its engine saw that.
    pub(crate) end: Option<HostEnd>,
    pub(crate) n_calls: i64,
    pub(crate) cpu_us: Option<i64>,
    pub(crate) peak_bytes: Option<i64>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostEnd {
    /// Its engine was done with it.
    Released,
    /// It ended by itself, or had to be killed.
    Crashed,
}

/// What the processes of one version of a package used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostSum {
    pub(crate) tenant: String,
    pub(crate) digest: Digest,
    pub(crate) n_hosts: i64,
    pub(crate) n_crashed: i64,
    pub(crate) n_calls: i64,
    pub(crate) n_cpu: i64,
    pub(crate) cpu_us: i64,
    pub(crate) n_peak: i64,
    pub(crate) peak_bytes: Option<i64>,
}

impl HostEnd {
    fn as_str(self) -> &'static str {
        match self {
            Self::Released => "let_go",
            Self::Crashed => "crashed",
        }
    }
}

/// Writes what was read of processes. What is known of the end of one stays. Must be called in a transaction of the
/// writer.
pub(crate) fn host_put_in_txn(connection: &mut Connection, rows: &[HostRow]) -> QueryResult<()> {
    for row in rows {
        let id = row.id.as_bytes().as_slice();
        let end = row.end.map(HostEnd::as_str);
        let used = (
            package_host::read_at.eq(micros(row.read_at)),
            package_host::ended.eq(end),
            package_host::n_calls.eq(row.n_calls),
            package_host::cpu_us.eq(row.cpu_us),
            package_host::peak_bytes.eq(row.peak_bytes),
        );
        let known = package_host::table.filter(package_host::id.eq(id));
        if select(exists(known)).get_result::<bool>(connection)? {
            let living = package_host::table.filter(package_host::id.eq(id)).filter(package_host::ended.is_null());
            diesel::update(living).set(used).execute(connection)?;
            continue;
        }
        let identity = (
            package_host::id.eq(id),
            package_host::tenant.eq(&row.tenant),
            package_host::digest.eq(row.digest.as_bytes().as_slice()),
            package_host::began_at.eq(micros(row.began_at)),
        );
        diesel::insert_into(package_host::table).values((identity, used)).execute(connection)?;
    }
    Ok(())
}

/// What processes used up that lived at some moment of that time, by version of a package; each as a whole.
pub(crate) fn host_sum(
    connection: &mut Connection,
    from: Option<Timestamp>,
    before: Option<Timestamp>,
) -> JobResult<Vec<HostSum>> {
    type Columns = ((String, Vec<u8>), (i64, i64, i64), (i64, i64), (i64, Option<i64>));
    // Sums of PostgreSQL are of a type that no other database has.
    let whole = |sum: &str| sql::<BigInt>(&format!("CAST({sum} AS BIGINT)"));
    let crashed = HostEnd::Crashed.as_str();
    let mut query = package_host::table
        .group_by((package_host::tenant, package_host::digest))
        .select((
            (package_host::tenant, package_host::digest),
            (
                whole("COUNT(*)"),
                whole(&format!("COUNT(CASE WHEN ended = '{crashed}' THEN 1 END)")),
                whole("SUM(n_calls)"),
            ),
            (whole("COUNT(cpu_us)"), whole("COALESCE(SUM(cpu_us), 0)")),
            (whole("COUNT(peak_bytes)"), sql::<Nullable<BigInt>>("MAX(peak_bytes)")),
        ))
        .into_boxed();
    if let Some(from) = from {
        query = query.filter(package_host::read_at.ge(micros(from)));
    }
    if let Some(before) = before {
        query = query.filter(package_host::began_at.lt(micros(before)));
    }
    let rows: Vec<Columns> = query.load(connection)?;
    let sums = rows.into_iter().map(|((tenant, digest), (n_hosts, n_crashed, n_calls), cpu, peak)| {
        let ((n_cpu, cpu_us), (n_peak, peak_bytes)) = (cpu, peak);
        let digest = content_digest(&digest)?;
        Ok(HostSum { tenant, digest, n_hosts, n_crashed, n_calls, n_cpu, cpu_us, n_peak, peak_bytes })
    });
    sums.collect()
}

/// When the process was looked at last that nobody has looked at for longest.
pub(crate) fn host_oldest(connection: &mut Connection) -> QueryResult<Option<Timestamp>> {
    let oldest: Option<i64> = package_host::table.select(min(package_host::read_at)).get_result(connection)?;
    Ok(oldest.map(timestamp))
}

/// Removes rows of processes that nobody has looked at since that moment, so many at most. Must be called in a transaction
/// of the writer.
pub(crate) fn host_delete_in_txn(connection: &mut Connection, until: Timestamp, n_max: i64) -> QueryResult<usize> {
    let due = package_host::table.filter(package_host::read_at.le(micros(until))).order(package_host::read_at);
    let last: Option<i64> =
        due.select(package_host::read_at).offset(n_max.saturating_sub(1)).first(connection).optional()?;
    let until = last.unwrap_or_else(|| micros(until));
    diesel::delete(package_host::table.filter(package_host::read_at.le(until))).execute(connection)
}
