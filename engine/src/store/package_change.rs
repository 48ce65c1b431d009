//! Changes of packages that are registered: each is decided on what the table says at that moment, and written with
//! its event in one transaction.
//!
//! - In a tenant, one version of a package is the *main* one: active without a share. A second active version may have
//!   a share of the new runs; the main one gets the rest.
//! - A quarantined version keeps its place: if it was the main one, no other takes it before somebody says so.
//! - A request without an effect is not a change and leaves no event. A refused request changes nothing.
//! - On a server, changes of packages take turns.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl, TextExpressionMethods};

use super::{
    Connection, Error, JobResult, PackageAct, PackageState,
    archive::archive_drop_unused_in_txn,
    package_event::{
        PackageEvent, PackageEventKind, package_event_add_in_txn, package_event_list, package_lock_in_txn,
    },
    package_state::{PackageNext, next},
    row::{content_digest, micros, run_id, state},
    schema::{archive, package, run, workflow},
};
use crate::{core::run::State as RunState, id::RunId};

/// Which version is to be changed, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct PackageOrder {
    pub(crate) tenant: String,
    pub(crate) digest: Digest,
    pub(crate) actor: String,
    pub(crate) at: Timestamp,
    pub(crate) reason: Option<String>,
}

/// How a change ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PackageChanged {
    Done,
    /// It was so before.
    Unchanged,
    /// There is no such version.
    Missing,
    /// Nothing was written.
    Refused(PackageRefusal),
}

/// Why a version of a package is not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackageRefusal {
    /// Its state does not allow it.
    State {
        /// The version.
        version: String,
        /// What it is.
        state: PackageState,
        /// What was asked for.
        act: PackageAct,
    },
    /// It gets the rest of the new runs, of which another version has a share.
    Shared {
        /// The version.
        version: String,
        /// The version with the share.
        with: String,
    },
    /// No other version is active that could get the rest.
    NoRest {
        /// The version that was to get a share.
        version: String,
    },
    /// No version was active before.
    NoEarlier,
    /// Unfinished runs are pinned to it.
    Needed {
        /// The oldest of them.
        runs: Vec<RunId>,
    },
    /// Workflows as data use functions of it.
    Used {
        /// Versions of them.
        by: Vec<String>,
    },
}

/// What is known of one version.
#[derive(Clone, Debug)]
pub(super) struct Version {
    tenant: String,
    name: String,
    version: String,
    pub(super) digest: Digest,
    pub(super) archive_digest: Digest,
    pub(super) state: PackageState,
    before: Option<PackageState>,
    share: Option<u8>,
}

/// All versions of one package.
#[derive(Debug)]
pub(super) struct Versions(Vec<Version>);

/// How many runs an answer names, of those that need a package.
const NEEDED_BY_MAX: i64 = 20;

/// Lets new runs take the version: all of them, or a percentage. Must be called in a transaction of the writer, as all
/// of the following.
pub(crate) fn package_activate_in_txn(
    connection: &mut Connection,
    order: &PackageOrder,
    share: Option<u8>,
) -> JobResult<PackageChanged> {
    change(connection, order, |connection, versions, _| {
        versions.activate(connection, order, share, PackageEventKind::Activated)
    })
}

/// Lets new runs take the version no more.
pub(crate) fn package_retire_in_txn(connection: &mut Connection, order: &PackageOrder) -> JobResult<PackageChanged> {
    change(connection, order, |connection, versions, version| match next(version.state, PackageAct::Retire) {
        PackageNext::Same => Ok(PackageChanged::Unchanged),
        PackageNext::To(_) => match versions.sharer_with(version) {
            Some(other) => Ok(PackageChanged::Refused(version.shared_with(other))),
            None => {
                version.retire(connection, order)?;
                Ok(PackageChanged::Done)
            }
        },
        PackageNext::Before | PackageNext::Gone | PackageNext::Refused => {
            Ok(PackageChanged::Refused(version.refuses(PackageAct::Retire)))
        }
    })
}

/// Keeps the version from being used, for the order's reason.
pub(crate) fn package_quarantine_in_txn(
    connection: &mut Connection,
    order: &PackageOrder,
    until: Option<Timestamp>,
) -> JobResult<PackageChanged> {
    change(connection, order, |connection, _, version| {
        let (from, before) = (version.state, version.state_apart_from_quarantine());
        let to = PackageState::Quarantined;
        let reason = order.reason.as_deref().unwrap_or("");
        let known: (Option<String>, Option<i64>) =
            version.row().select((package::quarantine_reason, package::quarantined_until)).get_result(connection)?;
        if from == to && known == (Some(reason.to_owned()), until.map(micros)) {
            return Ok(PackageChanged::Unchanged);
        }
        diesel::update(version.row())
            .set((
                package::state.eq(to.as_str()),
                package::state_before.eq(before.as_str()),
                package::quarantine_reason.eq(reason),
                package::quarantined_at.eq(micros(order.at)),
                package::quarantined_until.eq(until.map(micros)),
            ))
            .execute(connection)?;
        version.note(connection, order, PackageEventKind::Quarantined, (Some(from), Some(to)), version.share)?;
        Ok(PackageChanged::Done)
    })
}

/// Lets the version be used again, as it was before its quarantine.
pub(crate) fn package_release_in_txn(connection: &mut Connection, order: &PackageOrder) -> JobResult<PackageChanged> {
    change(connection, order, |connection, _, version| {
        if next(version.state, PackageAct::Release) != PackageNext::Before {
            return Ok(PackageChanged::Unchanged);
        }
        let to = version.state_apart_from_quarantine();
        version.set(connection, to, version.share)?;
        let states = (Some(version.state), Some(to));
        version.note(connection, order, PackageEventKind::Released, states, version.share)?;
        Ok(PackageChanged::Done)
    })
}

/// Releases every version whose quarantine is over by then; returns how many there were.
pub(crate) fn package_release_due_in_txn(connection: &mut Connection, now: Timestamp) -> JobResult<usize> {
    const ACTOR: &str = "engine";
    package_lock_in_txn(connection)?;
    let due: Vec<(String, Vec<u8>)> = package::table
        .filter(package::quarantined_until.le(micros(now)))
        .select((package::tenant, package::digest))
        .load(connection)?;
    for (tenant, digest) in &due {
        let digest = content_digest(digest)?;
        let reason = Some("its time was over".to_owned());
        let order = PackageOrder { tenant: tenant.clone(), digest, actor: ACTOR.to_owned(), at: now, reason };
        package_release_in_txn(connection, &order)?;
    }
    Ok(due.len())
}

/// Forgets the version, unless unfinished runs need it or a workflow as data uses it.
pub(crate) fn package_remove_in_txn(connection: &mut Connection, order: &PackageOrder) -> JobResult<PackageChanged> {
    change(connection, order, |connection, versions, version| {
        if let Some(other) = versions.sharer_with(version) {
            return Ok(PackageChanged::Refused(version.shared_with(other)));
        }
        let runs = version.unfinished_runs(connection)?;
        if !runs.is_empty() {
            return Ok(PackageChanged::Refused(PackageRefusal::Needed { runs }));
        }
        let by = version.users(connection)?;
        if !by.is_empty() {
            return Ok(PackageChanged::Refused(PackageRefusal::Used { by }));
        }
        diesel::delete(version.row()).execute(connection)?;
        archive_drop_unused_in_txn(connection, version.archive_digest)?;
        version.note(connection, order, PackageEventKind::Removed, (Some(version.state), None), None)?;
        Ok(PackageChanged::Done)
    })
}

/// Goes one step back: ends a share, or activates the version that was the main one before. The order's digest is
/// not looked at; answers with that of the version that is the main one now.
pub(crate) fn package_roll_back_in_txn(
    connection: &mut Connection,
    order: &PackageOrder,
    name: &str,
) -> JobResult<(PackageChanged, Option<Digest>)> {
    package_lock_in_txn(connection)?;
    let versions = Versions::load(connection, &order.tenant, name)?;
    if versions.is_empty() {
        return Ok((PackageChanged::Missing, None));
    }
    let main = versions.main();
    if let Some(sharing) = versions.sharing() {
        sharing.retire(connection, order)?;
        return Ok((PackageChanged::Done, main.map(|main| main.digest)));
    }
    let events = package_event_list(connection, &order.tenant, name)?;
    let mut earlier = mains(&events);
    // What is the main one now is not what was before.
    while earlier
        .last()
        .is_some_and(|last| main.is_some_and(|main| main.digest == *last) || versions.of(*last).is_none())
    {
        earlier.pop();
    }
    let Some(target) = earlier.last().and_then(|digest| versions.of(*digest)) else {
        return Ok((PackageChanged::Refused(PackageRefusal::NoEarlier), None));
    };
    let order = PackageOrder { digest: target.digest, ..order.clone() };
    let changed = versions.activate(connection, &order, None, PackageEventKind::RolledBack)?;
    Ok((changed, Some(target.digest)))
}

/// The versions that were the main one, in order, without those that were rolled back from.
fn mains(events: &[PackageEvent]) -> Vec<Digest> {
    let mut mains: Vec<Digest> = Vec::new();
    for event in events.iter().filter(|event| event.share.is_none()) {
        match event.kind {
            PackageEventKind::Activated if mains.last() != Some(&event.digest) => mains.push(event.digest),
            PackageEventKind::RolledBack => match mains.iter().rposition(|main| *main == event.digest) {
                Some(place) => mains.truncate(place + 1),
                None => mains.push(event.digest),
            },
            _ => {}
        }
    }
    mains
}

fn change(
    connection: &mut Connection,
    order: &PackageOrder,
    change: impl FnOnce(&mut Connection, &Versions, &Version) -> JobResult<PackageChanged>,
) -> JobResult<PackageChanged> {
    package_lock_in_txn(connection)?;
    let name: Option<String> = package::table
        .filter(package::tenant.eq(&order.tenant))
        .filter(package::digest.eq(order.digest.as_bytes().as_slice()))
        .select(package::name)
        .get_result(connection)
        .optional()?;
    let Some(name) = name else { return Ok(PackageChanged::Missing) };
    let versions = Versions::load(connection, &order.tenant, &name)?;
    match versions.of(order.digest) {
        Some(version) => change(connection, &versions, version),
        None => Ok(PackageChanged::Missing),
    }
}

type Columns = (String, String, String, Vec<u8>, Vec<u8>, String, Option<String>, Option<i32>);

impl Versions {
    pub(super) fn load(connection: &mut Connection, tenant: &str, name: &str) -> JobResult<Self> {
        let rows: Vec<Columns> = package::table
            .filter(package::tenant.eq(tenant))
            .filter(package::name.eq(name))
            .order((package::registered_at, package::digest))
            .select((
                package::tenant,
                package::name,
                package::version,
                package::digest,
                package::archive_digest,
                package::state,
                package::state_before,
                package::share,
            ))
            .load(connection)?;
        let versions: Result<_, Error> = rows.into_iter().map(Version::from_columns).collect();
        Ok(Self(versions?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn of(&self, digest: Digest) -> Option<&Version> {
        self.0.iter().find(|version| version.digest == digest)
    }

    pub(super) fn named(&self, version: &str) -> Option<&Version> {
        self.0.iter().find(|known| known.version == version)
    }

    fn live(&self) -> impl Iterator<Item = &Version> {
        self.0.iter().filter(|version| version.state_apart_from_quarantine() == PackageState::Active)
    }

    fn main(&self) -> Option<&Version> {
        self.live().find(|version| version.share.is_none())
    }

    fn sharing(&self) -> Option<&Version> {
        self.live().find(|version| version.share.is_some())
    }

    /// The version that has a share of what this one would get.
    fn sharer_with(&self, version: &Version) -> Option<&Version> {
        let main = self.main().filter(|main| main.digest == version.digest);
        main.and(self.sharing())
    }

    /// Why that version cannot be activated.
    pub(super) fn refusal_to_activate(&self, version: &Version, share: Option<u8>) -> Option<PackageRefusal> {
        if next(version.state, PackageAct::Activate) == PackageNext::Refused {
            return Some(version.refuses(PackageAct::Activate));
        }
        let has_rest = self.main().is_some_and(|main| main.digest != version.digest);
        (share.is_some() && !has_rest).then(|| PackageRefusal::NoRest { version: version.version.clone() })
    }

    /// Activates the version of the order, for a share of the new runs or all. Those whose place it takes retire.
    pub(super) fn activate(
        &self,
        connection: &mut Connection,
        order: &PackageOrder,
        share: Option<u8>,
        kind: PackageEventKind,
    ) -> JobResult<PackageChanged> {
        let Some(version) = self.of(order.digest) else { return Ok(PackageChanged::Missing) };
        if let Some(refusal) = self.refusal_to_activate(version, share) {
            return Ok(PackageChanged::Refused(refusal));
        }
        let replaced: Vec<&Version> = self
            .live()
            .filter(|live| live.digest != version.digest && (share.is_none() || live.share.is_some()))
            .collect();
        if replaced.is_empty() && version.state == PackageState::Active && version.share == share {
            return Ok(PackageChanged::Unchanged);
        }
        for live in replaced {
            live.retire(connection, order)?;
        }
        version.set(connection, PackageState::Active, share)?;
        version.note(connection, order, kind, (Some(version.state), Some(PackageState::Active)), share)?;
        Ok(PackageChanged::Done)
    }
}

impl Version {
    fn from_columns(columns: Columns) -> Result<Self, Error> {
        let (tenant, name, version, digest, archive, found, before, share) = columns;
        Ok(Self {
            tenant,
            name,
            version,
            digest: content_digest(&digest)?,
            archive_digest: content_digest(&archive)?,
            state: state(&found)?,
            before: before.as_deref().map(state).transpose()?,
            share: share.and_then(|share| u8::try_from(share).ok()),
        })
    }

    fn state_apart_from_quarantine(&self) -> PackageState {
        self.before.unwrap_or(self.state)
    }

    fn refuses(&self, act: PackageAct) -> PackageRefusal {
        PackageRefusal::State { version: self.version.clone(), state: self.state, act }
    }

    fn shared_with(&self, other: &Self) -> PackageRefusal {
        PackageRefusal::Shared { version: self.version.clone(), with: other.version.clone() }
    }

    #[diesel::dsl::auto_type(no_type_alias)]
    fn row<'a>(&'a self) -> _ {
        let (tenant, digest): (&'a str, &'a [u8]) = (self.tenant.as_str(), self.digest.as_bytes().as_slice());
        package::table.filter(package::tenant.eq(tenant)).filter(package::digest.eq(digest))
    }

    /// Says which libraries the version has.
    pub(super) fn set_libraries(&self, connection: &mut Connection, libraries: &str) -> QueryResult<()> {
        diesel::update(self.row()).set(package::libraries.eq(libraries)).execute(connection)?;
        Ok(())
    }

    /// Writes the state, which is not a quarantine.
    fn set(&self, connection: &mut Connection, to: PackageState, share: Option<u8>) -> QueryResult<()> {
        diesel::update(self.row())
            .set((
                package::state.eq(to.as_str()),
                package::share.eq(share.map(i32::from)),
                package::state_before.eq(None::<String>),
                package::quarantine_reason.eq(None::<String>),
                package::quarantined_at.eq(None::<i64>),
                package::quarantined_until.eq(None::<i64>),
            ))
            .execute(connection)?;
        Ok(())
    }

    /// New runs get it no more. A quarantine stays.
    fn retire(&self, connection: &mut Connection, order: &PackageOrder) -> QueryResult<()> {
        let to = match self.before {
            None => {
                self.set(connection, PackageState::Retired, None)?;
                PackageState::Retired
            }
            Some(_) => {
                let before = package::state_before.eq(PackageState::Retired.as_str());
                diesel::update(self.row()).set((before, package::share.eq(None::<i32>))).execute(connection)?;
                self.state
            }
        };
        self.note(connection, order, PackageEventKind::Retired, (Some(self.state), Some(to)), None)?;
        Ok(())
    }

    pub(super) fn set_archive(&self, connection: &mut Connection, digest: Digest) -> QueryResult<()> {
        let column = package::archive_digest.eq(digest.as_bytes().as_slice());
        diesel::update(self.row()).set(column).execute(connection)?;
        Ok(())
    }

    /// Names those bytes if the ones that it was registered with are not kept.
    pub(super) fn set_archive_if_missing(&self, connection: &mut Connection, digest: Digest) -> QueryResult<()> {
        let n_kept: i64 = archive::table
            .filter(archive::digest.eq(self.archive_digest.as_bytes().as_slice()))
            .count()
            .get_result(connection)?;
        if n_kept == 0 { self.set_archive(connection, digest) } else { Ok(()) }
    }

    /// Writes an event of this version.
    pub(super) fn note(
        &self,
        connection: &mut Connection,
        order: &PackageOrder,
        kind: PackageEventKind,
        (from, to): (Option<PackageState>, Option<PackageState>),
        share: Option<u8>,
    ) -> QueryResult<()> {
        let event = PackageEvent {
            id: 0,
            tenant: self.tenant.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
            digest: self.digest,
            kind,
            at: order.at,
            actor: order.actor.clone(),
            reason: order.reason.clone(),
            from,
            to,
            share,
        };
        package_event_add_in_txn(connection, &event)
    }

    /// The versions of workflows as data in the tenant that are pinned to this one. Their definitions hold its digest.
    fn users(&self, connection: &mut Connection) -> JobResult<Vec<String>> {
        let pin = format!("%@{}%", self.digest);
        let users: Vec<(String, String)> = package::table
            .filter(package::tenant.eq(&self.tenant))
            .filter(package::libraries.like(pin))
            .order((package::registered_at, package::digest))
            .limit(NEEDED_BY_MAX)
            .select((package::name, package::version))
            .load(connection)?;
        Ok(users.into_iter().map(|(name, version)| format!("{}::{name}@{version}", self.tenant)).collect())
    }

    fn unfinished_runs(&self, connection: &mut Connection) -> JobResult<Vec<RunId>> {
        let unfinished = RunState::ALL.into_iter().filter(|state| !state.is_terminal()).map(RunState::as_str);
        let runs: Vec<Vec<u8>> = run::table
            .inner_join(workflow::table)
            .filter(workflow::tenant.eq(&self.tenant))
            .filter(workflow::digest.eq(self.digest.as_bytes().as_slice()))
            .filter(run::state.eq_any(unfinished.collect::<Vec<_>>()))
            .order(run::id)
            .limit(NEEDED_BY_MAX)
            .select(run::id)
            .load(connection)?;
        Ok(runs.iter().map(|id| run_id(id)).collect::<Result<_, _>>()?)
    }
}
