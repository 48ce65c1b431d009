//! A registered package in memory, and what its listener is told when the set of packages changes.
//!
//! A [`Package`] never changes; registering it again may put another in its place. The registry knows nothing of
//! what runs workflows: it hands over descriptions, ids and the library, and someone else makes them runnable.

use std::{fmt, sync::Arc};

use cloacina_packager::Digest;
use cloacina_workflow::{
    Timestamp,
    descriptor::{self, Descriptor},
};

use super::{
    Error, PackageInfo,
    state::{ActiveVersions, Place},
};
use crate::{
    api::{PackageHost, PackageRecord, PackageRunning},
    id::WorkflowId,
    isolation::{self, Code, Confinement},
    store::{Error as StoreError, PackageRow, WorkflowKey},
};

/// A registered version of a package in one tenant.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) row: PackageRow,
    pub(crate) descriptor: Arc<Descriptor>,
    pub(crate) workflows: Vec<PackagedWorkflow>,
    pub(crate) library: Arc<Code>,
}

/// A workflow of a package, with the id that runs are pinned to.
#[derive(Clone, Debug)]
pub(crate) struct PackagedWorkflow {
    pub(crate) id: WorkflowId,
    pub(crate) key: WorkflowKey,
    pub(crate) descriptor: descriptor::Workflow,
}

/// What happened to the set of packages. Told in order, after it is durable, under the registry's lock: a listener that
/// listens must be quick and must not call the registry.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Its workflows can be run, by runs that are pinned to them.
    Added(Arc<Package>),
    /// New runs of that package get these versions from now on, and nothing else of it.
    Activated { tenant: String, name: String, active: ActiveVersions },
    /// Nothing of it may be started, for that reason, until then or until it is released, though it may be what new runs
    /// should get. Told again when the reason or the time changes.
    Quarantined(Arc<Package>, String, Option<Timestamp>),
    /// It may be used again: its quarantine is over, or what kept this engine from using it.
    Released(Arc<Package>),
    /// This engine cannot use it, whatever others can.
    Withheld(Arc<Package>, Arc<isolation::Error>),
    /// A key expires then that versions may depend on; the registry checks again.
    KeyExpires(Timestamp),
    /// It is gone, and no unfinished run needs it.
    Removed(Arc<Package>),
}

/// The receiver of changes.
pub(crate) type Listener = Box<dyn Fn(Change) + Send + Sync>;

impl Package {
    /// What a package says of itself, as it was stored.
    pub(super) fn described(row: &PackageRow, descriptor: &str) -> Result<Descriptor, Error> {
        let unreadable = |error: descriptor::Error| StoreError::Corrupt {
            reason: format!("the description of the package {}: {error}", label(row)),
        };
        Ok(Descriptor::parse(descriptor).map_err(unreadable)?)
    }

    /// The package of a row. Its files are not read.
    pub(super) fn known(
        row: PackageRow,
        library: Arc<Code>,
        id: impl Fn(&WorkflowKey) -> Option<WorkflowId>,
    ) -> Result<Self, Error> {
        let descriptor = Arc::clone(library.descriptor());
        let mut workflows = Vec::with_capacity(descriptor.workflows.len());
        for described in &descriptor.workflows {
            let key = workflow_key(&row.tenant, row.digest, &row.name, described);
            let reason = || format!("the workflow {} of the package {} has no id", key.name, label(&row));
            let id = id(&key).ok_or_else(|| StoreError::Corrupt { reason: reason() })?;
            workflows.push(PackagedWorkflow { id, key, descriptor: described.clone() });
        }
        Ok(Self { row, descriptor, workflows, library })
    }

    /// What makes it one of its own among all registered ones.
    pub(super) fn place(&self) -> Place {
        (self.row.tenant.clone(), self.row.digest)
    }

    /// Whether it is the package of that row, as the row is or was.
    pub(super) fn is_of(&self, row: &PackageRow) -> bool {
        self.row.tenant == row.tenant && self.row.digest == row.digest
    }

    /// The same package as its row is now.
    pub(super) fn with_row(&self, row: PackageRow) -> Self {
        Self {
            row,
            descriptor: Arc::clone(&self.descriptor),
            workflows: self.workflows.clone(),
            library: Arc::clone(&self.library),
        }
    }

    /// Whether that file is one of its libraries.
    pub(super) fn has_library(&self, file: Digest) -> bool {
        self.row.libraries.iter().any(|library| library.digest == file)
    }

    /// How people name this version.
    pub(super) fn label(&self) -> String {
        label(&self.row)
    }

    /// Full names of the workflows.
    pub(super) fn workflow_names(&self) -> Vec<String> {
        let PackageRow { tenant, name, .. } = &self.row;
        self.workflows.iter().map(|workflow| format!("{tenant}::{name}::{}", workflow.key.name)).collect()
    }

    /// What is to be said of it, where that version of the package shares new runs and that is wrong with it.
    pub(super) fn info(&self, sharing: Option<u8>, problem: Option<String>) -> PackageInfo {
        PackageInfo {
            record: package_record(&self.row, &self.descriptor, sharing),
            running: PackageRunning {
                isolation: self.library.isolation().map(|isolation| isolation.as_str().to_owned()),
                sandbox: self.library.sandbox().map(|sandbox| sandbox.as_str().to_owned()),
                is_loaded: self.library.is_loaded(),
                n_open_calls: self.library.n_open_calls() as u64,
                hosts: self.library.hosts().into_iter().map(host).collect(),
                problem,
            },
            description: self.descriptor.description.clone(),
            author: self.descriptor.author.clone(),
            library: self.library.path().to_owned(),
            n_anomalies: self.library.n_anomalies(),
        }
    }
}

/// A version as it is shown; `sharing` is the percentage of the version of the same package that shares new runs, if one does.
pub(crate) fn package_record(row: &PackageRow, descriptor: &Descriptor, sharing: Option<u8>) -> PackageRecord {
    let PackageRow { tenant, name, .. } = row;
    let workflows = descriptor.workflows.iter();
    PackageRecord {
        tenant: tenant.clone(),
        name: name.clone(),
        version: row.version.clone(),
        digest: row.digest,
        archive_digest: row.archive_digest,
        state: row.state,
        // A version that is not active gets no runs.
        share: row.share_beside(sharing).unwrap_or(0),
        quarantine: row.quarantine.clone(),
        registered_at: row.registered_at,
        actor: row.actor.clone(),
        workflows: workflows.map(|workflow| format!("{tenant}::{name}::{}", workflow.name)).collect(),
        needs: isolation::needs_of(descriptor),
    }
}

/// A process as it is shown.
fn host(host: isolation::PackageHost) -> PackageHost {
    let isolation::PackageHost { pid, n_open_calls, n_calls, is_leaving, resident_bytes, cpu, confinement } = host;
    let Confinement { in_force, missing, .. } = confinement;
    PackageHost { pid, n_open_calls: n_open_calls as u64, n_calls, is_leaving, resident_bytes, cpu, in_force, missing }
}

/// What identifies a workflow of a package.
pub(super) fn workflow_key(
    tenant: &str,
    digest: Digest,
    package: &str,
    described: &descriptor::Workflow,
) -> WorkflowKey {
    WorkflowKey {
        tenant: tenant.to_owned(),
        package: package.to_owned(),
        name: described.name.clone(),
        digest: digest.as_bytes().to_vec(),
        fingerprint: described.fingerprint.clone().unwrap_or_default(),
    }
}

/// Whether both are versions of one package.
pub(super) fn has_name_of(one: &PackageRow, other: &PackageRow) -> bool {
    one.tenant == other.tenant && one.name == other.name
}

pub(super) fn label(row: &PackageRow) -> String {
    let PackageRow { tenant, name, version, .. } = row;
    format!("{tenant}::{name}@{version}")
}

impl fmt::Display for Package {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.label())
    }
}
