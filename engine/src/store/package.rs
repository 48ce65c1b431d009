//! The table of packages: which versions a tenant has, and which of them new runs get.
//!
//! At most one version of a package is active in a tenant. A row is there as long as the package is registered; what
//! its runs refer to is in the table of workflows and stays.

use std::{fmt, str::FromStr};

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};

use super::{
    Connection, Error,
    row::{micros, run_id, state, timestamp},
    schema::{package, run, workflow},
};
use crate::{core::run::State as RunState, id::RunId};

/// Where a registered version of a package stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PackageState {
    /// Registered, and not taken by new runs yet.
    Registered,
    /// Taken by new runs.
    Active,
    /// Another version took its place; the runs that it has go on.
    Retired,
    /// Not to be used, as it did harm.
    Quarantined,
}

/// One version of a package in one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackageRow {
    pub(crate) tenant: String,
    /// Of the content: the version's identity.
    pub(crate) digest: Digest,
    pub(crate) archive_digest: Digest,
    /// Of the library's file.
    pub(crate) library_digest: Digest,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) state: PackageState,
    pub(crate) actor: String,
    pub(crate) registered_at: Timestamp,
    /// Below the folder of packages, so that the data folder may be moved.
    pub(crate) library_path: String,
    /// JSON of the merged descriptor.
    pub(crate) descriptor: String,
}

/// How registering a package ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PackageRegistered {
    New,
    /// The same content was there; it is the active version now, if it was not before.
    Again,
    /// The same name and version is there with other content. Nothing was written.
    Conflict {
        registered: Digest,
    },
}

/// How unregistering a package ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PackageUnregistered {
    /// It is gone. `is_last` when no tenant has it any more; `promoted` is the version that is active now in its place.
    Gone { is_last: bool, promoted: Option<Digest> },
    /// Unfinished runs are pinned to it. Nothing was written.
    Needed { runs: Vec<RunId> },
    /// There is no such package.
    Missing,
}

impl PackageState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Registered, Self::Active, Self::Retired, Self::Quarantined];

    /// The name, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Quarantined => "quarantined",
        }
    }
}

impl fmt::Display for PackageState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for PackageState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }
}

type Columns = (String, Vec<u8>, Vec<u8>, Vec<u8>, String, String, String, String, i64, String, String);

/// How many runs an answer names, of those that need a package.
const NEEDED_BY_MAX: i64 = 20;

/// Makes the package the active version of its name in its tenant. Must be called in a transaction of the writer.
pub(crate) fn package_register_in_txn(
    connection: &mut Connection,
    row: &PackageRow,
) -> QueryResult<Result<PackageRegistered, Error>> {
    let version = package::table
        .filter(package::tenant.eq(&row.tenant))
        .filter(package::name.eq(&row.name))
        .filter(package::version.eq(&row.version));
    let found: Option<(Vec<u8>, String)> =
        version.select((package::digest, package::state)).first(connection).optional()?;
    let Some((registered, found_state)) = found else {
        package_retire_in_txn(connection, row)?;
        package_insert_in_txn(connection, row)?;
        return Ok(Ok(PackageRegistered::New));
    };
    let found = digest(&registered).and_then(|content| Ok((content, state::<PackageState>(&found_state)?)));
    match found {
        Err(error) => Ok(Err(error)),
        Ok((found, _)) if found != row.digest => Ok(Ok(PackageRegistered::Conflict { registered: found })),
        Ok((_, PackageState::Active)) => Ok(Ok(PackageRegistered::Again)),
        Ok((_, PackageState::Registered | PackageState::Retired | PackageState::Quarantined)) => {
            package_retire_in_txn(connection, row)?;
            let registered = package::digest.eq(registered);
            diesel::update(package::table.filter(package::tenant.eq(&row.tenant)).filter(registered))
                .set((
                    package::state.eq(PackageState::Active.as_str()),
                    package::actor.eq(&row.actor),
                    package::registered_at.eq(micros(row.registered_at)),
                ))
                .execute(connection)?;
            Ok(Ok(PackageRegistered::Again))
        }
    }
}

/// Removes the package, unless unfinished runs need it. If it was the active version, the one registered last among
/// those that are left becomes active. Must be called in a transaction of the writer.
pub(crate) fn package_unregister_in_txn(
    connection: &mut Connection,
    tenant: &str,
    content: Digest,
) -> QueryResult<Result<PackageUnregistered, Error>> {
    let version =
        package::table.filter(package::tenant.eq(tenant)).filter(package::digest.eq(content.as_bytes().as_slice()));
    let found: Option<(String, String)> =
        version.select((package::name, package::state)).first(connection).optional()?;
    let Some((name, found_state)) = found else { return Ok(Ok(PackageUnregistered::Missing)) };
    let runs: Vec<Vec<u8>> = run::table
        .inner_join(workflow::table)
        .filter(workflow::tenant.eq(tenant))
        .filter(workflow::digest.eq(content.as_bytes().as_slice()))
        .filter(run::state.eq_any(unfinished()))
        .order(run::id)
        .limit(NEEDED_BY_MAX)
        .select(run::id)
        .load(connection)?;
    if !runs.is_empty() {
        let runs = runs.iter().map(|id| run_id(id)).collect::<Result<_, _>>();
        return Ok(runs.map(|runs| PackageUnregistered::Needed { runs }));
    }
    diesel::delete(version).execute(connection)?;
    let n_left: i64 =
        package::table.filter(package::digest.eq(content.as_bytes().as_slice())).count().get_result(connection)?;
    let was_active = found_state == PackageState::Active.as_str();
    let promoted = if was_active { package_promote_in_txn(connection, tenant, &name)? } else { None };
    let promoted = promoted.map(|promoted| digest(&promoted)).transpose();
    Ok(promoted.map(|promoted| PackageUnregistered::Gone { is_last: n_left == 0, promoted }))
}

/// All packages, those registered first in front.
pub(crate) fn package_list(connection: &mut Connection) -> QueryResult<Result<Vec<PackageRow>, Error>> {
    let rows: Vec<Columns> = package::table.order((package::registered_at, package::digest)).load(connection)?;
    Ok(rows.into_iter().map(from_columns).collect())
}

fn package_insert_in_txn(connection: &mut Connection, row: &PackageRow) -> QueryResult<usize> {
    diesel::insert_into(package::table)
        .values((
            package::tenant.eq(&row.tenant),
            package::digest.eq(row.digest.as_bytes().as_slice()),
            package::archive_digest.eq(row.archive_digest.as_bytes().as_slice()),
            package::library_digest.eq(row.library_digest.as_bytes().as_slice()),
            package::name.eq(&row.name),
            package::version.eq(&row.version),
            package::state.eq(row.state.as_str()),
            package::actor.eq(&row.actor),
            package::registered_at.eq(micros(row.registered_at)),
            package::library_path.eq(&row.library_path),
            package::descriptor.eq(&row.descriptor),
        ))
        .execute(connection)
}

/// The active version of a package makes room for another.
fn package_retire_in_txn(connection: &mut Connection, row: &PackageRow) -> QueryResult<()> {
    let active = package::table
        .filter(package::tenant.eq(&row.tenant))
        .filter(package::name.eq(&row.name))
        .filter(package::state.eq(PackageState::Active.as_str()));
    diesel::update(active).set(package::state.eq(PackageState::Retired.as_str())).execute(connection)?;
    Ok(())
}

fn package_promote_in_txn(connection: &mut Connection, tenant: &str, name: &str) -> QueryResult<Option<Vec<u8>>> {
    let newest: Option<Vec<u8>> = package::table
        .filter(package::tenant.eq(tenant))
        .filter(package::name.eq(name))
        .filter(package::state.ne(PackageState::Quarantined.as_str()))
        .order((package::registered_at.desc(), package::digest))
        .select(package::digest)
        .first(connection)
        .optional()?;
    if let Some(newest) = &newest {
        let row = package::table.filter(package::tenant.eq(tenant)).filter(package::digest.eq(newest));
        diesel::update(row).set(package::state.eq(PackageState::Active.as_str())).execute(connection)?;
    }
    Ok(newest)
}

fn unfinished() -> Vec<&'static str> {
    RunState::ALL.into_iter().filter(|state| !state.is_terminal()).map(RunState::as_str).collect()
}

fn from_columns(columns: Columns) -> Result<PackageRow, Error> {
    let (tenant, content, archive, library, name, version, found, actor, registered_at, library_path, descriptor) =
        columns;
    Ok(PackageRow {
        tenant,
        digest: digest(&content)?,
        archive_digest: digest(&archive)?,
        library_digest: digest(&library)?,
        name,
        version,
        state: state(&found)?,
        actor,
        registered_at: timestamp(registered_at),
        library_path,
        descriptor,
    })
}

fn digest(column: &[u8]) -> Result<Digest, Error> {
    let bytes: Result<[u8; 32], _> = column.try_into();
    let found = column.len();
    bytes.map(Digest::from_bytes).map_err(|_| Error::Corrupt { reason: format!("a digest of {found} bytes") })
}
