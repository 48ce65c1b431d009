//! Starting and stopping: everything that one engine consists of is made here, in one list, and taken down here.
//!
//! The driver's thread owns it all. It opens the store (which may block), then drives, then takes down in the
//! opposite order; the lock on the database is the last thing to go. Handles only have a channel to it.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::AtomicBool,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle, ThreadId},
    time::Duration,
};

use cloacina_workflow::Level;
use tokio::{
    runtime::{Handle, Runtime},
    sync::oneshot,
};

use super::{
    attempt::Attempts,
    catalog::Catalog,
    commits::Commits,
    dormant::DormantRuns,
    driver::{Answering, Driver, Parts},
    event::Event,
    jobs::Jobs,
    live::LiveRuns,
    notice::Board,
    ownership::Ownership,
    runner::AttemptEnv,
    services::{ServiceRuntime, Services},
    timer::Timers,
    upkeep::Upkeep,
};
use crate::{
    Error,
    clock::Clock,
    retention::Retention,
    store::{self, Database, JobResult, Sabotage, Sign, Store, TakenOver, WorkflowRow},
};

/// How long the last handle waits for the engine when it is dropped. Recording what is abandoned takes one commit;
/// more than this is a disk in trouble, and then dropping must not hang.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// Threads that an engine starts after its runtime: for its socket, for blocking work, and for its end.
const THREADS_SPARE: usize = 4;

/// How long idle threads of the tasks' runtime get to end.
const TASKS_WAIT: Duration = Duration::from_secs(1);

/// What an engine is started with.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) database: Database,
    pub(crate) slots: usize,
    /// How long an attempt that was asked to stop may take to do so.
    pub(crate) stop_grace: Duration,
    /// Less important log lines are not stored.
    pub(crate) log_level: Level,
    pub(crate) retention: Retention,
    /// Threads of the runtime for compiled-in `async fn` tasks.
    pub(crate) n_task_threads: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) board: Board,
    /// What the engine can run; filled by those who register workflows.
    pub(crate) catalog: Arc<Catalog>,
    /// How long the engine counts as alive after it was last heard of.
    pub(crate) lease: Duration,
    pub(crate) sabotage: Sabotage,
}

/// The handles' side of a running engine; stops it when dropped.
pub(crate) struct Engine {
    events: Sender<Event>,
    pub(crate) store: Store,
    /// The runtime of users' tasks.
    pub(crate) tasks: Handle,
    pub(crate) services: Services,
    thread: Mutex<Option<Thread>>,
}

struct Thread {
    join: JoinHandle<()>,
    ended: Receiver<()>,
    id: ThreadId,
}

/// What the driver's thread gives to the handles once it is ready. Stops the engine if nobody takes it.
struct Ready {
    events: Option<Sender<Event>>,
    store: Store,
    tasks: Handle,
    services: Services,
}

/// What is to be stored last, on the driver's thread: nothing that could still be stored comes after it.
pub(crate) type OnShutdown = Box<dyn FnOnce(&Store) + Send>;

/// Starts an engine.
///
/// # Errors
/// Whatever keeps the database or the threads from being used; nothing is left running then.
pub(crate) async fn launch(config: Config, on_shutdown: OnShutdown) -> Result<Engine, Error> {
    let (ready, is_ready) = oneshot::channel();
    let (end, ended) = mpsc::channel();
    let join = thread::Builder::new()
        .name("cloacina-driver".to_owned())
        .spawn(move || {
            // Dropped last of all, which tells the waiting callers that everything has been taken down.
            let _end = end;
            drive(config, on_shutdown, ready);
        })
        .map_err(Error::Thread)?;
    let thread = Thread { id: join.thread().id(), join, ended };
    let mut ready: Ready = is_ready.await.map_err(|_| Error::ShutDown)??;
    let events = ready.events.take().ok_or(Error::ShutDown)?;
    let (store, tasks, services) = (ready.store.clone(), ready.tasks.clone(), ready.services.clone());
    Ok(Engine { events, store, tasks, services, thread: Mutex::new(Some(thread)) })
}

impl Engine {
    /// The driver's queue, for those who tell it something without a handle of the engine.
    pub(crate) fn events(&self) -> Sender<Event> {
        self.events.clone()
    }

    pub(crate) fn send(&self, event: Event) -> Result<(), Error> {
        self.events.send(event).map_err(|_| Error::ShutDown)
    }

    /// Stops the engine and waits until everything has been taken down. Attempts may finish for `grace`.
    pub(crate) async fn stop(&self, grace: Duration) -> Result<(), Error> {
        // An engine that has stopped before needs no telling.
        self.send(Event::Stop { grace }).ok();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Thread { join, ended, .. }) = thread else { return Ok(()) };
        let (told, is_told) = oneshot::channel();
        let waiter = thread::Builder::new()
            .name("cloacina-stop".to_owned())
            .spawn(move || {
                // The sender is never used; it is gone when the driver's thread ends.
                ended.recv().ok();
                if join.join().is_err() {
                    tracing::error!("the driver panicked");
                }
                told.send(()).ok();
            })
            .map_err(Error::Thread)?;
        is_told.await.map_err(|_| Error::ShutDown)?;
        if waiter.join().is_err() {
            tracing::error!("the thread that waited for the driver panicked");
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // An engine that has stopped before needs no telling.
        self.events.send(Event::Stop { grace: Duration::ZERO }).ok();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Thread { join, ended, id }) = thread else { return };
        if id == thread::current().id() {
            return;
        }
        match ended.recv_timeout(DROP_WAIT) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                if join.join().is_err() {
                    tracing::error!("the driver panicked");
                }
            }
            Err(RecvTimeoutError::Timeout) => tracing::warn!("the engine is still stopping in the background"),
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(events) = self.events.take() {
            // The driver cannot have ended before it was told to.
            events.send(Event::Stop { grace: Duration::ZERO }).ok();
        }
    }
}

/// The life of the driver's thread.
fn drive(config: Config, on_shutdown: OnShutdown, ready: oneshot::Sender<Result<Ready, Error>>) {
    let (events, queue) = mpsc::channel();
    match open(config, events.clone()) {
        Ok(Opened { store, driver, tasks, services }) => {
            let handles = Ready {
                events: Some(events),
                store: store.clone(),
                tasks: tasks.handle().clone(),
                services: services.services().clone(),
            };
            // If nobody takes them, dropping them stops the driver at once.
            drop(ready.send(Ok(handles)));
            let has_abandoned = driver.run(&queue);
            if has_abandoned {
                tasks.shutdown_background();
            } else {
                tasks.shutdown_timeout(TASKS_WAIT);
            }
            services.stop();
            on_shutdown(&store);
            store.close();
        }
        // The caller that started the engine may have stopped waiting.
        Err(error) => drop(ready.send(Err(error))),
    }
}

/// What the driver's thread takes down again.
struct Opened {
    store: Store,
    driver: Driver,
    tasks: Runtime,
    services: ServiceRuntime,
}

fn open(config: Config, events: Sender<Event>) -> Result<Opened, Error> {
    let Config {
        database,
        slots,
        stop_grace,
        log_level,
        retention,
        n_task_threads,
        clock,
        board,
        catalog,
        lease,
        sabotage,
    } = config;
    let is_shared = matches!(database, Database::Postgres(_));
    let answering = Answering { events: events.clone() };
    let answers: store::Answers = Box::new(move |outcomes| {
        // Without a driver nobody waits for the outcomes.
        answering.events.send(Event::Committed(outcomes)).ok();
    });
    let (signs_to, packages) = (events.clone(), Arc::clone(&catalog));
    let (unfenced, twice) = (sabotage.is_unfenced(), sabotage.delivers_twice());
    let signs: store::Signs = Box::new(move |sign| {
        let event = match sign {
            Sign::Fenced { .. } if unfenced => return,
            Sign::Fenced { epoch } => Event::EpochEnded { epoch },
            Sign::PackagesChanged => return packages.check_packages(),
            Sign::Orphaned { epochs } => {
                // Their runs may be of packages that this engine has not seen.
                packages.check_packages();
                Event::Orphaned { epochs }
            }
        };
        // Without a driver nobody owns anything.
        signs_to.send(event).ok();
    });
    // An engine that starts nothing takes no run over but those that it is asked about.
    let is_idle = slots == 0;
    let store = Store::open(store::Options { database, answers, signs, lease, sabotage })?;
    let opened =
        begin(&store, lease, is_shared || is_idle).and_then(|begun| Ok((begun, runtimes(n_task_threads, slots)?)));
    let (Begun { epoch, taken, workflows }, (tasks, services)) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            store.close();
            return Err(error);
        }
    };
    store.keep_lease(epoch);
    let commits = Commits::new(store.committer()?);
    let (logs, is_stopping) = (store.logs(), AtomicBool::new(false));
    let mut timers = Timers::default();
    // An engine that runs nothing is there for a moment only, and leaves the past alone.
    let upkeep = Upkeep::new((!is_idle).then_some(retention), &mut timers, clock.now());
    let jobs = Jobs::new(store.clone(), events.clone(), Arc::clone(&catalog), lease);
    let env = Arc::new(AttemptEnv { events, board, clock, logs, log_level, is_stopping, twice });
    let attempts = Attempts::new(slots, stop_grace);
    let driver = Driver::new(Parts {
        live: LiveRuns::new(Arc::clone(&env), is_shared, attempts, commits),
        env,
        jobs,
        catalog,
        timers,
        ownership: Ownership::new(epoch, is_shared, is_idle),
        dormant: DormantRuns::new(taken.runs, &workflows),
        upkeep,
    });
    Ok(Opened { store, driver, tasks, services })
}

/// What an engine begins with.
struct Begun {
    epoch: i64,
    taken: TakenOver,
    workflows: Vec<WorkflowRow>,
}

/// Begins an epoch. The engine of a file takes over every unfinished run; one of several takes over what it can run,
/// once it knows its workflows, and one that runs nothing leaves them where they are.
fn begin(store: &Store, lease: Duration, takes_nothing: bool) -> Result<Begun, Error> {
    let begun = store.write_blocking("taking over runs", move |connection| -> JobResult<Begun> {
        let workflows = store::workflow_list(connection)?;
        let epoch = store::epoch_begin_in_txn(connection, lease, None)?;
        let taken = match takes_nothing {
            true => TakenOver::default(),
            false => store::run_take_over(connection, epoch, &mut |_| true)?,
        };
        Ok(Begun { epoch, taken, workflows })
    });
    Ok(begun?)
}

/// The runtimes of tasks and of services; not the program's, so that a task that blocks delays tasks only.
fn runtimes(n_task_threads: usize, slots: usize) -> Result<(Runtime, ServiceRuntime), Error> {
    try_threads(n_task_threads + ServiceRuntime::N_THREADS + THREADS_SPARE).map_err(Error::Thread)?;
    Ok((task_runtime(n_task_threads, slots)?, ServiceRuntime::start().map_err(Error::Thread)?))
}

/// The runtime for compiled-in tasks.
fn task_runtime(n_threads: usize, slots: usize) -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(n_threads)
        // Each slot may hold a blocking task; an idle engine has none.
        .max_blocking_threads(slots.max(1))
        .thread_name("cloacina-task")
        .enable_all()
        .build()
        .map_err(Error::Thread)
}

/// Sees whether the system lets so many threads be started. The runtime would panic where it does not, and then wait for
/// threads that never end.
fn try_threads(n_threads: usize) -> io::Result<()> {
    let mut threads = Vec::with_capacity(n_threads);
    let mut tried = Ok(());
    for _ in 0..n_threads {
        let (end, ended) = mpsc::channel::<()>();
        let name = "cloacina-try".to_owned();
        // The sender is never used: it is gone when all of them are to end.
        match thread::Builder::new().name(name).spawn(move || ended.recv().ok()) {
            Ok(thread) => threads.push((end, thread)),
            Err(error) => {
                tried = Err(error);
                break;
            }
        }
    }
    for (end, thread) in threads {
        drop(end);
        // It does nothing that could panic.
        thread.join().ok();
    }
    tried
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("store", &self.store).finish_non_exhaustive()
    }
}
