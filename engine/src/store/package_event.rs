//! The table of package events: every change of a package, with who made it and why, in the order of the changes.
//!
//! A change and its event are one transaction. On a server such transactions take turns, so ids are given in the order
//! in which changes become visible: a reader that knows the newest id knows whether there is anything that it has not seen.

use std::{fmt, str::FromStr};

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl, connection::SimpleConnection, dsl::max};
use serde::{Deserialize, Serialize};

use super::{
    Connection, Error, JobResult, PackageState,
    row::{content_digest, micros, state, timestamp},
    schema::package_event,
};

/// What happened to a version of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PackageEventKind {
    /// It was registered.
    Registered,
    /// New runs get it, all of them or a share.
    Activated,
    /// New runs get it again, as before.
    RolledBack,
    /// New runs get it no more.
    Retired,
    /// It is not used for the time being.
    Quarantined,
    /// Its quarantine is over.
    Released,
    /// It was removed.
    Removed,
    /// Signatures of its archive were added.
    SignaturesAdded,
}

/// Something that happened to a version of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PackageEvent {
    /// Grows with each change of any package in the database.
    #[serde(skip)]
    pub id: i64,
    /// The tenant that has the package.
    #[serde(skip)]
    pub tenant: String,
    /// The package's name.
    #[serde(skip)]
    pub name: String,
    /// When it happened.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// What happened, such as `registered`.
    #[serde(rename = "event")]
    pub kind: PackageEventKind,
    /// The version.
    pub version: String,
    /// Its content digest.
    #[serde(rename = "content_digest")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub digest: Digest,
    /// The actor.
    #[serde(rename = "by")]
    pub actor: String,
    /// The reason. Absent if none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The state before. Absent if there was none, or it stayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PackageState>,
    /// The state after. Absent if there is none, or it stayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<PackageState>,
    /// How many of a hundred new runs the version gets since. Absent if that did not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<u8>,
}

impl PackageEventKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Registered,
        Self::Activated,
        Self::RolledBack,
        Self::Retired,
        Self::Quarantined,
        Self::Released,
        Self::Removed,
        Self::SignaturesAdded,
    ];

    /// The name, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Activated => "activated",
            Self::RolledBack => "rolled_back",
            Self::Retired => "retired",
            Self::Quarantined => "quarantined",
            Self::Released => "released",
            Self::Removed => "removed",
            Self::SignaturesAdded => "signatures_added",
        }
    }
}

/// Names the lock under which packages are changed; any number will do that no other program uses.
const LOCK: i32 = 0x636c_706b;

type Columns = (
    i64,
    String,
    String,
    String,
    Vec<u8>,
    String,
    i64,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i32>,
);

/// Waits until no other engine is changing packages. Must be called at the beginning of a change.
pub(super) fn package_lock_in_txn(connection: &mut Connection) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(_) => Ok(()),
        Connection::Postgres(connection) => {
            connection.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK}, hashtext(current_schema()))"))
        }
    }
}

/// Writes an event; its id is given. Must be called in the transaction of the change.
pub(super) fn package_event_add_in_txn(connection: &mut Connection, event: &PackageEvent) -> QueryResult<()> {
    diesel::insert_into(package_event::table)
        .values((
            package_event::tenant.eq(&event.tenant),
            package_event::name.eq(&event.name),
            package_event::version.eq(&event.version),
            package_event::digest.eq(event.digest.as_bytes().as_slice()),
            package_event::kind.eq(event.kind.as_str()),
            package_event::at.eq(micros(event.at)),
            package_event::actor.eq(&event.actor),
            package_event::reason.eq(&event.reason),
            package_event::from_state.eq(event.from.map(PackageState::as_str)),
            package_event::to_state.eq(event.to.map(PackageState::as_str)),
            package_event::share.eq(event.share.map(i32::from)),
        ))
        .execute(connection)?;
    Ok(())
}

/// The id of the newest change of any package; 0 if there was none.
pub(crate) fn package_newest_change(connection: &mut Connection) -> QueryResult<i64> {
    let newest: Option<i64> = package_event::table.select(max(package_event::id)).get_result(connection)?;
    Ok(newest.unwrap_or(0))
}

/// Everything that happened to the versions of a package, oldest first; also to those that are gone.
pub(crate) fn package_event_list(
    connection: &mut Connection,
    tenant: &str,
    name: &str,
) -> JobResult<Vec<PackageEvent>> {
    let rows: Vec<Columns> = package_event::table
        .filter(package_event::tenant.eq(tenant))
        .filter(package_event::name.eq(name))
        .order(package_event::id)
        .load(connection)?;
    Ok(rows.into_iter().map(from_columns).collect::<Result<_, _>>()?)
}

fn from_columns(columns: Columns) -> Result<PackageEvent, Error> {
    let (id, tenant, name, version, content, kind, at, actor, reason, from, to, share) = columns;
    Ok(PackageEvent {
        id,
        tenant,
        name,
        version,
        digest: content_digest(&content)?,
        kind: state(&kind)?,
        at: timestamp(at),
        actor,
        reason,
        from: from.as_deref().map(state).transpose()?,
        to: to.as_deref().map(state).transpose()?,
        share: share.and_then(|share| u8::try_from(share).ok()),
    })
}

impl fmt::Display for PackageEventKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for PackageEventKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}
