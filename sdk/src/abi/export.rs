//! The package's side of the ABI: the exported table, and the runtime that runs the tasks of this library.
//!
//! Every library that links this crate exports `cloacina_package_v1` once, whatever number of workflow modules it
//! holds: the linker gathers their records and functions in two sections, which are read here from start to end.
//! Nothing unwinds out of these functions.

use std::{
    collections::HashMap,
    mem::MaybeUninit,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, slice,
    sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::watch,
};

use super::{
    call::{CallHost, Completion, HostLink},
    flush,
    remote::Remote,
    table::{ABI_MINOR, Bytes, FEATURE_FETCH, HostV1, PackageV1, STATUS_OK, STATUS_REFUSED, Start},
};
use crate::{
    __private::v1::{Entry, Record},
    Level, Outcome, TaskError, Timestamp,
    attempt::{Attempt, AttemptEnd},
    context::{Host, TaskInfo},
    descriptor::Descriptor,
    logging::{HostLogger, HostSubscriber, PackageLog},
    payload::View,
    task::Function,
};

/// Threads for tasks that block. A task that waits for another of the same package needs both to have one.
const BLOCKING_THREADS_MAX: usize = 512;
/// More workers than this is a mistake in the configuration.
const WORKERS_MAX: usize = 256;

/// Keeps the sections, and with them the symbols for their bounds, in programs without a workflow module.
#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = "cloacina"))]
static RECORD_ANCHOR: Record<0> = Record::new(&[]);
#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = "cloacina_fn"))]
static ENTRY_ANCHOR: Entry = Entry::ANCHOR;

/// The package between `init` and `shutdown`.
static PACKAGE: Mutex<Option<Arc<Package>>> = Mutex::new(None);

struct Package {
    link: Arc<HostLink>,
    functions: Vec<Option<NamedFunction>>,
    workers: usize,
    runtime: Mutex<Option<Runtime>>,
    /// How to stop each call under way.
    calls: Mutex<HashMap<u64, watch::Sender<bool>>>,
}

/// A function with what the descriptor says of it.
struct NamedFunction {
    id: Arc<str>,
    blocking: bool,
    function: Function,
}

/// The JSON that comes with `init`; members that a newer host adds are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    /// Threads for `async` tasks; 0 for one per core.
    workers: usize,
}

/// The one function that a package exports.
#[unsafe(no_mangle)]
pub extern "C" fn cloacina_package_v1() -> *const PackageV1 {
    static TABLE: OnceLock<PackageV1> = OnceLock::new();
    TABLE.get_or_init(|| PackageV1 {
        size: size_of::<PackageV1>() as u32,
        abi_minor: ABI_MINOR,
        metadata: Bytes::lend(records()),
        init: Some(init),
        start: Some(start),
        cancel: Some(cancel),
        shutdown: Some(shutdown),
        features: FEATURE_FETCH,
    })
}

unsafe extern "C" fn init(host: *const HostV1, config_json: Bytes) -> i32 {
    // SAFETY: the host keeps the rules of the ABI.
    let link = unsafe { HostLink::open(host) };
    // SAFETY: the bytes are readable for the time of this call.
    let config = unsafe { config_json.borrow() };
    status_of(|| {
        let mut package = lock(&PACKAGE);
        let config = match config.unwrap_or_default() {
            [] => Config::default(),
            json => serde_json::from_slice(json).ok()?,
        };
        // A second init without a shutdown is the host's mistake.
        if package.is_some() {
            return None;
        }
        *package = Some(Arc::new(Package::new(link?, &config)?));
        subscribe();
        Some(())
    })
}

unsafe extern "C" fn start(start: *const Start) -> i32 {
    if start.is_null() {
        return STATUS_REFUSED;
    }
    // SAFETY: not null, and the first field of every start is its size.
    let size = unsafe { start.cast::<u32>().read() };
    let known = match size as usize {
        size if size < Start::SIZE_MIN => return STATUS_REFUSED,
        // The struct of a host of version 1.1 ends there.
        size if size < size_of::<Start>() => Start::SIZE_MIN,
        _ => size_of::<Start>(),
    };
    let mut whole = MaybeUninit::<Start>::zeroed();
    // SAFETY: what is read is inside of the host's struct by its own size, what is written inside of ours.
    unsafe { ptr::copy_nonoverlapping(start.cast::<u8>(), whole.as_mut_ptr().cast::<u8>(), known) };
    // SAFETY: integers and pointers, for which zeros are a value too.
    let start = unsafe { whole.assume_init() };
    // SAFETY: the host lends the bytes for the time of this call.
    let context = unsafe { start.context.borrow() };
    // SAFETY: as above.
    let trace_parent = unsafe { start.trace_parent.borrow() };
    // SAFETY: as above.
    let idempotency_key = unsafe { start.idempotency_key.borrow() };
    // SAFETY: as above.
    let attempt_key = unsafe { start.attempt_key.borrow() };
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    status_of(|| {
        let package = current()?;
        if start.encoding != 0 {
            return None;
        }
        let function = package.function(start.task)?;
        let info = TaskInfo {
            task: function.id.to_string(),
            attempt: start.attempt,
            idempotency_key: text(idempotency_key),
            attempt_key: match text(attempt_key) {
                key if key.is_empty() => format!("{}/{}", text(idempotency_key), start.attempt),
                key => key,
            },
            deadline: (start.deadline_unix_ms > 0)
                .then(|| Timestamp::from_unix_micros(start.deadline_unix_ms.saturating_mul(1000))),
            trace_parent: text(trace_parent),
        };
        package.spawn(start.call_id, function, info, context?.to_vec())
    })
}

unsafe extern "C" fn cancel(call_id: u64) {
    status_of(|| {
        let package = current()?;
        let calls = lock(&package.calls);
        calls.get(&call_id).map(|cancelled| cancelled.send_replace(true))
    });
}

unsafe extern "C" fn shutdown(grace_ms: u32) -> i32 {
    status_of(|| {
        let package = lock(&PACKAGE).take()?;
        for cancelled in lock(&package.calls).values() {
            cancelled.send_replace(true);
        }
        let runtime = lock(&package.runtime).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(Duration::from_millis(grace_ms.into()));
        }
        package.link.close();
        Some(())
    })
}

impl Package {
    fn new(link: HostLink, config: &Config) -> Option<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Some(Self {
            link: Arc::new(link),
            functions: functions()?,
            workers: if config.workers == 0 { cores } else { config.workers.min(WORKERS_MAX) },
            runtime: Mutex::new(None),
            calls: Mutex::new(HashMap::new()),
        })
    }

    fn function(&self, index: u32) -> Option<&NamedFunction> {
        self.functions.get(usize::try_from(index).ok()?)?.as_ref()
    }

    /// The runtime, made at the first call.
    fn handle(&self) -> Option<Handle> {
        let mut runtime = lock(&self.runtime);
        if runtime.is_none() {
            let built = Builder::new_multi_thread()
                .worker_threads(self.workers)
                .max_blocking_threads(BLOCKING_THREADS_MAX)
                .thread_name("cloacina-tasks")
                .enable_all()
                .build();
            *runtime = Some(built.ok()?);
        }
        runtime.as_ref().map(|runtime| runtime.handle().clone())
    }

    /// From here on the call is accepted: its completion is guaranteed by the guard.
    fn spawn(&self, call_id: u64, function: &NamedFunction, info: TaskInfo, context: Vec<u8>) -> Option<()> {
        let handle = self.handle()?;
        let (sender, cancelled) = watch::channel(false);
        lock(&self.calls).insert(call_id, sender);
        let completion = Completion::new(self.link.clone(), call_id, forget_call);
        let host = Arc::new(CallHost::new(self.link.clone(), call_id, cancelled.clone()));
        let (blocking, function) = (function.blocking, function.function);
        let link = self.link.clone();
        let prepare = move || {
            let mut view = decode(&context)?;
            drop(context);
            let outcome = view.outcome.take().map(Outcome::from);
            Attempt::new(function, Remote::over(view, link, call_id), outcome, Arc::new(info), host as Arc<dyn Host>)
        };
        if blocking {
            let runtime = handle.clone();
            handle.spawn_blocking(move || {
                let block_on = |future: crate::TaskFuture<'_>| runtime.block_on(future);
                let end = match prepare() {
                    Ok(attempt) => attempt.run_blocking(block_on, until_true(cancelled)),
                    Err(error) => AttemptEnd::unmeasured(error),
                };
                flush::complete(completion, end);
            });
        } else {
            handle.spawn(async move {
                let end = match prepare() {
                    Ok(attempt) => attempt.run(until_true(cancelled)).await,
                    Err(error) => AttemptEnd::unmeasured(error),
                };
                flush::complete(completion, end);
            });
        }
        Some(())
    }
}

fn decode(context: &[u8]) -> Result<View, TaskError> {
    let view: View = serde_json::from_slice(context).map_err(|error| TaskError::ValidationFailed {
        message: format!("the context that the host sent cannot be read: {error}"),
    })?;
    view.check_depth()?;
    Ok(view)
}

/// Ends when the call is cancelled; never, when it ends first.
async fn until_true(mut cancelled: watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn forget_call(call_id: u64) {
    if let Some(package) = current() {
        lock(&package.calls).remove(&call_id);
    }
}

/// The functions by their index in the merged descriptor; `None` when records and entries disagree.
fn functions() -> Option<Vec<Option<NamedFunction>>> {
    let mut workflows: Vec<_> = entries().iter().filter_map(Entry::workflow).collect();
    workflows.sort_by_key(|workflow| workflow.name);
    let pointers: Vec<Function> = workflows.iter().flat_map(|workflow| workflow.functions).copied().collect();
    let mut functions: Vec<_> = pointers.iter().map(|_| None).collect();
    let mut put = |index: u32, id: &str, blocking: bool| {
        let index = usize::try_from(index).ok()?;
        let function = *pointers.get(index)?;
        *functions.get_mut(index)? = Some(NamedFunction { id: id.into(), blocking, function });
        Some(())
    };
    for workflow in Descriptor::from_section(records()).ok()?.workflows {
        for task in &workflow.tasks {
            put(task.index, &task.id, task.blocking)?;
        }
        for callback in &workflow.callbacks {
            put(callback.index, &callback.name, callback.blocking)?;
        }
    }
    Some(functions)
}

#[cfg(target_os = "linux")]
unsafe extern "C" {
    #[link_name = "__start_cloacina"]
    static RECORDS_START: u8;
    #[link_name = "__stop_cloacina"]
    static RECORDS_STOP: u8;
    #[link_name = "__start_cloacina_fn"]
    static ENTRIES_START: u8;
    #[link_name = "__stop_cloacina_fn"]
    static ENTRIES_STOP: u8;
}

/// The bytes of the section `cloacina` of this library.
#[cfg(target_os = "linux")]
fn records() -> &'static [u8] {
    let (start, stop) = (&raw const RECORDS_START, &raw const RECORDS_STOP);
    // SAFETY: the linker puts the two symbols at the bounds of one section, which is mapped and never written.
    unsafe { slice::from_raw_parts(start, stop.addr() - start.addr()) }
}

/// The entries of the section `cloacina_fn` of this library.
#[cfg(target_os = "linux")]
fn entries() -> &'static [Entry] {
    let (start, stop) = (&raw const ENTRIES_START, &raw const ENTRIES_STOP);
    let n_entries = (stop.addr() - start.addr()) / size_of::<Entry>();
    // SAFETY: as above, and the section holds nothing but statics of this type, which are as large as their alignment.
    unsafe { slice::from_raw_parts(start.cast::<Entry>(), n_entries) }
}

/// Other systems name the bounds of a section differently; until they are supported, a package there is empty.
#[cfg(not(target_os = "linux"))]
fn records() -> &'static [u8] {
    &[]
}

#[cfg(not(target_os = "linux"))]
fn entries() -> &'static [Entry] {
    &[]
}

/// Lines of the package that belong to no call.
struct WholePackage;

impl PackageLog for WholePackage {
    fn max_level(&self) -> u32 {
        current().map_or(0, |package| package.link.max_level())
    }

    fn log(&self, level: Level, target: &str, message: &str, fields: &str) {
        if let Some(package) = current() {
            package.link.log(0, level, target, message, fields);
        }
    }
}

/// Sends events of `tracing` and records of `log` to the host, unless the package has its own subscriber or logger.
fn subscribe() {
    static SUBSCRIBED: Once = Once::new();
    static LOGGER: HostLogger<WholePackage> = HostLogger(WholePackage);
    SUBSCRIBED.call_once(|| {
        let dispatch = tracing_core::Dispatch::new(HostSubscriber::new(WholePackage));
        if tracing_core::dispatcher::set_global_default(dispatch).is_err() {
            WholePackage.log(Level::Debug, "cloacina", "the package has its own tracing subscriber", "");
        }
        match log::set_logger(&LOGGER) {
            // The wanted level changes at any time, so the logger alone filters.
            Ok(()) => log::set_max_level(log::LevelFilter::Trace),
            Err(_) => WholePackage.log(Level::Debug, "cloacina", "the package has its own logger for `log`", ""),
        }
    });
}

fn current() -> Option<Arc<Package>> {
    lock(&PACKAGE).clone()
}

/// The data under a poisoned lock is always replaced as a whole, so it can still be used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None`, and a panic, is a refusal.
fn status_of<T>(run: impl FnOnce() -> Option<T>) -> i32 {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Some(_)) => STATUS_OK,
        Ok(None) | Err(_) => STATUS_REFUSED,
    }
}
