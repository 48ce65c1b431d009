//! Workers as the other products know them: the one that is part of this server, and those that announced themselves.
//!
//! Tasks run in the embedded worker alone. A worker that announced itself is kept in the memory of this server, is gone when
//! the server ends, and gets no tasks; each answer says so.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cloacina::{Caller, Clock, Error, Role, SystemClock, TENANT_DEFAULT, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{problem::Problem, refused::Refused};

/// The id of the worker that is part of the server.
const EMBEDDED: &str = "embedded";

/// The type of the embedded worker.
const EMBEDDED_TYPE: &str = "rust";

/// Workers that a tenant can register at most: far more than a tenant has machines, and little memory.
const REGISTERED_MAX: usize = 1_000;

/// Bytes of the type of a worker at most: it is a word.
const TYPE_BYTES_MAX: usize = 64;

/// A worker without a heartbeat for so long is shown as offline: three heartbeats, each half a minute after the other.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// A worker to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWorker {
    /// What kind of worker it is, such as `rust`; at most 64 bytes.
    #[serde(rename = "type")]
    kind: String,
}

/// A worker.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Worker {
    /// The id of the worker; `embedded` for the one that is part of the server and runs all tasks.
    id: String,
    /// What kind of worker it is.
    #[serde(rename = "type")]
    kind: String,
    /// The status of the worker.
    status: WorkerState,
    /// When the embedded worker started. Absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<cloacina::Moment>)]
    started_at: Option<Timestamp>,
    /// When the worker was registered. Absent for the embedded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<cloacina::Moment>)]
    registered_at: Option<Timestamp>,
    /// When the last heartbeat came, or the worker was registered. Absent for the embedded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<cloacina::Moment>)]
    last_heartbeat_at: Option<Timestamp>,
    /// `memory`: the server forgets the worker when it ends, and gives it no tasks. Absent for the embedded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_in: Option<&'static str>,
}

/// The status of a worker alone.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct WorkerStatus {
    /// The id of the worker.
    id: String,
    /// The status of the worker.
    status: WorkerState,
    /// When the last heartbeat came, or the worker was registered. Absent for the embedded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<cloacina::Moment>)]
    last_heartbeat_at: Option<Timestamp>,
}

/// The status of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WorkerState {
    /// It runs tasks.
    Running,
    /// It was registered, and its heartbeats come.
    Online,
    /// It was registered, and no heartbeat came for 90 seconds.
    Offline,
    /// It was removed.
    Stopped,
}

/// All workers of a server.
#[derive(Debug)]
pub(crate) struct Workers {
    started_at: Timestamp,
    registered: Mutex<BTreeMap<String, Registered>>,
}

/// A worker that announced itself.
#[derive(Clone, Debug)]
struct Registered {
    tenant: String,
    kind: String,
    registered_at: Timestamp,
    heartbeat_at: Timestamp,
}

impl Workers {
    /// The embedded worker alone, which starts now.
    pub(crate) fn new() -> Self {
        Self { started_at: SystemClock.now(), registered: Mutex::default() }
    }

    /// The workers of the caller's tenant, the embedded one first, and then in the order in which they were registered.
    pub(super) fn list(&self, caller: &Caller) -> Vec<Worker> {
        let now = SystemClock.now();
        let registered = self.registered();
        let seen = registered.iter().filter(|(_, worker)| worker.is_seen_by(caller));
        std::iter::once(self.embedded()).chain(seen.map(|(id, worker)| worker.shown(id, now))).collect()
    }

    pub(super) fn get(&self, caller: &Caller, id: &str) -> Result<Worker, Problem> {
        if id == EMBEDDED {
            return Ok(self.embedded());
        }
        let registered = self.registered();
        let worker = registered.get(id).filter(|worker| worker.is_seen_by(caller)).ok_or_else(|| unknown(id))?;
        Ok(worker.shown(id, SystemClock.now()))
    }

    /// Keeps a worker in memory. If the tenant has as many as it can have, the one that has been offline for the longest time is
    /// forgotten.
    pub(super) fn register(&self, caller: &Caller, NewWorker { kind }: NewWorker) -> Result<Worker, Problem> {
        caller.check(Role::Operator).map_err(Error::from)?;
        if kind.is_empty() || kind.len() > TYPE_BYTES_MAX {
            return Err(Refused::Shape { reason: format!("`type` can have 1 to {TYPE_BYTES_MAX} bytes") }.into());
        }
        let tenant = caller.tenant().unwrap_or(TENANT_DEFAULT).to_owned();
        let (id, now) = (Uuid::now_v7().to_string(), SystemClock.now());
        let mut registered = self.registered();
        make_room(&mut registered, &tenant, now)?;
        let worker = Registered { tenant, kind, registered_at: now, heartbeat_at: now };
        let shown = worker.shown(&id, now);
        registered.insert(id, worker);
        Ok(shown)
    }

    /// Notes that the worker lives.
    pub(super) fn beat(&self, caller: &Caller, id: &str) -> Result<Worker, Problem> {
        caller.check(Role::Operator).map_err(Error::from)?;
        if id == EMBEDDED {
            return Ok(self.embedded());
        }
        let now = SystemClock.now();
        let mut registered = self.registered();
        let worker = registered.get_mut(id).filter(|worker| worker.is_seen_by(caller)).ok_or_else(|| unknown(id))?;
        worker.heartbeat_at = now;
        Ok(worker.shown(id, now))
    }

    /// Forgets the worker; the answer is what it was.
    pub(super) fn remove(&self, caller: &Caller, id: &str) -> Result<Worker, Problem> {
        caller.check(Role::Operator).map_err(Error::from)?;
        if id == EMBEDDED {
            return Err(Refused::EmbeddedWorker.into());
        }
        let mut registered = self.registered();
        let worker = registered.get(id).filter(|worker| worker.is_seen_by(caller)).ok_or_else(|| unknown(id))?;
        let shown = Worker { status: WorkerState::Stopped, ..worker.shown(id, SystemClock.now()) };
        registered.remove(id);
        Ok(shown)
    }

    fn embedded(&self) -> Worker {
        Worker {
            id: EMBEDDED.to_owned(),
            kind: EMBEDDED_TYPE.to_owned(),
            status: WorkerState::Running,
            started_at: Some(self.started_at),
            registered_at: None,
            last_heartbeat_at: None,
            kept_in: None,
        }
    }

    fn registered(&self) -> MutexGuard<'_, BTreeMap<String, Registered>> {
        // No change can stop half way.
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(registered: &mut BTreeMap<String, Registered>, tenant: &str, now: Timestamp) -> Result<(), Refused> {
    let own = registered.iter().filter(|(_, worker)| worker.tenant == tenant);
    if own.clone().count() < REGISTERED_MAX {
        return Ok(());
    }
    let offline = own.filter(|(_, worker)| worker.state(now) == WorkerState::Offline);
    let longest = offline.min_by_key(|(_, worker)| worker.heartbeat_at).map(|(id, _)| id.clone());
    registered.remove(&longest.ok_or(Refused::TooManyWorkers { limit: REGISTERED_MAX })?);
    Ok(())
}

fn unknown(id: &str) -> Problem {
    Refused::Unknown { what: "worker", id: id.to_owned() }.into()
}

impl Registered {
    fn is_seen_by(&self, caller: &Caller) -> bool {
        caller.tenant().is_none_or(|tenant| tenant == self.tenant)
    }

    fn state(&self, now: Timestamp) -> WorkerState {
        let silence = Duration::from_micros(now.unix_micros().saturating_sub(self.heartbeat_at.unix_micros()));
        if silence > SILENCE_MAX { WorkerState::Offline } else { WorkerState::Online }
    }

    fn shown(&self, id: &str, now: Timestamp) -> Worker {
        Worker {
            id: id.to_owned(),
            kind: self.kind.clone(),
            status: self.state(now),
            started_at: None,
            registered_at: Some(self.registered_at),
            last_heartbeat_at: Some(self.heartbeat_at),
            kept_in: Some("memory"),
        }
    }
}

impl Worker {
    pub(super) fn status(self) -> WorkerStatus {
        let Self { id, status, last_heartbeat_at, .. } = self;
        WorkerStatus { id, status, last_heartbeat_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(tenant: &str, heartbeat_at: u64) -> Registered {
        let at = Timestamp::from_unix_micros(heartbeat_at * 1_000_000);
        Registered { tenant: tenant.to_owned(), kind: "rust".to_owned(), registered_at: at, heartbeat_at: at }
    }

    #[test]
    fn a_worker_without_heartbeats_is_offline_and_makes_room_for_a_new_one() {
        let now = Timestamp::from_unix_micros(1_000_000_000);
        assert_eq!(registered("a", 1_000).state(now), WorkerState::Online);
        assert_eq!(registered("a", 910).state(now), WorkerState::Online);
        assert_eq!(registered("a", 909).state(now), WorkerState::Offline);

        let online = (0..REGISTERED_MAX).map(|number| (format!("{number:04}"), registered("a", 1_000)));
        let mut workers: BTreeMap<String, Registered> = online.collect();
        assert!(make_room(&mut workers, "a", now).is_err());
        assert!(make_room(&mut workers, "b", now).is_ok());
        workers.insert("0007".to_owned(), registered("a", 500));
        workers.insert("0008".to_owned(), registered("a", 400));
        assert!(make_room(&mut workers, "a", now).is_ok());
        assert_eq!((workers.len(), workers.contains_key("0008")), (REGISTERED_MAX - 1, false));
    }

    #[test]
    fn a_worker_belongs_to_the_tenant_that_registered_it() {
        let workers = Workers::new();
        let of = |tenant: &str, role| Caller::of_tenant(tenant, "ann", role).unwrap();
        let new = || NewWorker { kind: "rust".to_owned() };
        let own = workers.register(&of("acme", Role::Operator), new()).unwrap();
        assert_eq!(workers.list(&of("acme", Role::Viewer)).len(), 2);
        assert_eq!(workers.list(&Caller::owner()).len(), 2);
        let other = of("beta", Role::Operator);
        assert_eq!(workers.list(&other).len(), 1);
        for refused in [workers.get(&other, &own.id), workers.beat(&other, &own.id), workers.remove(&other, &own.id)] {
            assert_eq!(refused.unwrap_err().code(), "SRV0032");
        }
        let viewer = of("acme", Role::Viewer);
        for refused in
            [workers.register(&viewer, new()), workers.beat(&viewer, &own.id), workers.remove(&viewer, &own.id)]
        {
            assert_eq!(refused.unwrap_err().code(), "RUN0024");
        }
        assert_eq!(workers.remove(&of("acme", Role::Operator), EMBEDDED).unwrap_err().code(), "SRV0033");
        assert_eq!(workers.remove(&Caller::owner(), &own.id).unwrap().status, WorkerState::Stopped);
        assert_eq!(workers.list(&Caller::owner()).len(), 1);
    }
}
