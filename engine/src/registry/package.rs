//! A registered package in memory, and what its listener is told when the set of packages changes.
//!
//! A [`Package`] never changes; registering it again may put another in its place. The registry knows nothing of
//! what runs workflows: it hands over descriptions, ids and the library, and someone else makes them runnable.

use std::{fmt, path::Path, sync::Arc};

use cloacina_packager::Digest;
use cloacina_workflow::descriptor::{self, Descriptor};

use super::{Error, PackageInfo};
use crate::{
    id::WorkflowId,
    loader::{InitConfig, LazyLibrary},
    store::{Error as StoreError, PackageRow, PackageState, WorkflowKey},
};

/// A registered version of a package in one tenant.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) row: PackageRow,
    pub(crate) descriptor: Arc<Descriptor>,
    pub(crate) workflows: Vec<PackagedWorkflow>,
    pub(crate) library: Arc<LazyLibrary>,
}

/// A workflow of a package, with the id that runs are pinned to.
#[derive(Clone, Debug)]
pub(crate) struct PackagedWorkflow {
    pub(crate) id: WorkflowId,
    pub(crate) key: WorkflowKey,
    pub(crate) descriptor: descriptor::Workflow,
}

/// What happened to the set of packages. Told in order, after it is durable, under the registry's lock: whoever
/// listens must be quick and must not call the registry.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Its workflows can be run, by runs that are pinned to them.
    Added(Arc<Package>),
    /// New runs get its workflows, under their full names; it was added before.
    Activated(Arc<Package>),
    /// New runs find nothing under the full names of these workflows.
    Withdrawn(Vec<WorkflowKey>),
    /// It is gone, and no unfinished run needs it.
    Removed(Arc<Package>),
}

/// Who is told of changes.
pub(crate) type Listener = Box<dyn Fn(Change) + Send + Sync>;

impl Package {
    /// The package of a row. Nothing of it is looked at on the disk.
    pub(super) fn new(
        row: PackageRow,
        library: Arc<LazyLibrary>,
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

    /// The package of a row that an earlier process wrote.
    pub(super) fn known(
        row: PackageRow,
        folder: &Path,
        config: InitConfig,
        id: impl Fn(&WorkflowKey) -> Option<WorkflowId>,
    ) -> Result<Self, Error> {
        let unreadable = |error: descriptor::Error| StoreError::Corrupt {
            reason: format!("the description of the package {}: {error}", label(&row)),
        };
        let descriptor = Arc::new(Descriptor::parse(&row.descriptor).map_err(unreadable)?);
        let library = LazyLibrary::new(folder.join(&row.library_path), row.library_digest, descriptor, config);
        Self::new(row, Arc::new(library), id)
    }

    pub(super) fn is_active(&self) -> bool {
        self.row.state == PackageState::Active
    }

    /// What makes it one of its own among all registered ones.
    pub(super) fn place(&self) -> (String, Digest) {
        (self.row.tenant.clone(), self.row.digest)
    }

    /// Whether both are versions of one package.
    pub(super) fn has_name_of(&self, other: &Self) -> bool {
        self.row.tenant == other.row.tenant && self.row.name == other.row.name
    }

    /// The same package in another state.
    pub(super) fn with_state(&self, state: PackageState) -> Self {
        Self {
            row: PackageRow { state, ..self.row.clone() },
            descriptor: Arc::clone(&self.descriptor),
            workflows: self.workflows.clone(),
            library: Arc::clone(&self.library),
        }
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

    pub(super) fn info(&self, problem: Option<String>) -> PackageInfo {
        let PackageRow { tenant, name, version, digest, archive_digest, state, actor, registered_at, .. } =
            self.row.clone();
        let library = self.library.loaded();
        PackageInfo {
            tenant,
            name,
            version,
            description: self.descriptor.description.clone(),
            author: self.descriptor.author.clone(),
            digest,
            archive_digest,
            state,
            actor,
            registered_at,
            workflows: self.workflow_names(),
            library: self.library.path().to_owned(),
            is_loaded: library.is_some(),
            n_open_calls: library.map_or(0, |library| library.n_open_calls()),
            n_anomalies: library.map_or(0, |library| library.anomalies().total()),
            problem,
        }
    }
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

fn label(row: &PackageRow) -> String {
    let PackageRow { tenant, name, version, .. } = row;
    format!("{tenant}::{name}@{version}")
}

impl fmt::Display for Package {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.label())
    }
}
