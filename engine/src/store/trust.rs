//! The tables of trust: how many signatures a tenant requires, its keys, and the record of every change.
//!
//! What a policy means is decided elsewhere; here keys are text. A change takes the lock first, so
//! that what was read before a change is still so when it is written. Rows of events are only ever added.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl, connection::SimpleConnection, dsl::max,
};

use super::{
    Connection, Error, JobResult,
    row::{micros, state, timestamp},
    schema::{trust_event, trust_key, trust_policy},
};

/// A key that a tenant trusts, or trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustKeyRow {
    pub(crate) tenant: String,
    /// 16 hexadecimal digits.
    pub(crate) key_id: String,
    pub(crate) name: String,
    /// The line of its file.
    pub(crate) public_key: String,
    /// Separated by spaces.
    pub(crate) scopes: String,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) added_at: Timestamp,
    pub(crate) added_by: String,
    pub(crate) revoked: Option<RevokedRow>,
}

/// That a key is not trusted any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RevokedRow {
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    pub(crate) reason: String,
}

/// One change, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustEventRow {
    pub(crate) tenant: String,
    pub(crate) kind: TrustEventKind,
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) key_id: Option<String>,
    pub(crate) digest: Option<Digest>,
    pub(crate) detail: String,
}

/// What happened to the trust of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrustEventKind {
    /// A key is trusted from now on.
    KeyAdded,
    /// A key is forgotten.
    KeyRemoved,
    /// A key is not trusted any more, for good.
    KeyRevoked,
    /// Another number of signatures is required.
    RequirementChanged,
    /// A package was taken because of its signatures.
    PackageSigned,
}

impl TrustEventKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::KeyAdded, Self::KeyRemoved, Self::KeyRevoked, Self::RequirementChanged, Self::PackageSigned];

    /// The name, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyAdded => "key_added",
            Self::KeyRemoved => "key_removed",
            Self::KeyRevoked => "key_revoked",
            Self::RequirementChanged => "requirement_changed",
            Self::PackageSigned => "vouched",
        }
    }
}

impl std::str::FromStr for TrustEventKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// Waits until nobody else changes what anybody trusts, and keeps others waiting to the end of the transaction.
pub(crate) fn trust_lock_in_txn(connection: &mut Connection) -> QueryResult<()> {
    /// Any number that no other program uses.
    const LOCK: i32 = 0x636c_7472;
    match connection {
        // Nobody else writes to a file.
        Connection::Sqlite(_) => Ok(()),
        Connection::Postgres(connection) => {
            connection.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK}, hashtext(current_schema()))"))
        }
    }
}

/// How many signatures the tenant requires, if that was ever said.
pub(crate) fn trust_required_get(connection: &mut Connection, tenant: &str) -> QueryResult<Option<i32>> {
    trust_policy::table.find(tenant).select(trust_policy::required).get_result(connection).optional()
}

/// Says how many signatures the tenant requires.
pub(crate) fn trust_required_set_in_txn(connection: &mut Connection, tenant: &str, required: i32) -> QueryResult<()> {
    let n_changed = diesel::update(trust_policy::table.find(tenant))
        .set(trust_policy::required.eq(required))
        .execute(connection)?;
    if n_changed == 0 {
        diesel::insert_into(trust_policy::table)
            .values((trust_policy::tenant.eq(tenant), trust_policy::required.eq(required)))
            .execute(connection)?;
    }
    Ok(())
}

type KeyColumns =
    (String, String, String, String, String, Option<i64>, i64, String, Option<i64>, Option<String>, Option<String>);

/// The keys of a tenant, by name; those that were revoked too.
pub(crate) fn trust_key_list(connection: &mut Connection, tenant: &str) -> QueryResult<Vec<TrustKeyRow>> {
    let keys = trust_key::table.filter(trust_key::tenant.eq(tenant)).order(trust_key::name);
    let rows: Vec<KeyColumns> = keys.load(connection)?;
    Ok(rows.into_iter().map(key).collect())
}

/// Whether any tenant trusts any key.
pub(crate) fn trust_key_is_any(connection: &mut Connection) -> QueryResult<bool> {
    let any: Option<String> = trust_key::table.select(trust_key::name).first(connection).optional()?;
    Ok(any.is_some())
}

pub(crate) fn trust_key_insert_in_txn(connection: &mut Connection, row: &TrustKeyRow) -> QueryResult<()> {
    diesel::insert_into(trust_key::table)
        .values((
            trust_key::tenant.eq(&row.tenant),
            trust_key::key_id.eq(&row.key_id),
            trust_key::name.eq(&row.name),
            trust_key::public_key.eq(&row.public_key),
            trust_key::scopes.eq(&row.scopes),
            trust_key::expires_at.eq(row.expires_at.map(micros)),
            trust_key::added_at.eq(micros(row.added_at)),
            trust_key::added_by.eq(&row.added_by),
        ))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn trust_key_delete_in_txn(connection: &mut Connection, tenant: &str, key_id: &str) -> QueryResult<()> {
    diesel::delete(trust_key::table.find((tenant, key_id))).execute(connection)?;
    Ok(())
}

/// Writes down that a key was revoked; one that was before stays as it is.
pub(crate) fn trust_key_revoke_in_txn(
    connection: &mut Connection,
    (tenant, key_id): (&str, &str),
    revoked: &RevokedRow,
) -> QueryResult<()> {
    diesel::update(trust_key::table.find((tenant, key_id)).filter(trust_key::revoked_at.is_null()))
        .set((
            trust_key::revoked_at.eq(micros(revoked.at)),
            trust_key::revoked_by.eq(&revoked.by),
            trust_key::revoked_reason.eq(&revoked.reason),
        ))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn trust_event_insert_in_txn(connection: &mut Connection, row: &TrustEventRow) -> QueryResult<()> {
    diesel::insert_into(trust_event::table)
        .values((
            trust_event::tenant.eq(&row.tenant),
            trust_event::kind.eq(row.kind.as_str()),
            trust_event::at.eq(micros(row.at)),
            trust_event::actor.eq(&row.actor),
            trust_event::key_id.eq(&row.key_id),
            trust_event::digest.eq(row.digest.as_ref().map(|digest| digest.as_bytes().as_slice())),
            trust_event::detail.eq(&row.detail),
        ))
        .execute(connection)?;
    Ok(())
}

type EventColumns = (i64, String, String, i64, String, Option<String>, Option<Vec<u8>>, String);

/// The newest events of a tenant, newest first.
pub(crate) fn trust_event_list(connection: &mut Connection, tenant: &str, n_max: i64) -> JobResult<Vec<TrustEventRow>> {
    let rows: Vec<EventColumns> = trust_event::table
        .filter(trust_event::tenant.eq(tenant))
        .order(trust_event::id.desc())
        .limit(n_max)
        .load(connection)?;
    Ok(rows.into_iter().map(event).collect::<Result<_, _>>()?)
}

/// The number of the newest change of whom any tenant trusts; 0 if there was none.
pub(crate) fn trust_newest_change(connection: &mut Connection) -> QueryResult<i64> {
    let changes = trust_event::table.filter(trust_event::kind.ne(TrustEventKind::PackageSigned.as_str()));
    let newest: Option<i64> = changes.select(max(trust_event::id)).get_result(connection)?;
    Ok(newest.unwrap_or(0))
}

fn key(columns: KeyColumns) -> TrustKeyRow {
    let (tenant, key_id, name, public_key, scopes, expires_at, added_at, added_by, revoked_at, revoked_by, reason) =
        columns;
    let revoked = revoked_at.map(|at| RevokedRow {
        at: timestamp(at),
        by: revoked_by.unwrap_or_default(),
        reason: reason.unwrap_or_default(),
    });
    let (expires_at, added_at) = (expires_at.map(timestamp), timestamp(added_at));
    TrustKeyRow { tenant, key_id, name, public_key, scopes, expires_at, added_at, added_by, revoked }
}

fn event(columns: EventColumns) -> Result<TrustEventRow, Error> {
    let (_, tenant, kind, at, actor, key_id, digest, detail) = columns;
    let digest = digest.map(|column| {
        let bytes: Result<[u8; 32], _> = column.as_slice().try_into();
        bytes
            .map(Digest::from_bytes)
            .map_err(|_| Error::Corrupt { reason: format!("a digest of {} bytes", column.len()) })
    });
    Ok(TrustEventRow {
        tenant,
        kind: state(&kind)?,
        at: timestamp(at),
        actor,
        key_id,
        digest: digest.transpose()?,
        detail,
    })
}
