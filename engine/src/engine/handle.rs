//! The handles of an engine that an embedding program uses.
//!
//! [`Engine`] and [`Scheduler`] are cheap to clone and keep the engine alive; when the last of them is
//! dropped the engine stops. A [`RunHandle`](crate::RunHandle) does not keep it alive.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, Weak},
    thread,
    time::Duration,
};

use cloacina_packager::{Limits, Target};
use cloacina_workflow::{Level, Workflow as Module, descriptor};
use tokio::sync::{
    Semaphore,
    mpsc::{self, UnboundedSender},
    oneshot,
};

use super::{
    apart::Apart,
    hosts, packages,
    run_handle::{RunHandle, report_of_stored},
    submit::SUBMISSIONS_MAX,
};
use crate::{
    Error,
    access::Gate,
    api::{Briefs, Caller, Page, RunFilter},
    clock::{Clock, SystemClock},
    core::slot::SLOTS_DEFAULT,
    id::{RunId, TENANT_DEFAULT},
    isolation::{
        AllowedNeed, Choice, CrashLoop, HostOptions, HostProgram, Isolation, Keeper, Limits as HostLimits, Sandbox,
        Scratch, Tally,
    },
    limit,
    loader::InitConfig,
    registry::{self, Registry},
    retention::Retention,
    runtime::{self, Board, Catalog, Config, EmbeddedRunner, Event, Notices, TaskRunner, Version, Workflow},
    socket::Service,
    store::{self, Database, JobResult, LEASE_DEFAULT, Store, WorkflowKey},
    trust,
    view::{RunReport, RunStatus},
};

/// A shorter lease would be lost whenever the machine is busy.
const LEASE_MIN: Duration = Duration::from_millis(100);

/// How long [`Engine::shutdown`] lets attempts finish.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);

/// How long each package gets to shut down after its last attempt.
const PACKAGE_GRACE: Duration = Duration::from_secs(2);

/// How long an attempt that was asked to stop may take to do so.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// The folder of unpacked libraries in the data folder.
const PACKAGES: &str = "packages";

/// The data folder beside a database, unless another is named.
const DATA: &str = ".cloacina";

/// The folder below it for the scratch folders of packages.
const SCRATCH: &str = "scratch";

/// Runs that [`Engine::runs`] returns at most at once.
const RUNS_MAX: usize = 1000;

/// A process that decides, stores and dispatches; one for each SQLite file.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) caller: Caller,
}

/// The settings of an engine before its start; created by [`Engine::builder`].
#[derive(Debug)]
#[must_use = "nothing is started before `start`"]
pub struct Builder {
    database: String,
    data_dir: Option<PathBuf>,
    workflows: Vec<Module>,
    slots: usize,
    stop_grace: Duration,
    hosts: Hosts,
    log_level: Level,
    retention: Retention,
    clock: Arc<dyn Clock>,
    lease: Duration,
    has_socket: bool,
    required_signatures: usize,
    target: Option<Target>,
    caller: Caller,
    sabotage: store::Sabotage,
}

/// Where packages are to be loaded.
#[derive(Debug, Default)]
struct Hosts {
    program: Option<HostProgram>,
    choice: Choice,
    /// Names or ids of keys, after the tenant.
    inline_signers: Vec<(String, String)>,
    limits: HostLimits,
    sandbox: Sandbox,
    requires_sandbox: bool,
    allowed: Vec<AllowedNeed>,
}

impl Hosts {
    /// What was said, with the keys that were meant.
    async fn choice(&self, store: &store::Store, required: usize) -> Result<Choice, Error> {
        let mut choice = self.choice.clone();
        for (tenant, name) in self.inline_signers.clone() {
            let read = store.read("reading the trusted keys of a tenant", {
                let tenant = tenant.clone();
                move |connection| trust::read(connection, &tenant, required)
            });
            let found = read.await?.key(&name).map_err(registry::Error::from)?.public().clone();
            choice.say_inline_by(&tenant, found);
        }
        Ok(choice)
    }

    fn options(
        &self,
        stop_grace: Duration,
        scratch: PathBuf,
        crash_loops: UnboundedSender<CrashLoop>,
        tally: Arc<Tally>,
    ) -> Option<HostOptions> {
        Some(HostOptions {
            program: self.program.clone()?,
            sandbox: self.sandbox,
            requires_sandbox: self.requires_sandbox,
            scratch: Scratch::new(scratch),
            groups: Arc::default(),
            limits: self.limits,
            allowed: self.allowed.clone().into(),
            stop_grace,
            keeper: Keeper::new(),
            crash_loops,
            shortage: Arc::default(),
            tally,
            owner: None,
        })
    }
}

/// Starts runs; created by [`Engine::scheduler`].
#[derive(Clone)]
pub struct Scheduler {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Caller,
}

/// The shared state of all handles of one engine.
///
/// The order of the fields is that in which they end when the last handle goes: the socket's file is removed while the
/// engine still holds the lock.
pub(crate) struct Shared {
    /// Once there is one; on a server there is none.
    socket: OnceLock<Service>,
    pub(crate) engine: runtime::Engine,
    pub(crate) catalog: Arc<Catalog>,
    /// After the engine, so that packages shut down when they are no longer needed.
    registry: Registry,
    /// What the processes of packages used up.
    pub(super) tally: Arc<Tally>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) data_dir: PathBuf,
    pub(super) board: Board,
    pub(super) submissions: Semaphore,
    /// What lists tell of workflows.
    pub(super) briefs: Briefs,
    /// The database, once the store is closed.
    pub(crate) apart: Apart,
    /// Who may ask.
    pub(super) gate: Arc<Gate>,
}

impl Engine {
    /// Configures an engine, by default on `cloacina.db` in the working folder.
    pub fn builder() -> Builder {
        Builder {
            database: "cloacina.db".to_owned(),
            data_dir: None,
            workflows: Vec::new(),
            slots: SLOTS_DEFAULT,
            stop_grace: STOP_GRACE,
            hosts: Hosts::default(),
            log_level: Level::Info,
            retention: Retention::default(),
            clock: Arc::new(SystemClock),
            lease: LEASE_DEFAULT,
            has_socket: true,
            required_signatures: trust::REQUIRED_DEFAULT,
            target: Target::host(),
            caller: Caller::library(),
            sabotage: store::Sabotage::default(),
        }
    }

    /// The handle that starts runs.
    #[must_use]
    pub fn scheduler(&self) -> Scheduler {
        Scheduler { shared: self.shared.clone(), caller: self.caller.clone() }
    }

    /// The handle that registers packages.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.shared.registry.on_behalf_of(self.caller.clone())
    }

    /// A handle of the same engine for that caller: it sees only data of the caller's tenant, and refuses requests that the
    /// caller's role does not allow. Without a caller, a handle acts for the tenant `public`.
    #[must_use]
    pub fn on_behalf_of(&self, caller: Caller) -> Self {
        Self { shared: Arc::clone(&self.shared), caller }
    }

    /// The caller for which the handle acts.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Registers a workflow that is compiled into the program. Runs that were waiting for it continue.
    ///
    /// # Errors
    /// [`Error::NameTaken`] if another workflow of that name is registered; the same one may be registered again.
    pub async fn register(&self, workflow: Module) -> Result<(), Error> {
        self.add(&workflow).await?;
        self.shared.seek().await
    }

    async fn add(&self, workflow: &Module) -> Result<(), Error> {
        let name = || workflow.name().to_owned();
        let descriptor =
            workflow.descriptor().map_err(|source| Error::Descriptor { name: name(), source: source.into() })?;
        let runner = Arc::new(EmbeddedRunner::new(workflow.functions(), self.shared.engine.tasks.clone()));
        for described in &descriptor.workflows {
            let key = WorkflowKey {
                tenant: descriptor.tenant.clone().unwrap_or_else(|| TENANT_DEFAULT.to_owned()),
                package: descriptor.package.clone(),
                name: described.name.clone(),
                digest: Vec::new(),
                fingerprint: described.fingerprint.clone().unwrap_or_default(),
            };
            for name in [&key.tenant, &key.name] {
                limit::NAME.check(name)?;
            }
            let full_name = key.full_name();
            let taken = self.shared.catalog.resolve(&full_name).ok().map(|known| known.version.key.clone());
            if taken.is_some_and(|known| known.full_name() == full_name && known != key) {
                return Err(Error::NameTaken { name: full_name });
            }
            self.shared.add_workflow(key, described, runner.clone()).await?;
        }
        Ok(())
    }

    /// A handle to a run of this database, also one that an earlier engine started.
    ///
    /// # Errors
    /// [`Error::UnknownRun`].
    pub async fn run(&self, id: RunId) -> Result<RunHandle, Error> {
        let scope = self.caller.scope().clone();
        let find = move |connection: &mut store::Connection| store::run_find(connection, &scope, id);
        self.shared.store().read("looking for a run", find).await?.ok_or(Error::UnknownRun { id })?;
        Ok(self.handle(id))
    }

    /// A run and all its tasks as they are now. One that has ended is read at once; of another one the engine is asked.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], and as [`RunHandle::report`].
    pub async fn report(&self, id: RunId) -> Result<RunReport, Error> {
        let scope = self.caller.scope().clone();
        let read = self.shared.store().read("reading a run", move |connection| {
            let Some((run, workflow)) = store::run_find(connection, &scope, id)? else { return Ok(None) };
            let rows = run.state.is_terminal().then(|| store::event_list(connection, id)).transpose()?;
            JobResult::Ok(Some((run, workflow, rows)))
        });
        match read.await?.ok_or(Error::UnknownRun { id })? {
            (run, workflow, Some(rows)) => report_of_stored(&run, &workflow, rows),
            (.., None) => self.handle(id).report().await,
        }
    }

    fn handle(&self, id: RunId) -> RunHandle {
        RunHandle::new(id, Arc::downgrade(&self.shared), self.caller.clone(), None)
    }

    /// The newest runs, newest first, at most 1,000; `before` continues a list after its last run.
    ///
    /// # Errors
    /// The error of the store.
    pub async fn runs(&self, before: Option<RunId>) -> Result<Vec<RunStatus>, Error> {
        let page = self.list(&RunFilter::default(), &Page { limit: RUNS_MAX, after: before }).await?;
        Ok(page.runs.into_iter().map(|run| run.status).collect())
    }

    /// Full names of the workflows that can be run.
    #[must_use]
    pub fn workflows(&self) -> Vec<String> {
        self.shared.catalog.names(self.caller.scope())
    }

    /// The live events of the runs of the caller's tenant, from now on.
    #[must_use]
    pub fn subscribe(&self) -> Notices {
        self.shared.board.subscribe(self.caller.scope().clone())
    }

    /// The database for display: the path of the file, or the server's address without its password.
    #[must_use]
    pub fn database(&self) -> &str {
        self.shared.store().name()
    }

    /// The folder for files outside of the database, such as unpacked libraries.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.shared.data_dir
    }

    /// Stops the engine: no further task starts, attempts may finish for 30 seconds, and attempts that still run are recorded as
    /// interrupted. Unfinished runs continue at the next start. Every handle returns [`Error::ShutDown`] from then on.
    ///
    /// # Errors
    /// If the system refuses the thread that waits for the engine's end.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.shutdown_within(SHUTDOWN_GRACE).await
    }

    /// As [`Self::shutdown`], with another time for attempts to finish.
    ///
    /// # Errors
    /// As [`Self::shutdown`].
    pub async fn shutdown_within(&self, grace: Duration) -> Result<(), Error> {
        let socket = self.shared.socket.get();
        if let Some(socket) = socket {
            socket.withdraw();
        }
        self.shared.engine.stop(grace).await?;
        if let Some(socket) = socket {
            socket.end();
        }
        self.shared.registry.shut_down(PACKAGE_GRACE).await;
        self.shared.board.close();
        Ok(())
    }
}

impl Builder {
    /// The database: the path of a SQLite file, `sqlite:` and a path, or the address of a PostgreSQL server as
    /// `postgres://user:password@host/database`.
    pub fn database(mut self, address: impl Into<String>) -> Self {
        self.database = address.into();
        self
    }

    /// The folder for files outside of the database, such as unpacked libraries. By default it is `.cloacina` in the
    /// folder of the database file, or in the current one if the database is on a server.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Registers a workflow that is compiled into the program, before unfinished runs continue.
    pub fn workflow(mut self, workflow: Module) -> Self {
        self.workflows.push(workflow);
        self
    }

    /// The maximum number of concurrent attempts; 1,024 by default, and at least one.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots.max(1);
        self
    }

    /// Configures an engine that starts no attempt: it records requests and submissions, and leaves the execution to the next
    /// engine on the database.
    pub fn idle(mut self) -> Self {
        self.slots = 0;
        self
    }

    /// How long an attempt that was asked to stop may take before it is abandoned; 5 seconds by default.
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.stop_grace = grace;
        self
    }

    /// The program that runs packages in separate processes, which then is the default: the program must call
    /// [`crate::package_host`] when it is started in this role. Without it, packages are loaded into this process.
    pub fn package_host(mut self, program: HostProgram) -> Self {
        self.hosts.program = Some(program);
        self.hosts.choice.default = Isolation::Process;
        self
    }

    /// Where packages are loaded that are not named with [`Self::isolation_of`]; by default in separate processes if there is
    /// a package host, and into this process otherwise.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.hosts.choice.default = isolation;
        self
    }

    /// Where the named packages are loaded: `name`, or `name*` for all names that begin with `name`, of the tenant `public`;
    /// `tenant::name` of another tenant, `*::name` of every tenant. The most specific choice applies, and of two equally
    /// specific ones the last.
    pub fn isolation_of(mut self, packages: &str, isolation: Isolation) -> Self {
        let (tenant, packages) = packages.split_once("::").unwrap_or((TENANT_DEFAULT, packages));
        self.hosts.choice.say(tenant, packages, isolation);
        self
    }

    /// Loads packages that were signed with this key into this process: the name or the id of a key that the tenant `public`
    /// trusts, or `tenant::key` for another tenant. The signature is verified at each load, and [`Self::isolation_of`] takes
    /// precedence. A package that can only run in a separate process does so.
    ///
    /// [`Self::start`] fails if the tenant never trusted that key.
    pub fn inline_signer(mut self, key: &str) -> Self {
        let (tenant, key) = key.split_once("::").unwrap_or((TENANT_DEFAULT, key));
        self.hosts.inline_signers.push((tenant.to_owned(), key.to_owned()));
        self
    }

    /// The limits of each process of a package; [`HostLimits::default`] by default.
    pub fn host_limits(mut self, limits: HostLimits) -> Self {
        self.hosts.limits = limits;
        self
    }

    /// How strictly packages in separate processes are confined; [`Sandbox::Dev`] by default. The log and the registry's list
    /// name the steps that the system does not support; with `is_required`, the engine refuses packages in this case.
    pub fn sandbox(mut self, sandbox: Sandbox, is_required: bool) -> Self {
        self.hosts.sandbox = sandbox;
        self.hosts.requires_sandbox = is_required;
        self
    }

    /// The needs that packages are allowed in the sandbox of a server; none by default. A package with other needs is
    /// refused.
    pub fn allow_needs(mut self, needs: impl IntoIterator<Item = AllowedNeed>) -> Self {
        self.hosts.allowed.extend(needs);
        self
    }

    /// The lowest level of stored log lines of tasks; `Info` by default. A package does not even create more verbose lines.
    pub fn log_level(mut self, level: Level) -> Self {
        self.log_level = level;
        self
    }

    /// Which finished runs and logs are kept, and for how long; [`Retention::default`] by default.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Whether the engine accepts requests on a Unix socket beside its SQLite file, from programs of the same user; true by
    /// default.
    pub fn socket(mut self, has_socket: bool) -> Self {
        self.has_socket = has_socket;
        self
    }

    /// How many trusted keys must have signed a package of a tenant without a setting; none by default. A server should use
    /// [`REQUIRED_BY_SERVERS`](crate::REQUIRED_BY_SERVERS). The setting of a tenant takes precedence.
    pub fn required_signatures(mut self, n_signatures: usize) -> Self {
        self.required_signatures = n_signatures;
        self
    }

    /// The caller of the handle that [`Self::start`] returns; an admin of the tenant `public` by default.
    pub fn on_behalf_of(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// The clock of the engine.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The lease of the engine, if several share a database; 15 seconds by default, and at least a tenth of a second. The engine
    /// renews it every third of this time. When the lease expires, other engines take over its runs. In real time, whatever
    /// the clock of the engine is.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(LEASE_MIN);
        self
    }

    /// Lets the engine load the libraries for that target as if it was the target of this machine.
    #[cfg(any(test, feature = "testing"))]
    #[doc(hidden)]
    pub fn target(mut self, triple: &str) -> Self {
        self.target = Target::find(triple);
        self
    }

    /// Breaks promises on purpose.
    #[cfg(any(test, feature = "testing"))]
    #[doc(hidden)]
    pub fn sabotage(mut self, sabotage: store::Sabotage) -> Self {
        self.sabotage = sabotage;
        self
    }

    /// Opens the database, takes over its unfinished runs and continues them.
    ///
    /// # Errors
    /// [`StoreError::Locked`](crate::StoreError::Locked) if another engine has the database; otherwise why it cannot be used. A package
    /// with a missing file is not an error: its runs wait.
    pub async fn start(self) -> Result<Engine, Error> {
        let Self {
            database,
            data_dir,
            workflows,
            slots,
            stop_grace,
            hosts: said,
            log_level,
            retention,
            clock,
            lease,
            has_socket,
            required_signatures,
            target,
            caller,
            sabotage,
        } = self;
        let database = Database::parse(&database)?;
        let data_dir = data_dir.unwrap_or_else(|| database.folder().unwrap_or(Path::new(".")).join(DATA));
        let board = Board::new();
        let n_task_threads = thread::available_parallelism().map_or(1, Into::into);
        let catalog = Arc::new(Catalog::default());
        let config = Config {
            database: database.clone(),
            slots,
            stop_grace,
            log_level,
            retention,
            n_task_threads,
            clock: clock.clone(),
            board: board.clone(),
            catalog: Arc::clone(&catalog),
            lease,
            sabotage,
        };
        let tally = Tally::new(Arc::clone(&clock));
        let last = Arc::clone(&tally);
        let engine = runtime::launch(config, Box::new(move |store| hosts::write_last(&last, store))).await?;
        let (ends, told) = mpsc::unbounded_channel();
        let (crash_loops, harmful) = mpsc::unbounded_channel();
        let (withheld, refused) = mpsc::unbounded_channel();
        let registry = Registry::open(registry::Options {
            store: engine.store.clone(),
            folder: data_dir.join(PACKAGES),
            clock: Arc::clone(&clock),
            // Each package makes as many threads as there are cores.
            init: InitConfig { workers: 0, max_log_level: log_level, has_own_process: false },
            isolation: said.choice(&engine.store, required_signatures).await?,
            host: said.options(stop_grace, data_dir.join(SCRATCH), crash_loops, Arc::clone(&tally)),
            limits: Limits::default(),
            is_shared: matches!(database, Database::Postgres(_)),
            listener: packages::listener(Arc::clone(&catalog), engine.events(), engine.tasks.clone(), ends, withheld),
            required_default: required_signatures,
            target,
        });
        let registry = registry.await?;
        let services = &engine.services;
        let blocking = services.clone();
        catalog.set_observer(registry.observer(move |look| blocking.spawn_blocking(look)));
        services.spawn(packages::refresh_when_due(registry.clone(), Arc::clone(&clock), told));
        services.spawn(packages::quarantine_withheld(registry.clone(), refused));
        services.spawn(hosts::keep(Arc::clone(&tally), engine.store.clone()));
        services.spawn(packages::quarantine_harmful(registry.clone(), Arc::clone(&clock), harmful));
        for step in registry.first_steps().await? {
            tracing::warn!("packages must be signed, and no key is trusted yet: {step}");
        }
        let gate = Arc::new(Gate::new(engine.store.clone(), Arc::clone(&clock)));
        let shared = Shared {
            socket: OnceLock::new(),
            apart: Apart::new(database.clone()),
            engine,
            catalog,
            registry,
            tally,
            clock,
            data_dir,
            board,
            submissions: Semaphore::new(SUBMISSIONS_MAX),
            briefs: Briefs::default(),
            gate,
        };
        let engine = Engine { shared: Arc::new(shared), caller };
        engine.on_behalf_of(Caller::owner()).built_in_add_known().await?;
        for workflow in workflows {
            engine.add(&workflow).await?;
        }
        engine.shared.seek().await?;
        if has_socket && let Database::Sqlite(file) = &database {
            engine.shared.open_socket(file);
        }
        Ok(engine)
    }
}

impl Shared {
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns when the runs that wait for an engine that knows these workflows are this one's.
    pub(crate) async fn seek(&self) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.engine.send(Event::Seek { answer })?;
        // On a file there is nobody to take over from, and then nobody answers.
        answered.await.ok();
        Ok(())
    }

    /// Opens the socket. An engine without one works, but only its own process can make requests.
    fn open_socket(self: &Arc<Self>, file: &Path) {
        let opened = Service::start(file, &self.data_dir, Arc::downgrade(self))
            .map_err(|error| error.to_string())
            .and_then(|service| {
                self.store().note_socket(service.path()).map_err(|error| error.to_string())?;
                Ok(service)
            });
        match opened {
            // There is one engine to a file, and it opens its socket once.
            Ok(service) => drop(self.socket.set(service)),
            Err(error) => {
                tracing::warn!(database = self.store().name(), error, "the engine has no socket");
            }
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.engine.store
    }

    /// Registers a version durably, and continues the runs that wait for it.
    pub(crate) async fn add_workflow(
        &self,
        key: WorkflowKey,
        described: &descriptor::Workflow,
        runner: Arc<dyn TaskRunner>,
    ) -> Result<Arc<Version>, Error> {
        let full_name = key.full_name();
        let plan = runtime::plan(described).map_err(|error| Error::plan(&full_name, &error))?;
        let json = serde_json::to_string(described)
            .map_err(|error| Error::Graph { name: full_name, reason: error.to_string() })?;
        let (now, stored_key) = (self.clock.now(), key.clone());
        let ensure = move |connection: &mut store::Connection| {
            store::workflow_ensure_in_txn(connection, &stored_key, &json, now)
        };
        let id = self.store().write("registering a workflow", ensure).await?;
        let version = Arc::new(Version { id, key, plan: Arc::new(plan) });
        let workflow = Workflow { version: version.clone(), runner };
        self.catalog.activate(workflow.clone());
        self.engine.send(Event::WorkflowAdded(workflow))?;
        Ok(version)
    }
}

/// The engine of a weak handle.
pub(crate) fn alive(shared: &Weak<Shared>) -> Result<Arc<Shared>, Error> {
    shared.upgrade().ok_or(Error::ShutDown)
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("database", &self.database()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scheduler").finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("engine", &self.engine).finish_non_exhaustive()
    }
}
