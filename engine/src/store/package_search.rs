//! Which versions of packages are there: by tenant, name and state, in the order of tenants and names, a page at a time.
//!
//! One statement, which costs by the length of the page: each filter has an index in whose order the page is read, from
//! where the page before ended.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{
    RunQueryDsl,
    sql_types::{BigInt, Binary, Integer, Nullable, Text},
};
use serde::{Deserialize, Serialize};

use super::{
    Connection, JobResult, PackageState,
    package::{Columns, PackageRow, from_columns},
    row::micros,
    statement::Statement,
};

/// Which versions are looked for; an absent part excludes none.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackageSearch {
    pub(crate) tenant: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) state: Option<PackageState>,
    /// Only versions whose digest is in this range, both ends included.
    pub(crate) digests: Option<(Digest, Digest)>,
    pub(crate) after: Option<PackagePlace>,
    pub(crate) n_max: i64,
}

/// The place of a version in the list: by tenant and name, and of one package those registered first in front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagePlace {
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) registered_at: Timestamp,
    pub(crate) digest: Digest,
}

/// A version as a list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackageFound {
    pub(crate) row: PackageRow,
    /// The percentage of new runs of the version of the same package that shares them, if one does.
    pub(crate) sharing: Option<u8>,
}

type First = (Text, Binary, Binary, Text, Text, Text, Text, BigInt, Text);
type Second = (Nullable<Integer>, Nullable<Text>, Nullable<Text>, Nullable<BigInt>, Nullable<BigInt>);
type FoundTypes = ((First, Second), Nullable<Integer>);
type Found = (Columns, Option<i32>);

const COLUMNS: &str = "package.tenant, package.digest, package.archive_digest, package.name, package.version, \
                       package.state, package.actor, package.registered_at, package.libraries, package.share, \
                       package.state_before, package.quarantine_reason, package.quarantined_at, \
                       package.quarantined_until";

const SHARING: &str = "(SELECT other.share FROM package AS other WHERE other.tenant = package.tenant \
                       AND other.name = package.name AND other.share IS NOT NULL LIMIT 1)";

/// The versions that fit.
pub(crate) fn package_search(connection: &mut Connection, search: &PackageSearch) -> JobResult<Vec<PackageFound>> {
    let statement = statement(search);
    let found: Vec<Found> = match connection {
        Connection::Sqlite(connection) => statement.rows::<FoundTypes>().load(connection)?,
        // Which index is good depends on the values.
        Connection::Postgres(connection) => {
            connection.planned_anew(|connection| statement.rows::<FoundTypes>().load(connection))?
        }
    };
    let packages = found.into_iter().map(|(columns, sharing)| {
        let sharing = sharing.and_then(|share| u8::try_from(share).ok());
        Ok(PackageFound { row: from_columns(columns)?, sharing })
    });
    packages.collect()
}

/// The version of that tenant and that content.
pub(crate) fn package_find(
    connection: &mut Connection,
    tenant: &str,
    content: Digest,
) -> JobResult<Option<PackageFound>> {
    let mut statement = Statement::default();
    statement.text(&format!("SELECT {COLUMNS}, {SHARING} FROM package WHERE package.tenant = ")).name(tenant);
    statement.text(" AND package.digest = ").bytes(content.as_bytes());
    let found: Option<Found> = match connection {
        Connection::Sqlite(connection) => statement.rows::<FoundTypes>().load(connection)?.pop(),
        Connection::Postgres(connection) => statement.rows::<FoundTypes>().load(connection)?.pop(),
    };
    let Some((columns, sharing)) = found else { return Ok(None) };
    let sharing = sharing.and_then(|share| u8::try_from(share).ok());
    Ok(Some(PackageFound { row: from_columns(columns)?, sharing }))
}

/// What is asked of the database.
pub(super) fn statement(search: &PackageSearch) -> Statement {
    let PackageSearch { tenant, name, state, digests, after, n_max } = search;
    let mut statement = Statement::default();
    statement.text(&format!("SELECT {COLUMNS}, {SHARING} FROM package WHERE TRUE"));
    let state = state.map(|state| state.as_str().to_owned());
    for (column, value) in [("state", &state), ("tenant", tenant), ("name", name)] {
        if let Some(value) = value {
            statement.text(&format!(" AND package.{column} = ")).name(value);
        }
    }
    if let Some((first, last)) = digests {
        statement.text(" AND package.digest >= ").bytes(first.as_bytes());
        statement.text(" AND package.digest <= ").bytes(last.as_bytes());
    }
    // What is the same on the whole list orders nothing.
    let is_free = |column: &&str| match *column {
        "tenant" => tenant.is_none(),
        "name" => name.is_none(),
        _ => true,
    };
    let order: Vec<&str> = ["tenant", "name", "registered_at", "digest"].into_iter().filter(is_free).collect();
    let columns = order.iter().map(|column| format!("package.{column}")).collect::<Vec<_>>().join(", ");
    if let Some(after) = after {
        statement.text(&format!(" AND ({columns}) > ("));
        statement.each(", ", order, |statement, column| {
            match column {
                "tenant" => statement.name(&after.tenant),
                "name" => statement.name(&after.name),
                "registered_at" => statement.number(micros(after.registered_at)),
                _ => statement.bytes(after.digest.as_bytes()),
            };
        });
        statement.text(")");
    }
    statement.text(&format!(" ORDER BY {columns} LIMIT ")).n_rows(*n_max);
    statement
}
