//! The table of packages: which versions a tenant has, and how one is registered.
//!
//! A row is there as long as the version is registered; what its runs refer to is in the table of workflows and stays.
//! In a tenant one version of a package is active, or two that share the new runs. Rows change in `package_change`.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl};
use serde::{Deserialize, Serialize};

use super::{
    Connection, Error, JobResult, PackageState,
    archive::{ArchiveRow, archive_drop_unused_in_txn, archive_keep_in_txn},
    library::{LibraryRow, libraries_of, libraries_text},
    package_change::{PackageChanged, PackageOrder, PackageRefusal, Versions},
    package_event::{PackageEventKind, package_lock_in_txn},
    package_search::PackagePlace,
    row::{content_digest, micros, state, timestamp},
    schema::package,
};

/// Whether a version becomes active when it is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Activation {
    /// If it is the first version of its package.
    #[default]
    IfFirst,
    /// At once.
    Now,
    /// Not before somebody activates it.
    Later,
}

/// Why a version must not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Quarantine {
    /// The reason, in words.
    pub reason: String,
    /// Since when.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = DateTime))]
    pub since: Timestamp,
    /// When it is tried again. Absent if somebody has to release it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, format = DateTime))]
    pub until: Option<Timestamp>,
    /// The state to which it goes back.
    pub before: PackageState,
}

/// One version of a package in one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackageRow {
    pub(crate) tenant: String,
    /// Of the content: the version's identity.
    pub(crate) digest: Digest,
    pub(crate) archive_digest: Digest,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) state: PackageState,
    pub(crate) actor: String,
    pub(crate) registered_at: Timestamp,
    /// One for each target, at least one.
    pub(crate) libraries: Vec<LibraryRow>,
    /// The percentage of new runs that it gets, if another active version gets the rest.
    pub(crate) share: Option<u8>,
    pub(crate) quarantine: Option<Quarantine>,
}

/// How registering a package ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PackageRegistered {
    New,
    /// The same content was there.
    Again,
    /// The same name and version is there with other content. Nothing was written.
    Conflict {
        registered: Digest,
    },
    /// It is there and cannot be activated. Nothing was written.
    Refused(PackageRefusal),
}

impl PackageRow {
    /// The state that it has, or has when its quarantine ends.
    pub(crate) fn state_apart_from_quarantine(&self) -> PackageState {
        self.quarantine.as_ref().map_or(self.state, |quarantine| quarantine.before)
    }

    /// What the version says of itself; but for how it was built, the same in all its libraries.
    pub(crate) fn descriptor(&self) -> &str {
        self.libraries.first().map_or("", |library| library.descriptor.as_str())
    }

    /// The canonical form of a workflow as data; none for a package.
    pub(crate) fn definition(&self) -> Option<&str> {
        self.libraries.first()?.definition.as_deref()
    }

    /// The percentage of new runs that a version gets, or would get if it was not quarantined, if another version of its
    /// package gets that share of them; none for a version that is not active.
    pub(crate) fn share_beside(&self, sharing: Option<u8>) -> Option<u8> {
        match (self.state_apart_from_quarantine(), self.share) {
            (PackageState::Active, Some(share)) => Some(share),
            (PackageState::Active, None) => Some(100 - sharing.unwrap_or(0)),
            _ => None,
        }
    }

    /// Its place in lists.
    pub(crate) fn place(&self) -> PackagePlace {
        let Self { tenant, name, registered_at, digest, .. } = self;
        PackagePlace { tenant: tenant.clone(), name: name.clone(), registered_at: *registered_at, digest: *digest }
    }

    /// Whether it is the version that a package's name without a version means.
    pub(crate) fn is_main(&self) -> bool {
        self.state_apart_from_quarantine() == PackageState::Active && self.share.is_none()
    }
}

pub(super) type Columns = (
    (String, Vec<u8>, Vec<u8>, String, String, String, String, i64, String),
    (Option<i32>, Option<String>, Option<String>, Option<i64>, Option<i64>),
);

/// Writes a version of a package with its archive, and activates it if that is asked for. The state of the row is not
/// looked at. Must be called in a transaction of the writer.
pub(crate) fn package_register_in_txn(
    connection: &mut Connection,
    row: &PackageRow,
    archive: &ArchiveRow,
    activation: Activation,
) -> JobResult<PackageRegistered> {
    package_lock_in_txn(connection)?;
    let order = PackageOrder {
        tenant: row.tenant.clone(),
        digest: row.digest,
        actor: row.actor.clone(),
        at: row.registered_at,
        reason: None,
    };
    register_in_txn(connection, row, archive, activation, &order)
}

fn register_in_txn(
    connection: &mut Connection,
    row: &PackageRow,
    archive: &ArchiveRow,
    activation: Activation,
    order: &PackageOrder,
) -> JobResult<PackageRegistered> {
    let versions = Versions::load(connection, &row.tenant, &row.name)?;
    let (found, is_first) = (versions.named(&row.version).cloned(), versions.is_empty());
    let answer = match found {
        None => {
            archive_keep_in_txn(connection, row.archive_digest, archive, row.registered_at)?;
            package_insert_in_txn(connection, row)?;
            let inserted = Versions::load(connection, &row.tenant, &row.name)?;
            if let Some(version) = inserted.of(row.digest) {
                let state = Some(PackageState::Registered);
                version.note(connection, order, PackageEventKind::Registered, (None, state), None)?;
            }
            PackageRegistered::New
        }
        Some(found) if found.digest != row.digest => {
            return Ok(PackageRegistered::Conflict { registered: found.digest });
        }
        Some(found) => {
            // The same content has the same libraries; one that was registered before targets were may lack some.
            found.set_libraries(connection, &libraries_text(&row.libraries))?;
            if activation == Activation::Now
                && let Some(refusal) = versions.refusal_to_activate(&found, None)
            {
                return Ok(PackageRegistered::Refused(refusal));
            }
            let n_new = archive_keep_in_txn(connection, row.archive_digest, archive, row.registered_at)?;
            if n_new > 0 {
                // What was signed last counts, with the bytes that were signed.
                found.set_archive(connection, row.archive_digest)?;
                let state = Some(found.state);
                found.note(connection, order, PackageEventKind::SignaturesAdded, (state, state), None)?;
            } else {
                found.set_archive_if_missing(connection, row.archive_digest)?;
            }
            for digest in [row.archive_digest, found.archive_digest] {
                archive_drop_unused_in_txn(connection, digest)?;
            }
            PackageRegistered::Again
        }
    };
    let is_wanted = match activation {
        Activation::IfFirst => is_first,
        Activation::Now => true,
        Activation::Later => false,
    };
    if is_wanted {
        let versions = Versions::load(connection, &row.tenant, &row.name)?;
        if let PackageChanged::Refused(refusal) =
            versions.activate(connection, order, None, PackageEventKind::Activated)?
        {
            return Ok(PackageRegistered::Refused(refusal));
        }
    }
    Ok(answer)
}

/// All packages, those registered first in front.
pub(crate) fn package_list(connection: &mut Connection) -> JobResult<Vec<PackageRow>> {
    let first = (
        package::tenant,
        package::digest,
        package::archive_digest,
        package::name,
        package::version,
        package::state,
        package::actor,
        package::registered_at,
        package::libraries,
    );
    let second = (
        package::share,
        package::state_before,
        package::quarantine_reason,
        package::quarantined_at,
        package::quarantined_until,
    );
    let rows: Vec<Columns> =
        package::table.order((package::registered_at, package::digest)).select((first, second)).load(connection)?;
    Ok(rows.into_iter().map(from_columns).collect::<Result<_, _>>()?)
}

fn package_insert_in_txn(connection: &mut Connection, row: &PackageRow) -> QueryResult<usize> {
    diesel::insert_into(package::table)
        .values((
            package::tenant.eq(&row.tenant),
            package::digest.eq(row.digest.as_bytes().as_slice()),
            package::archive_digest.eq(row.archive_digest.as_bytes().as_slice()),
            package::name.eq(&row.name),
            package::version.eq(&row.version),
            package::state.eq(PackageState::Registered.as_str()),
            package::actor.eq(&row.actor),
            package::registered_at.eq(micros(row.registered_at)),
            package::libraries.eq(libraries_text(&row.libraries)),
        ))
        .execute(connection)
}

pub(super) fn from_columns(columns: Columns) -> Result<PackageRow, Error> {
    let (first, (share, before, reason, since, until)) = columns;
    let (tenant, content, archive, name, version, found, actor, registered_at, libraries) = first;
    let quarantine = match (before, reason, since) {
        (Some(before), Some(reason), Some(since)) => {
            Some(Quarantine { reason, since: timestamp(since), until: until.map(timestamp), before: state(&before)? })
        }
        _ => None,
    };
    Ok(PackageRow {
        tenant,
        digest: content_digest(&content)?,
        archive_digest: content_digest(&archive)?,
        name,
        version,
        state: state(&found)?,
        actor,
        registered_at: timestamp(registered_at),
        libraries: libraries_of(&libraries)?,
        share: share.and_then(|share| u8::try_from(share).ok()),
        quarantine,
    })
}
