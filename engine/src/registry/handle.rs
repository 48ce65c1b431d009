//! The handle: registering, listing and removing packages, one change after the other.
//!
//! The registry's state is the list of packages, kept in memory as it is in the store. Every operation that may block
//! runs whole on a blocking thread, under one lock, so that changes never interleave.

use std::{
    collections::HashMap,
    fmt, panic,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cloacina_packager::Limits;

use super::{Change, Error, Listener, Package, PackageInfo, Registered, Upload, register, selector, state::State};
use crate::{
    clock::Clock,
    id::WorkflowId,
    loader::InitConfig,
    store::{self, PackageUnregistered, Store, WorkflowKey},
};

/// How long a package gets to shut down when it is removed; it has no runs any more.
const REMOVAL_GRACE: Duration = Duration::from_secs(2);

/// The packages of an engine. Cheap to clone; all clones are the same registry.
#[derive(Clone)]
pub struct Registry {
    pub(super) shared: Arc<Shared>,
}

/// What a registry is made of.
pub(crate) struct Options {
    pub(crate) store: Store,
    /// Where libraries are unpacked.
    pub(crate) folder: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) init: InitConfig,
    pub(crate) limits: Limits,
    pub(crate) listener: Listener,
    /// How many signatures are required of tenants that have not said how many.
    pub(crate) required_default: usize,
}

pub(super) struct Shared {
    pub(super) options: Options,
    /// Held for a whole change, however long it takes.
    turn: Mutex<Turn>,
    /// Held to look and to put into place.
    state: Mutex<State>,
}

/// The right to change something.
#[derive(Debug, Default)]
pub(super) struct Turn {
    is_closed: bool,
}

impl Registry {
    /// Knows the packages of earlier processes. The listener is told of each whose file is there and as it was;
    /// nothing is loaded yet.
    pub(crate) async fn open(options: Options) -> Result<Self, Error> {
        let read = options.store.read("listing packages", |connection| {
            Ok((store::package_list(connection)?, store::workflow_list(connection)?))
        });
        let (rows, workflows) = read.await?;
        let (rows, workflows) = (rows?, workflows?);
        let ids: HashMap<WorkflowKey, WorkflowId> = workflows.into_iter().map(|row| (row.key, row.id)).collect();
        let mut packages = Vec::with_capacity(rows.len());
        for row in rows {
            let package = Package::known(row, &options.folder, options.init, |key| ids.get(key).copied())?;
            packages.push(Arc::new(package));
        }
        let state = Mutex::new(State::new(packages));
        let registry = Self { shared: Arc::new(Shared { options, turn: Mutex::default(), state }) };
        registry.blocking(Shared::check_all).await?;
        Ok(registry)
    }

    /// Registers the package in these bytes for the tenant that it names, or `public`, and activates it: new runs get
    /// it from now on. The short form of [`Self::register`].
    ///
    /// # Errors
    /// As [`Self::register`].
    pub async fn register_workflow(&self, archive: impl Into<Vec<u8>>) -> Result<Registered, Error> {
        self.register(Upload::new(archive)).await
    }

    /// Registers a package and activates it: new runs get it from now on, runs that are under way stay with the
    /// version that they started with. The same content again is no error and activates it again.
    ///
    /// The archive is read and checked before anything of it is written; then its library is unpacked and loaded into
    /// this process. The work goes on if the future is dropped.
    ///
    /// # Errors
    /// Whatever is wrong with archive, library or store; [`Error::Conflict`] and [`Error::Tenant`]. Nothing is
    /// registered then, and nothing of it stays on the disk.
    pub async fn register(&self, upload: Upload) -> Result<Registered, Error> {
        self.blocking(move |shared| register::register(shared, upload)).await
    }

    /// All packages, those registered first in front.
    #[must_use]
    pub fn list(&self) -> Vec<PackageInfo> {
        let state = self.shared.lock();
        state.packages.iter().map(|package| state.info(package)).collect()
    }

    /// One package: `package`, `tenant::package`, either with `@version`, or `sha256:` and a digest or the first
    /// digits of it. Without a version, the active one.
    ///
    /// # Errors
    /// [`Error::UnknownPackage`] and [`Error::AmbiguousPackage`] with names that help.
    pub fn get(&self, name: &str) -> Result<PackageInfo, Error> {
        let state = self.shared.lock();
        selector::find(&state.packages, name).map(|package| state.info(package))
    }

    /// Removes a package, named as for [`Self::get`]. If it was the active version, the one that was registered last
    /// among those that are left becomes active. Its library stays mapped in this process.
    ///
    /// # Errors
    /// [`Error::Needed`] while unfinished runs are pinned to it; otherwise as for [`Self::get`].
    pub async fn unregister(&self, name: &str) -> Result<PackageInfo, Error> {
        let name = name.to_owned();
        self.blocking(move |shared| shared.unregister(&name)).await
    }

    /// All packages as they are kept in memory.
    #[cfg(test)]
    pub(crate) fn packages(&self) -> Vec<Arc<Package>> {
        self.shared.lock().packages.clone()
    }

    /// Why no run finds that workflow though it is registered; `None` if it is not, or if nothing is wrong with it.
    pub(crate) fn problem(&self, workflow: &str) -> Option<Error> {
        let state = self.shared.lock();
        let ending = format!("::{workflow}");
        let fits = |name: &String| name == workflow || name.ends_with(&ending);
        state.packages.iter().filter(|package| package.is_active()).find_map(|package| {
            let source = Arc::clone(state.problems.get(&package.place())?);
            let is_meant = package.workflow_names().iter().any(fits);
            is_meant.then(|| Error::Missing { package: package.label(), source })
        })
    }

    /// As [`Self::close`], from where nothing may block.
    pub(crate) async fn shut_down(&self, grace: Duration) {
        let registry = self.clone();
        let closed = tokio::task::spawn_blocking(move || registry.close(grace)).await;
        if let Err(error) = closed {
            tracing::warn!(%error, "packages were not shut down in order");
        }
    }

    /// Lets go of all libraries. Blocks for up to about `grace` for each that is busy. Later changes are refused.
    pub(crate) fn close(&self, grace: Duration) {
        let mut turn = self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.is_closed = true;
        let packages = self.shared.lock().packages.clone();
        for package in packages {
            package.library.close(grace);
        }
    }

    pub(super) async fn blocking<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                // The runtime ends and the work was never begun.
                Err(_) => Err(Error::Closed),
            },
        }
    }
}

impl Shared {
    /// Waits for other changes to end, and holds off new ones.
    pub(super) fn begin(&self) -> Result<MutexGuard<'_, Turn>, Error> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.is_closed { Err(Error::Closed) } else { Ok(turn) }
    }

    pub(super) fn tell(&self, change: Change) {
        (self.options.listener)(change);
    }

    /// What is known now. Never held while anything blocks.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is prepared aside and then takes its place in one step, so the list is whole at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_all(&self) -> Result<(), Error> {
        let _turn = self.begin()?;
        let packages = self.lock().packages.clone();
        for package in packages {
            match package.library.check() {
                Ok(()) => {
                    self.tell(Change::Added(Arc::clone(&package)));
                    if package.is_active() {
                        self.tell(Change::Activated(package));
                    }
                }
                Err(problem) => {
                    let code = problem.code();
                    tracing::error!(%package, code, "{problem}: whatever needs the package waits");
                    self.lock().problems.insert(package.place(), Arc::new(problem));
                }
            }
        }
        Ok(())
    }

    fn unregister(&self, name: &str) -> Result<PackageInfo, Error> {
        let _turn = self.begin()?;
        let (package, info) = {
            let state = self.lock();
            let package = Arc::clone(selector::find(&state.packages, name)?);
            let info = state.info(&package);
            (package, info)
        };
        let (tenant, digest) = package.place();
        let answer = self.options.store.write_blocking("removing a package", move |connection| {
            store::package_unregister_in_txn(connection, &tenant, digest)
        })??;
        let (is_last, promoted) = match answer {
            PackageUnregistered::Gone { is_last, promoted } => (is_last, promoted),
            PackageUnregistered::Needed { runs } => return Err(Error::Needed { package: package.label(), runs }),
            // The store is the truth; what it does not know is to be forgotten.
            PackageUnregistered::Missing => (false, None),
        };
        let next = self.lock().remove(&package, promoted);
        self.tell(Change::Removed(Arc::clone(&package)));
        if package.is_active() {
            self.succeed(Some(&package), next.as_ref());
        }
        package.library.close(REMOVAL_GRACE);
        if is_last {
            register::remove_folder(&self.options.folder, package.row.digest);
        }
        tracing::info!(%package, digest = %package.row.digest, "unregistered");
        Ok(info)
    }

    /// Tells that new runs get another version, or none.
    pub(super) fn succeed(&self, before: Option<&Arc<Package>>, after: Option<&Arc<Package>>) {
        let usable = after.filter(|after| self.lock().is_usable(after));
        if let Some(after) = usable {
            self.tell(Change::Activated(Arc::clone(after)));
        }
        let still =
            |key: &WorkflowKey| usable.is_some_and(|after| after.workflows.iter().any(|w| w.key.name == key.name));
        let gone: Vec<_> = before
            .iter()
            .flat_map(|before| &before.workflows)
            .map(|w| w.key.clone())
            .filter(|key| !still(key))
            .collect();
        if !gone.is_empty() {
            self.tell(Change::Withdrawn(gone));
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").field("folder", &self.shared.options.folder).finish_non_exhaustive()
    }
}
