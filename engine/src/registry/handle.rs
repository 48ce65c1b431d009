//! The handle: registering, listing and removing packages, one change after the other.
//!
//! The registry's state is the list of packages, kept in memory as it is in the store. Every operation that may block
//! runs whole on a blocking thread, under one lock, so that changes never interleave.

use std::{
    fmt, panic,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cloacina_packager::{self as packager, Digest, Limits, ReadOptions, Target};
use cloacina_workflow::{Timestamp, descriptor::Descriptor};

use super::{
    Change, Error, Listener, Package, PackageInfo, Registered, Upload, adopt, define, register, selector,
    state::{PackageSnapshot, State},
};
use crate::{
    api::{Caller, Role},
    clock::Clock,
    id::{Scope, WorkflowId, is_name_of},
    isolation::{self, Choice, Code, HostOptions, Isolation, Owner, Sandbox},
    limit,
    loader::{InitConfig, LazyLibrary, Ready, TrustedFile},
    store::{
        self, Activation, Connection, JobResult, LibraryRow, PackageChanged, PackageEvent, PackageOrder, PackageRow,
        PackageState, Store, WorkflowKey,
    },
};

/// The packages of an engine. Cheap to clone; all clones are the same registry.
#[derive(Clone)]
pub struct Registry {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Caller,
}

/// What a registry is made of.
pub(crate) struct Options {
    pub(crate) store: Store,
    /// Where libraries are unpacked.
    pub(crate) folder: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) init: InitConfig,
    /// How packages get processes of their own; none can without.
    pub(crate) host: Option<HostOptions>,
    /// Where packages are loaded, if they can get processes of their own.
    pub(crate) isolation: Choice,
    pub(crate) limits: Limits,
    /// Whether other engines may change packages of the same database.
    pub(crate) is_shared: bool,
    pub(crate) listener: Listener,
    /// How many signatures are required of tenants that have not said how many.
    pub(crate) required_default: usize,
    /// The target of the libraries that this engine loads; none if the target of this machine is not known.
    pub(crate) target: Option<Target>,
}

impl Options {
    /// Where the library of a package is loaded; nothing if that depends on its signers.
    pub(super) fn isolation_of(&self, tenant: &str, package: &str) -> Option<Isolation> {
        if self.host.is_none() { Some(Isolation::Inline) } else { self.isolation.before_load(tenant, package) }
    }

    /// The code of a package, which asks that before its library is loaded.
    pub(super) fn code(&self, row: &PackageRow, descriptor: Arc<Descriptor>, ready: Arc<Ready>) -> Code {
        let LibraryRow { path, digest, definition, .. } = self.library(row);
        let path = self.folder.join(path);
        if definition.is_some() {
            return Code::None(descriptor, path);
        }
        let library = |has_own_process: bool| {
            let config = InitConfig { has_own_process, ..self.init };
            let (descriptor, ready) = (Arc::clone(&descriptor), Arc::clone(&ready));
            let library = LazyLibrary::new(path.clone(), *digest, descriptor, config, ready);
            match self.is_for_others(row) {
                None => library,
                Some((wanted, available)) => library.for_others(wanted, available),
            }
        };
        match (&self.host, self.isolation_of(&row.tenant, &row.name)) {
            (None, _) | (_, Some(Isolation::Inline)) => Code::new(library(false), None),
            (Some(host), Some(Isolation::Process)) => Code::new(library(true), Some(host_of(host, row))),
            (Some(host), None) => {
                let (choice, tenant, name) = (self.isolation.clone(), row.tenant.clone(), row.name.clone());
                let choose = Box::new(move |file: &TrustedFile| choice.of_load(&tenant, &name, file));
                Code::signed(library(false), library(true), host_of(host, row), choose)
            }
        }
    }

    /// Has the library loaded by a process that is thrown away, where processes for packages can be had: one that crashes
    /// while it is loaded must not take this process with it.
    pub(super) fn prove(&self, descriptor: &Arc<Descriptor>, file: &TrustedFile) -> Result<(), Error> {
        let Some(host) = self.host.clone() else { return Ok(()) };
        // It is to run without a sandbox.
        let host = HostOptions { sandbox: Sandbox::Dev, requires_sandbox: false, ..host };
        let (path, digest) = (file.path().to_owned(), file.digest());
        let again = path.clone();
        let ready = Arc::new(move || Ok(TrustedFile::told_by_engine(again.clone(), digest)));
        let config = InitConfig { has_own_process: true, ..self.init };
        let proof = Code::new(LazyLibrary::new(path, digest, Arc::clone(descriptor), config, ready), Some(host));
        let loaded = proof.load();
        proof.close(Duration::ZERO);
        Ok(loaded?)
    }

    /// The library of a version that this engine takes, or by which it knows what the version says of itself.
    pub(super) fn library<'a>(&self, row: &'a PackageRow) -> &'a LibraryRow {
        let mine = row.libraries.iter().find(|library| self.is_mine(library));
        // The store gives no row without libraries.
        mine.unwrap_or(&row.libraries[0])
    }

    /// The target of this engine and those of the version, if it has no library for this engine.
    fn is_for_others(&self, row: &PackageRow) -> Option<(String, Vec<String>)> {
        if row.libraries.iter().any(|library| self.is_mine(library)) {
            return None;
        }
        let wanted = self.target.map_or_else(|| "this machine".to_owned(), |target| target.to_string());
        Some((wanted, row.libraries.iter().filter_map(target_of).collect()))
    }

    /// A library with an unknown target counts as registered on this machine.
    fn is_mine(&self, library: &LibraryRow) -> bool {
        target_of(library).is_none_or(|target| self.target.is_some_and(|mine| mine.triple() == target))
    }

    /// The package in an archive, for the target of this engine.
    pub(super) fn read(&self, archive: &[u8]) -> Result<packager::Package, packager::Error> {
        read(archive, &self.limits, self.target)
    }
}

/// How the processes of that version are run.
fn host_of(host: &HostOptions, row: &PackageRow) -> HostOptions {
    HostOptions { owner: Some(Owner { tenant: row.tenant.clone(), digest: row.digest }), ..host.clone() }
}

/// The target of a library, if anything says what it is.
fn target_of(library: &LibraryRow) -> Option<String> {
    let built_for = || Descriptor::parse(&library.descriptor).ok()?.build.map(|build| build.target);
    library.target.clone().or_else(built_for)
}

/// The package in an archive, for that target.
pub(super) fn read(
    archive: &[u8],
    limits: &Limits,
    target: Option<Target>,
) -> Result<packager::Package, packager::Error> {
    match target {
        Some(_) => {
            let (limits, target) = (limits.clone(), target);
            packager::read_with(archive, &ReadOptions { limits, target, ..ReadOptions::default() })
        }
        None => packager::read(archive, limits),
    }
}

pub(super) struct Shared {
    pub(super) options: Options,
    /// Held for a whole change, however long it takes.
    turn: Mutex<Turn>,
    /// Held to read and to replace.
    state: Mutex<State>,
}

/// The right to change something.
#[derive(Debug, Default)]
pub(super) struct Turn {
    is_closed: bool,
}

impl Registry {
    /// Reads the packages of earlier processes. The listener receives each package with an unchanged file;
    /// nothing is loaded yet.
    pub(crate) async fn open(options: Options) -> Result<Self, Error> {
        let state = Mutex::default();
        let shared = Arc::new(Shared { options, turn: Mutex::default(), state });
        let registry = Self { shared, caller: Caller::owner() };
        registry.blocking(Shared::refresh).await?;
        Ok(registry)
    }

    /// The same registry, as that caller sees it.
    pub(crate) fn on_behalf_of(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// Registers the package in these bytes for the tenant that it names, or `public`, and activates it: new runs get
    /// it from now on. The short form of [`Self::register`].
    ///
    /// # Errors
    /// As [`Self::register`].
    pub async fn register_workflow(&self, archive: impl Into<Vec<u8>>) -> Result<Registered, Error> {
        self.register(Upload { activation: Activation::Now, ..Upload::new(archive) }).await
    }

    /// Registers a package. Whether it is activated at once is the upload's to say: without a word, the first version of
    /// a package is. Runs that are under way stay with the version that they started with. The same content again is not a
    /// error.
    ///
    /// The archive is read and checked before anything of it is written; then its library is unpacked and, if the
    /// version is to be active, loaded into this process. The archive itself is kept in the database. The work goes on if
    /// the future is dropped.
    ///
    /// # Errors
    /// Whatever is wrong with archive, definition, library or store; [`Error::Conflict`], [`Error::Tenant`], and
    /// [`Error::NotAllowed`] for a version that is quarantined. Nothing is registered then, and nothing of it stays on
    /// the disk.
    pub async fn register(&self, upload: Upload) -> Result<Registered, Error> {
        limit::ACTOR.check(&upload.actor)?;
        upload.tenant.as_deref().map_or(Ok(()), |tenant| limit::NAME.check(tenant))?;
        self.caller.check(Role::Admin)?;
        let upload = match (self.caller.tenant(), &upload.tenant) {
            (Some(own), Some(named)) if own != named => {
                return Err(Error::Tenant { package: named.clone(), upload: own.to_owned() });
            }
            (Some(own), _) => Upload { tenant: Some(own.to_owned()), ..upload },
            (None, _) => upload,
        };
        match upload.is_definition {
            true => self.blocking(move |shared| define::define(shared, upload)).await,
            false => self.blocking(move |shared| register::register(shared, upload)).await,
        }
    }

    /// All packages, those registered first in front.
    #[must_use]
    pub fn list(&self) -> Vec<PackageInfo> {
        let snapshots: Vec<_> = {
            let state = self.shared.lock();
            state.seen_by(self.caller.scope()).iter().map(|package| state.snapshot(package)).collect()
        };
        snapshots.into_iter().map(PackageSnapshot::info).collect()
    }

    /// One package: `package`, `tenant::package`, either with `@version`, or `sha256:` and a digest or the first
    /// digits of it. Without a version, the active one.
    ///
    /// # Errors
    /// [`Error::UnknownPackage`] and [`Error::AmbiguousPackage`] with names that help.
    pub fn get(&self, name: &str) -> Result<PackageInfo, Error> {
        limit::SELECTOR.check(name)?;
        let snapshot = {
            let state = self.shared.lock();
            selector::find(&state.seen_by(self.caller.scope()), name).map(|package| state.snapshot(package))?
        };
        Ok(snapshot.info())
    }

    /// Lets new runs take a version: all of them, or that percentage while the version that was active gets the rest. The
    /// version is named as for [`Self::get`]; a name without a version will do if there is only one. No error if it is
    /// so already. Its library is loaded into this process before anything changes.
    ///
    /// # Errors
    /// What keeps the library from being loaded; [`Error::NotAllowed`] if it is quarantined, [`Error::NoRest`] for a
    /// percentage without another active version; otherwise as for [`Self::get`].
    pub async fn activate(&self, name: &str, percent: Option<u8>, actor: &str) -> Result<PackageInfo, Error> {
        let (name, actor) = self.named(name, actor)?;
        let scope = self.caller.scope().clone();
        self.blocking(move |shared| shared.activate(&scope, &name, percent, &actor)).await
    }

    /// Goes back to the version of the package that was active before, or ends a percentage. Called again, it goes
    /// further back, stepping over versions that were removed. Answers with the version that is active now.
    ///
    /// # Errors
    /// [`Error::NoEarlier`]; [`Error::NotAllowed`] if the earlier version is quarantined; [`Error::UnknownPackage`] and
    /// [`Error::AmbiguousPackage`] if the name, which has no version, does not mean one package.
    pub async fn roll_back(&self, name: &str, actor: &str) -> Result<PackageInfo, Error> {
        let (name, actor) = self.named(name, actor)?;
        let scope = self.caller.scope().clone();
        self.blocking(move |shared| shared.roll_back(&scope, &name, &actor)).await
    }

    /// Lets new runs take a version no more; the runs that it has go on. If it was the active version, no other takes its
    /// place. Named as for [`Self::get`]. No error if it is so already.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] if it is quarantined, [`Error::Shared`] while another version has a share of what it gets;
    /// otherwise as for [`Self::get`].
    pub async fn retire(&self, name: &str, actor: &str) -> Result<PackageInfo, Error> {
        let (name, actor) = self.named(name, actor)?;
        let scope = self.caller.scope().clone();
        self.blocking(move |shared| shared.retire(&scope, &name, &actor)).await
    }

    /// Everything that happened to the versions of a package, oldest first; also to those that are gone. The name is as
    /// for [`Self::get`]; of a package without any version it is `package` or `tenant::package`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn events(&self, name: &str) -> Result<Vec<PackageEvent>, Error> {
        let (tenant, name) = {
            let state = self.shared.lock();
            selector::package_of(&state.seen_by(self.caller.scope()), name)
        };
        if !self.caller.scope().has(&tenant) {
            return Ok(Vec::new());
        }
        let read = self.shared.options.store.read("reading the history of a package", move |connection| {
            store::package_event_list(connection, &tenant, &name)
        });
        Ok(read.await?)
    }

    /// Removes a version of a package, named as for [`Self::activate`]. If it was the active version, no other takes its
    /// place. Its library stays mapped in this process.
    ///
    /// # Errors
    /// [`Error::Needed`] while unfinished runs are pinned to it, [`Error::Shared`] while another version has a share of
    /// what it gets; otherwise as for [`Self::activate`].
    pub async fn remove(&self, name: &str, actor: &str) -> Result<PackageInfo, Error> {
        let (name, actor) = self.named(name, actor)?;
        let scope = self.caller.scope().clone();
        self.blocking(move |shared| shared.remove(&scope, &name, &actor)).await
    }

    /// Keeps that version from being used, until then or until it is released: no new run takes it, and nothing more of
    /// its runs is started. It keeps its place, so no other version takes its new runs automatically.
    ///
    /// # Errors
    /// [`Error::UnknownPackage`], and what the store says.
    pub async fn quarantine(
        &self,
        tenant: &str,
        digest: Digest,
        reason: &str,
        until: Option<Timestamp>,
        actor: &str,
    ) -> Result<PackageInfo, Error> {
        limit::REASON.check(reason)?;
        self.check_place(tenant, digest)?;
        self.quarantine_for(tenant, digest, reason, (until, actor)).await
    }

    /// As [`Self::quarantine`], for a reason that the engine itself gives.
    pub(crate) async fn quarantine_for(
        &self,
        tenant: &str,
        digest: Digest,
        reason: &str,
        (until, actor): (Option<Timestamp>, &str),
    ) -> Result<PackageInfo, Error> {
        let (tenant, actor) = self.named(tenant, actor)?;
        let order = self.order(&tenant, digest, &actor, Some(reason));
        self.blocking(move |shared| shared.quarantine(order, until)).await
    }

    /// As [`Self::quarantine`], of a version that was just refused when it was to be loaded. What must not be loaded is
    /// checked again before: if it may be loaded by now, or is in quarantine already, nothing is done. A package that only this
    /// engine cannot load is not quarantined in the database; only this engine no longer uses it.
    pub(crate) async fn withhold(&self, tenant: &str, digest: Digest, actor: &str) -> Result<(), Error> {
        let order = self.order(tenant, digest, actor, None);
        self.blocking(move |shared| shared.withhold(order)).await
    }

    /// The registered versions with that library, by tenant and content.
    pub(crate) fn places_of(&self, library: Digest) -> Vec<(String, Digest)> {
        let state = self.shared.lock();
        let with_library = state.packages.iter().filter(|package| package.has_library(library));
        with_library.map(|package| package.place()).collect()
    }

    /// Lets a quarantined version be used again, as it was before. No error if it is not quarantined.
    ///
    /// # Errors
    /// [`Error::UnknownPackage`], and what the store says.
    pub async fn release(&self, tenant: &str, digest: Digest, actor: &str) -> Result<PackageInfo, Error> {
        limit::ACTOR.check(actor)?;
        self.check_place(tenant, digest)?;
        let order = self.order(tenant, digest, actor, None);
        self.blocking(move |shared| shared.release(order)).await
    }

    /// A version of a tenant that the caller does not see is unknown.
    fn check_place(&self, tenant: &str, digest: Digest) -> Result<(), Error> {
        self.caller.check(Role::Admin)?;
        if self.caller.scope().has(tenant) {
            return Ok(());
        }
        let state = self.shared.lock();
        Err(selector::unknown(&state.seen_by(self.caller.scope()), &digest.to_string()))
    }

    /// The change and its actor, if both are valid and the caller may make changes.
    fn named(&self, name: &str, actor: &str) -> Result<(String, String), Error> {
        limit::SELECTOR.check(name)?;
        limit::ACTOR.check(actor)?;
        self.caller.check(Role::Admin)?;
        Ok((name.to_owned(), actor.to_owned()))
    }

    /// Notices what happened without this engine: quarantines that are over end, keys that have expired, and what other
    /// engines changed.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        self.blocking(Shared::refresh).await
    }

    /// What to call when other engines may have changed packages: it does not wait, and lets a thread that may block read
    /// again.
    pub(crate) fn observer(
        &self,
        blocking: impl Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static,
    ) -> Box<dyn Fn() + Send + Sync> {
        let shared = Arc::downgrade(&self.shared);
        Box::new(move || {
            let Some(shared) = shared.upgrade() else { return };
            blocking(Box::new(move || match shared.refresh() {
                Ok(()) | Err(Error::Closed) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the packages of other engines cannot be read"
                    );
                }
            }));
        })
    }

    /// The workflow of that name in another version of its package, which is named by its version or by the first digits
    /// of its digest.
    pub(crate) fn workflow_of(&self, key: &WorkflowKey, version: &str) -> Result<WorkflowId, Error> {
        let state = self.shared.lock();
        let WorkflowKey { tenant, package, name, .. } = key;
        let is_digest = version.starts_with("sha256:");
        let named = if is_digest { version.to_owned() } else { format!("{tenant}::{package}@{version}") };
        let of_tenant: Vec<_> = state.packages.iter().filter(|known| known.row.tenant == *tenant).cloned().collect();
        let found = selector::find_version(&of_tenant, &named)?;
        if let Some(source) = state.problems.get(&found.place()).cloned() {
            return Err(Error::Missing { package: found.label(), source });
        }
        let workflow = found.workflows.iter().find(|workflow| workflow.key.name == *name && found.row.name == *package);
        let missing = || selector::unknown(&of_tenant, &format!("{named} with the workflow {name}"));
        Ok(workflow.ok_or_else(missing)?.id)
    }

    /// Every version of every workflow that the name fits, with the name and the state of its package's version, in the order
    /// of full names. A full name means no other workflow.
    pub(crate) fn versions_of(&self, workflow: &str) -> Vec<(WorkflowKey, String, PackageState)> {
        let seen = self.shared.lock().seen_by(self.caller.scope());
        let all = seen.iter().flat_map(|package| package.workflows.iter().map(move |one| (package, &one.key)));
        let mut fitting: Vec<_> = all
            .filter(|(_, key)| is_name_of(workflow, &key.full_name()))
            .map(|(package, key)| (key.clone(), package.label(), package.row.state))
            .collect();
        if fitting.iter().any(|(key, ..)| key.full_name() == workflow) {
            fitting.retain(|(key, ..)| key.full_name() == workflow);
        }
        fitting.sort_by_cached_key(|(key, ..)| key.full_name());
        fitting
    }

    /// Why nothing of the package of a workflow is started, if so: it is quarantined, or this engine cannot use it.
    pub(crate) fn refusal_of(&self, key: &WorkflowKey) -> Option<Error> {
        let state = self.shared.lock();
        let is_of =
            |known: &&Arc<Package>| known.row.tenant == key.tenant && known.row.digest.as_bytes()[..] == key.digest;
        let package = state.packages.iter().find(is_of)?;
        Error::quarantined(package).or_else(|| {
            let source = Arc::clone(state.problems.get(&package.place())?);
            Some(Error::Missing { package: package.label(), source })
        })
    }

    /// Why this engine cannot use the version of a package, if it cannot.
    pub(crate) fn problem_of(&self, tenant: &str, digest: Digest) -> Option<Arc<isolation::Error>> {
        self.shared.lock().problems.get(&(tenant.to_owned(), digest)).cloned()
    }

    fn order(&self, tenant: &str, digest: Digest, actor: &str, reason: Option<&str>) -> PackageOrder {
        PackageOrder {
            tenant: tenant.to_owned(),
            digest,
            actor: actor.to_owned(),
            at: self.shared.options.clock.now(),
            reason: reason.map(str::to_owned),
        }
    }

    /// All packages as they are kept in memory.
    #[cfg(test)]
    pub(crate) fn packages(&self) -> Vec<Arc<Package>> {
        self.shared.lock().packages.clone()
    }

    /// Why no run finds that workflow though it is registered; `None` if it is not, or if nothing is wrong with it.
    pub(crate) fn problem(&self, workflow: &str) -> Option<Error> {
        let state = self.shared.lock();
        let is_live = |package: &&Arc<Package>| package.row.state_apart_from_quarantine() == PackageState::Active;
        state.seen_by(self.caller.scope()).iter().filter(is_live).find_map(|package| {
            let source = Arc::clone(state.problems.get(&package.place())?);
            let is_meant = package.workflow_names().iter().any(|name| is_name_of(workflow, name));
            is_meant.then(|| Error::Missing { package: package.label(), source })
        })
    }

    /// As [`Self::close`], from where nothing may block.
    pub(crate) async fn shut_down(&self, grace: Duration) {
        let registry = self.clone();
        let closed = tokio::task::spawn_blocking(move || registry.close(grace)).await;
        if let Err(error) = closed {
            tracing::warn!(%error, "packages were not shut down cleanly");
        }
    }

    /// Unloads all libraries. Blocks for up to about `grace` for each that is busy. Later changes are refused.
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

    /// Runs a change of packages in a transaction, then takes over what there is after it. Must be called in turn.
    pub(super) fn change<T: Send + 'static>(
        &self,
        doing: &'static str,
        fresh: Option<&Arc<Code>>,
        mut change: impl FnMut(&mut Connection) -> JobResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        let known = self.known();
        let (answer, snapshot) = self.options.store.write_blocking(doing, move |connection| {
            let answer = change(connection)?;
            adopt::snapshot(connection, &known).map(|snapshot| (answer, snapshot))
        })?;
        self.adopt(snapshot, fresh)?;
        Ok(answer)
    }

    fn refresh(&self) -> Result<(), Error> {
        let _turn = self.begin()?;
        let now = self.options.clock.now();
        let (known, is_lapsed) = {
            let state = self.lock();
            let until =
                |package: &Arc<Package>| package.row.quarantine.as_ref().and_then(|quarantine| quarantine.until);
            let is_lapsed = state.packages.iter().filter_map(until).any(|until| until <= now);
            (state.newest.zip(state.newest_trust), is_lapsed)
        };
        // The packages of a file, and the trust of its tenants, change only through this engine.
        let (newest, newest_trust) = match known {
            Some(known) if !self.options.is_shared => known,
            _ => self.options.store.read_blocking("looking for changed packages", |connection| {
                let newest = store::package_newest_change(connection)?;
                store::trust_newest_change(connection).map(|newest_trust| (newest, newest_trust))
            })?,
        };
        if is_lapsed || known.is_none_or(|known| known.0 != newest) {
            self.change("looking at packages", None, move |connection| {
                store::package_release_due_in_txn(connection, now)
            })?;
        }
        match known.is_none_or(|known| known.1 != newest_trust) {
            true => self.recheck_known(newest_trust),
            false => self.recheck_expired(now),
        }
    }

    fn quarantine(&self, order: PackageOrder, until: Option<Timestamp>) -> Result<PackageInfo, Error> {
        let _turn = self.begin()?;
        let package = self.of(&order)?;
        let answer = self.change("quarantining a package", None, move |connection| {
            store::package_quarantine_in_txn(connection, &order, until)
        })?;
        self.settle(answer, &package)
    }

    /// Loads the library of a version that is to be active, unless it is loaded.
    fn load_known(&self, package: &Package) -> Result<(), Error> {
        if package.library.is_loaded() {
            return Ok(());
        }
        package.library.check_descriptor()?;
        let file = self.restorer().trusted(&package.row, self.options.library(&package.row))?;
        self.load(&package.row, &package.library, file)
    }

    /// Loads a library of a version that is to be active from a file that has just been decided on.
    pub(super) fn load(&self, row: &PackageRow, library: &Code, file: TrustedFile) -> Result<(), Error> {
        let choose = || self.options.isolation.of_load(&row.tenant, &row.name, &file);
        if library.isolation().unwrap_or_else(choose) == Isolation::Inline && !library.is_loaded() {
            self.options.prove(library.descriptor(), &file)?;
        }
        Ok(library.load_from(file)?)
    }

    fn withhold(&self, order: PackageOrder) -> Result<(), Error> {
        let _turn = self.begin()?;
        let package = self.of(&order)?;
        if package.row.quarantine.is_some() {
            return Ok(());
        }
        if package.library.refusal().is_some() {
            self.withhold_here(&package);
            return Ok(());
        }
        self.withhold_in_turn(&package, order)
    }

    fn withhold_in_turn(&self, package: &Package, order: PackageOrder) -> Result<(), Error> {
        let refusal = match self.restorer().trusted(&package.row, self.options.library(&package.row)) {
            Ok(_) => return Ok(()),
            Err(refusal) if refusal.is_withheld() => refusal,
            Err(error) => return Err(error),
        };
        let order = PackageOrder { reason: Some(format!("{}: {refusal}", refusal.code())), ..order };
        let change = self.change("quarantining a package", None, move |connection| {
            store::package_quarantine_in_txn(connection, &order, None)
        });
        change.map(drop)
    }

    fn release(&self, order: PackageOrder) -> Result<PackageInfo, Error> {
        let _turn = self.begin()?;
        let package = self.of(&order)?;
        let answer = self
            .change("releasing a package", None, move |connection| store::package_release_in_txn(connection, &order))?;
        self.settle(answer, &package)
    }

    fn activate(&self, scope: &Scope, name: &str, percent: Option<u8>, actor: &str) -> Result<PackageInfo, Error> {
        let _turn = self.begin()?;
        let package = Arc::clone(selector::find_version(&self.lock().seen_by(scope), name)?);
        // All new runs are not a share.
        let share = percent.filter(|percent| *percent < 100);
        let order = self.order(&package, actor);
        if package.row.quarantine.is_none()
            && let Err(error) = self.load_known(&package)
        {
            if error.is_withheld() {
                self.withhold_in_turn(&package, order)?;
            }
            return Err(error);
        }
        let answer = self.change("activating a package", Some(&package.library), move |connection| {
            store::package_activate_in_txn(connection, &order, share)
        })?;
        self.settle(answer, &package)
    }

    fn roll_back(&self, scope: &Scope, name: &str, actor: &str) -> Result<PackageInfo, Error> {
        let _turn = self.begin()?;
        let package = Arc::clone(selector::find_any_version(&self.lock().seen_by(scope), name)?);
        let (order, name) = (self.order(&package, actor), package.row.name.clone());
        let (answer, target) = self.change("rolling back a package", None, move |connection| {
            store::package_roll_back_in_txn(connection, &order, &name)
        })?;
        let row = target.map(|digest| PackageRow { digest, ..package.row.clone() });
        let target = row.and_then(|row| self.lock().find(&row).cloned());
        self.settle(answer, target.as_ref().unwrap_or(&package))
    }

    fn retire(&self, scope: &Scope, name: &str, actor: &str) -> Result<PackageInfo, Error> {
        let _turn = self.begin()?;
        let package = Arc::clone(selector::find(&self.lock().seen_by(scope), name)?);
        let order = self.order(&package, actor);
        let answer = self
            .change("retiring a package", None, move |connection| store::package_retire_in_txn(connection, &order))?;
        self.settle(answer, &package)
    }

    fn remove(&self, scope: &Scope, name: &str, actor: &str) -> Result<PackageInfo, Error> {
        let _turn = self.begin()?;
        let (package, snapshot) = {
            let state = self.lock();
            let package = Arc::clone(selector::find_version(&state.seen_by(scope), name)?);
            let snapshot = state.snapshot(&package);
            (package, snapshot)
        };
        // As it is before it goes.
        let info = snapshot.info();
        let order = self.order(&package, actor);
        let answer = self
            .change("removing a package", None, move |connection| store::package_remove_in_txn(connection, &order))?;
        match answer {
            // The store is the truth; what it does not know is forgotten.
            PackageChanged::Missing | PackageChanged::Done => Ok(info),
            answer => self.settle(answer, &package),
        }
    }

    fn order(&self, package: &Package, actor: &str) -> PackageOrder {
        let (tenant, digest) = package.place();
        PackageOrder { tenant, digest, actor: actor.to_owned(), at: self.options.clock.now(), reason: None }
    }

    fn of(&self, order: &PackageOrder) -> Result<Arc<Package>, Error> {
        let state = self.lock();
        let is_meant = |package: &&Arc<Package>| package.place() == (order.tenant.clone(), order.digest);
        let found = state.packages.iter().find(is_meant).cloned();
        let of_tenant = || state.seen_by(&Scope::Tenant(order.tenant.as_str().into()));
        found.ok_or_else(|| selector::unknown(&of_tenant(), &order.digest.to_string()))
    }

    /// The answer of the store as that of the registry: the package as it is now.
    fn settle(&self, answer: PackageChanged, package: &Package) -> Result<PackageInfo, Error> {
        let snapshot = {
            let state = self.lock();
            match (answer, state.find(&package.row)) {
                (PackageChanged::Done | PackageChanged::Unchanged, Some(now)) => state.snapshot(now),
                (PackageChanged::Refused(refusal), _) => return Err(Error::refused(package.label(), refusal)),
                (PackageChanged::Missing, _) | (_, None) => {
                    let of_tenant = state.seen_by(&Scope::Tenant(package.row.tenant.as_str().into()));
                    return Err(selector::unknown(&of_tenant, &package.label()));
                }
            }
        };
        Ok(snapshot.info())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").field("folder", &self.shared.options.folder).finish_non_exhaustive()
    }
}
