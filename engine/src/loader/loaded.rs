//! The safe façade: a library that this process has loaded, and one engine's hold on it.
//!
//! ```text
//! Library (one per engine and digest) ──► Loaded (one per process and digest, for ever)
//!   start, cancel, close                    functions, open calls, init and shutdown by turns
//! ```
//! `init` runs for the first engine that uses the library, `shutdown` when the last one closes it; `init` may follow. All
//! functions here may block, on code of the package; none may be called on a thread that others wait for.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use serde::Serialize;

use cloacina_packager::Digest;
use cloacina_workflow::{
    Level,
    abi::{Bytes, HostV1, PackageV1, Start, Status},
    descriptor::Descriptor,
};

use super::{
    Anomalies, Answer, Call, CallId, CallSink, Error, Hidden, LogLine, Question, Refused, TrustedFile, Unanswered,
    call::Calls,
    catalog::CATALOG,
    handshake::{self, Functions},
    host,
    inside::Inside,
    library::{self, Image},
};

/// What a package is told when it starts up.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct InitConfig {
    /// Threads for the package's own runtime.
    pub(crate) workers: u32,
    /// The most verbose level of log lines that anyone wants.
    #[serde(skip)]
    pub(crate) max_log_level: Level,
    /// Whether the process is there for this package alone.
    #[serde(skip)]
    pub(crate) has_own_process: bool,
}

/// The largest context that a call may carry; the same as for what comes back.
const PAYLOAD_BYTES_MAX: usize = super::output::OUTPUT_BYTES_MAX;

/// Loads the library in that file, unless this process has loaded the same before, and takes hold of it.
///
/// Blocks: reads and hashes the file, runs its constructors and its `init`. A failed `init` is tried again by the
/// next `open`.
pub(crate) fn open(file: &TrustedFile, expected: &Descriptor, config: InitConfig) -> Result<Arc<Library>, Error> {
    let (path, digest) = (file.path(), file.digest());
    handshake::check_descriptor(expected, config.has_own_process)?;
    let slot = CATALOG.slot(digest);
    let mut place = slot.loaded.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = match *place {
        Some(loaded) => {
            handshake::compare(&loaded.descriptor, expected)?;
            loaded
        }
        None => {
            let (image, table) = library::load(path, digest)?;
            // SAFETY: the table comes from the entry function of a library that stays mapped.
            let loaded = unsafe { shake_hands(Some(image), table, digest, expected)? };
            tracing::debug!(library = %digest, path = %path.display(), "loaded");
            *place.insert(loaded)
        }
    };
    drop(place);
    loaded.take_hold(config)
}

/// Makes a [`Loaded`] out of the table of a library, if the library is what it should be.
///
/// # Safety
/// As for [`handshake::read`], for the rest of the process.
pub(super) unsafe fn shake_hands(
    image: Option<Image>,
    table: *const PackageV1,
    digest: Digest,
    expected: &Descriptor,
) -> Result<&'static Loaded, Error> {
    // SAFETY: the caller promises what the function asks for.
    let (functions, descriptor) = unsafe { handshake::read(table)? };
    handshake::compare(&descriptor, expected)?;
    Ok(CATALOG.keep(|number| Loaded::new(number, image, functions, digest, descriptor)))
}

/// One engine's lease of a loaded library. [`Library::close`] ends it; dropping it closes without any grace.
///
/// A sink must not own the library that it gets calls of, or the package's own thread would shut the package down.
pub(crate) struct Library {
    loaded: &'static Loaded,
    lease: u64,
    closed: AtomicBool,
}

impl Library {
    /// The digest of the library's file.
    pub(crate) fn digest(&self) -> Digest {
        self.loaded.digest
    }

    /// What the library did against the rules so far, for all engines of this process.
    pub(crate) fn anomalies(&self) -> &'static Anomalies {
        &self.loaded.calls.anomalies
    }

    /// How many calls are open, for all engines of this process.
    pub(crate) fn n_open_calls(&self) -> usize {
        self.loaded.calls.len()
    }

    /// Starts a call. The sink hears of its end exactly once, unless the package breaks its promise and never
    /// completes; it may hear of it before this function returns. After an error the sink hears nothing.
    ///
    /// A function that the descriptor marks as blocking may run inside of this call.
    pub(crate) fn start(&self, call: Call, sink: Arc<dyn CallSink>) -> Result<CallId, Refused> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Refused::Closed);
        }
        let Loaded { functions, indices, calls, .. } = self.loaded;
        let Some(works_inside) = indices.get(&call.function) else {
            return Err(Refused::NoFunction { function: call.function, functions: indices.len() });
        };
        let id = CATALOG.next_call();
        let whole = match call.is_whole || functions.fetches {
            true => None,
            false => Some(whole(id, &*sink)?),
        };
        let payload = whole.as_ref().map_or(&*call.payload, Answer::bytes);
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Refused::TooLarge { max: PAYLOAD_BYTES_MAX });
        }
        self.loaded.keep_secrets(&*sink);
        calls.insert(id, self.lease, sink);
        let attempt_key = call.attempt_key();
        let start = Start {
            size: size_of_u32::<Start>(),
            task: call.function,
            call_id: id.number(),
            deadline_unix_ms: call.deadline_unix_ms,
            attempt: call.attempt,
            encoding: 0,
            context: Bytes::lend(payload),
            trace_parent: Bytes::lend(call.trace_parent.as_bytes()),
            idempotency_key: Bytes::lend(call.idempotency_key.as_bytes()),
            attempt_key: Bytes::lend(attempt_key.as_bytes()),
        };
        let inside = works_inside.then(|| Inside::begin(id));
        // SAFETY: the function is that of a mapped library, after its `init`; what it borrows lives until it returns.
        let status = unsafe { (functions.start)(&raw const start) };
        drop(inside);
        let refused = match Status::from_number(status) {
            Some(Status::Ok) => return Ok(id),
            Some(Status::Refused) => Refused::ByPackage,
            Some(_) | None => Refused::UnknownStatus { status },
        };
        match calls.take(id.number()) {
            Some(_) => Err(refused),
            None => {
                // The package completed the call and refused it. Its sink was told of the end, and that stands.
                if Anomalies::count(&calls.anomalies.refused_completions) {
                    tracing::warn!(library = %self.digest(), call = %id, "the package completed a call and then refused it");
                }
                Ok(id)
            }
        }
    }

    /// Asks a call to stop. Nothing happens if it has ended, or was made through another hold.
    pub(crate) fn cancel(&self, id: CallId) {
        if self.loaded.calls.cancel(self.lease, id) {
            self.loaded.ask_to_stop(id);
        }
    }

    /// Ends the lease. The last engine to do so shuts the package down and waits for that, up to `grace`; calls that end in
    /// that time reach their sinks. All other calls made through this hold are forgotten. Does nothing the second time.
    pub(crate) fn close(&self, grace: Duration) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.loaded.end_lease(self.lease, grace);
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Library").field("loaded", &self.loaded).field("lease", &self.lease).finish()
    }
}

/// A mapped library with a valid table.
pub(super) struct Loaded {
    digest: Digest,
    descriptor: Descriptor,
    functions: Functions,
    /// The functions by their index, and whether they may work inside of `start`.
    indices: BTreeMap<u32, bool>,
    calls: Calls,
    hidden: Hidden,
    /// Read by the package while this side writes it.
    max_log_level: &'static AtomicU32,
    host: HostTable,
    life: Mutex<Life>,
    /// Absent for tables that were compiled into this program, in tests.
    _image: Option<Image>,
}

/// The engines that use the library, and whether it is initialized.
#[derive(Debug, Default)]
struct Life {
    n_holders: usize,
    initialized: bool,
}

/// The host table at its final address.
struct HostTable(HostV1);

// SAFETY: the table is never written after it was made. Its `ctx` is a number, its level pointer goes to an atomic
// that lives as long as the process.
unsafe impl Sync for HostTable {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for HostTable {}

impl Loaded {
    pub(super) fn new(
        number: usize,
        image: Option<Image>,
        functions: Functions,
        digest: Digest,
        descriptor: Descriptor,
    ) -> Self {
        // The package keeps the level's address, so the level has one of its own that outlives every move of this.
        let max_log_level: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
        Self {
            digest,
            indices: handshake::indices(&descriptor),
            descriptor,
            functions,
            calls: Calls::default(),
            hidden: Hidden::default(),
            max_log_level,
            host: HostTable(host::table(number, max_log_level.as_ptr())),
            life: Mutex::default(),
            _image: image,
        }
    }

    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Remembers what must not be told of the run that made a call, if there is anything.
    pub(super) fn keep_secrets(&self, sink: &dyn CallSink) {
        if let Some(secrets) = sink.secrets() {
            self.hidden.keep(secrets);
        }
    }

    /// Counts the end of a call that is not open.
    pub(super) fn report_stale_completion(&self, call: u64) {
        let given = CATALOG.was_given(call);
        let anomalies = &self.calls.anomalies;
        if Anomalies::count(if given { &anomalies.stale_completions } else { &anomalies.unknown_completions }) {
            let what = if given { "a call that had ended before" } else { "a call that was never made" };
            tracing::warn!(library = %self.digest, call, "the package completed {what}; the completion is ignored");
        }
    }

    /// Writes a line that belongs to no open call: the package's own under number 0, others came too late.
    pub(super) fn log_without_call(&self, call: u64, line: &LogLine) {
        if call != 0 {
            Anomalies::count(&self.calls.anomalies.stray_reports);
            return;
        }
        let package = &self.descriptor.package;
        for LogLine { level, target, message, fields } in &self.hidden.lines(line) {
            match level {
                Level::Error => tracing::error!(package, module = target, fields, "{message}"),
                Level::Warn => tracing::warn!(package, module = target, fields, "{message}"),
                Level::Info => tracing::info!(package, module = target, fields, "{message}"),
                Level::Debug => tracing::debug!(package, module = target, fields, "{message}"),
                Level::Trace => tracing::trace!(package, module = target, fields, "{message}"),
            }
        }
    }

    /// Adds a holder, after `init` if it is the first one.
    pub(super) fn take_hold(&'static self, config: InitConfig) -> Result<Arc<Library>, Error> {
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        self.max_log_level.fetch_max(config.max_log_level.number(), Ordering::Relaxed);
        if !life.initialized {
            self.init(config)?;
            life.initialized = true;
        }
        life.n_holders += 1;
        Ok(Arc::new(Library { loaded: self, lease: CATALOG.next_lease(), closed: AtomicBool::new(false) }))
    }

    fn init(&'static self, config: InitConfig) -> Result<(), Error> {
        let config = serde_json::to_vec(&config).expect("invariant: a struct of numbers is always JSON");
        // SAFETY: the function is that of a mapped library which is not initialized; the host table lives as long as
        // the process, the bytes until the function returns.
        let status = unsafe { (self.functions.init)(&raw const self.host.0, Bytes::lend(&config)) };
        match Status::from_number(status) {
            Some(Status::Ok) => Ok(()),
            Some(status) => Err(Error::Init { status: format!("{status:?}").to_lowercase() }),
            None => Err(Error::Init { status: status.to_string() }),
        }
    }

    /// Removes a holder; shuts the package down after the last one.
    fn end_lease(&self, lease: u64, grace: Duration) {
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        life.n_holders = life.n_holders.saturating_sub(1);
        match self.functions.shutdown {
            Some(shutdown) if life.n_holders == 0 && life.initialized => {
                let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
                // SAFETY: the function is that of a mapped library which is initialized, and no engine uses it any longer.
                let status = unsafe { shutdown(grace_ms) };
                if Status::from_number(status) != Some(Status::Ok) {
                    tracing::warn!(library = %self.digest, status, "the package did not shut down cleanly");
                }
                life.initialized = false;
                self.max_log_level.store(0, Ordering::Relaxed);
            }
            // Others still use the package, or it has no way to shut down and stays initialized for the next holder.
            _ => {
                for id in self.calls.of_lease(lease).into_iter().filter(|id| self.calls.cancel(lease, *id)) {
                    self.ask_to_stop(id);
                }
            }
        }
        drop(life);
        let n_forgotten = self.calls.forget(lease);
        if n_forgotten > 0 {
            tracing::debug!(library = %self.digest, n_forgotten, "calls did not end before the engine unloaded the package");
        }
    }

    fn ask_to_stop(&self, id: CallId) {
        if let Some(cancel) = self.functions.cancel {
            // SAFETY: the function is that of a mapped library after its `init`, and takes any number.
            unsafe { cancel(id.number()) };
        }
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Loaded")
            .field("digest", &self.digest)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// The whole context of a call, for a package that asks for nothing later.
fn whole(id: CallId, sink: &dyn CallSink) -> Result<Answer, Refused> {
    match sink.fetch(id, &Question::All) {
        Ok(Some(whole)) => Ok(whole),
        Err(Unanswered::TooLarge) => Err(Refused::TooLarge { max: PAYLOAD_BYTES_MAX }),
        // The caller no longer waits for it.
        Ok(None) | Err(Unanswered::Gone | Unanswered::Unknown) => Err(Refused::Closed),
    }
}

fn size_of_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).expect("invariant: the structs of the ABI are a few dozen bytes long")
}
