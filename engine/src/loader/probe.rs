//! A library taken by the hand: called in ways in which an engine never calls one, to see whether it keeps the rules.
//!
//! ```text
//! test ──────────► Probe ── init, start, cancel, shutdown ──► the library
//!                    └──◄── HostCall: everything that the library says to the host, in order
//! ```
//! For the conformance tool alone. A library that breaks its promises may take the process along, so a probe belongs
//! into a process of its own; there is one probe per process, because the functions of the host have nothing else by
//! which to find the receiver. The arguments of a package are checked as in `host`, with the same code. Whatever the
//! probe lends is written over when the call that lent it has returned, so that a package that keeps it is found out.

use std::{
    collections::BTreeSet,
    ffi::c_void,
    fs, mem,
    path::Path,
    ptr,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::{
    abi::{ABI_MINOR, Bytes, CallResult as SentResult, FETCH_ABSENT, HostV1, Start, Take},
    descriptor::Descriptor,
};
use rustix::time::{ClockId, clock_gettime};

use super::{
    CallResult, Error,
    handshake::{self, Functions},
    host,
    library::{self, Image},
    output::{self, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, Sent},
};

/// What is handed back as the first argument of every function of the host; never followed.
const CONTEXT: usize = 0xc10a;
/// Entries beyond this are dropped, unless they are completions: a package that talks for ever fills no memory.
const CALLS_MAX: usize = 20_000;
/// What lent bytes are after the call that lent them.
const SCRIBBLE: u8 = 0xa5;

static RECORDER: Recorder = Recorder { calls: Mutex::new(Vec::new()), changed: Condvar::new() };
static IS_TAKEN: AtomicBool = AtomicBool::new(false);
static MAX_LOG_LEVEL: AtomicU32 = AtomicU32::new(0);
/// The calls that were asked to stop.
static CANCELLED: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// What a package said to the host.
#[derive(Clone, Debug, PartialEq)]
pub enum HostCall {
    /// It ended a call.
    Completed { call: u64, end: CallEnd },
    /// It said of a call that it used up more processor time than the whole process had.
    Overstated { call: u64, said: Duration, spent: Duration },
    /// It wrote a log line.
    Log { call: u64, level: u32, message: String, problem: Option<&'static str> },
    /// It named a text that must not be told.
    Secret { call: u64 },
    /// It gave a sign of life.
    Heartbeat { call: u64, permille: u32 },
    /// It called a function of the host with another context than it was given.
    WrongContext,
    /// `start` returned. Said by the probe itself.
    Answered { call: u64, status: i32 },
    /// `shutdown` returned. Said by the probe itself, so that what follows can be told from what came before.
    ShutDown,
}

/// How a package ended a call, as an engine would take it.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEnd {
    /// It is done, and what it gave back can be read.
    Done,
    /// It failed, with its code and its message.
    Failed { kind: String, message: String },
    /// It stopped because it was asked to.
    Cancelled,
    /// The end that it sent is not valid; the code tells why.
    Bad { code: &'static str, message: String },
}

/// How large a struct is that the package is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructSize {
    /// As in this version.
    Exact,
    /// With fields that a later version might have added.
    Longer,
    /// With nothing but its size and the field after it.
    Shorter,
}

/// One call, as it is made.
#[derive(Clone, Copy, Debug)]
pub struct ProbeCall<'a> {
    /// The index of the task or callback.
    pub task: u32,
    /// The number of the call.
    pub call: u64,
    /// How the context is encoded; 0 is JSON.
    pub encoding: u32,
    /// The context.
    pub context: &'a [u8],
    /// How large the struct says that it is.
    pub size: StructSize,
}

/// A library that is loaded and not yet initialized.
#[derive(Debug)]
pub struct Probe {
    functions: Functions,
    _image: Image,
}

/// A struct of the ABI, and what a later version might have after it.
#[repr(C)]
struct Longer<T> {
    known: T,
    later: [u64; 8],
}

struct Recorder {
    calls: Mutex<Vec<HostCall>>,
    changed: Condvar,
}

impl Probe {
    /// Loads the library and checks its table as an engine does. Runs its constructors.
    ///
    /// # Errors
    /// Those of loading: [`Error`] says which rule the library breaks.
    ///
    /// # Panics
    /// When the process has a probe already.
    pub fn load(path: &Path, expected: &Descriptor) -> Result<Self, Error> {
        assert!(!IS_TAKEN.swap(true, Ordering::AcqRel), "a process has one probe");
        let bytes = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let (image, table) = library::load(path, Digest::of(&bytes))?;
        // SAFETY: the table comes from the entry function of a library that stays mapped.
        let (functions, descriptor) = unsafe { handshake::read(table)? };
        handshake::compare(&descriptor, expected)?;
        Ok(Self { functions, _image: image })
    }

    /// Calls `init` with a host of that size; returns what it answered.
    pub fn init(&self, size: StructSize, config_json: &[u8]) -> i32 {
        let known = HostV1 {
            size: size_of_struct::<HostV1>(size),
            abi_minor: if size == StructSize::Longer { ABI_MINOR + 1 } else { ABI_MINOR },
            ctx: ptr::without_provenance_mut(CONTEXT),
            max_log_level: MAX_LOG_LEVEL.as_ptr(),
            complete,
            log,
            heartbeat,
            is_cancelled,
            secret,
            fetch,
        };
        // The package may use the table for as long as the process lives.
        let host = Box::leak(Box::new(Longer { known, later: [u64::MAX; 8] }));
        let mut config = config_json.to_vec();
        // SAFETY: the function is that of a mapped library; the table is never freed, the bytes live until it returns.
        let status = unsafe { (self.functions.init)(&raw const host.known, Bytes::lend(&config)) };
        config.fill(SCRIBBLE);
        status
    }

    /// Calls `start`; returns what it answered. Runs the task inside, if the package does so.
    pub fn start(&self, call: ProbeCall<'_>) -> i32 {
        let (mut context, mut key) = (call.context.to_vec(), b"conformance".to_vec());
        let mut attempt_key = b"conformance/1".to_vec();
        let is_short = call.size == StructSize::Shorter;
        let known = Start {
            size: size_of_struct::<Start>(call.size),
            task: call.task,
            // Nothing is outside of the size: a reader that ignores it gets a call that was never made.
            call_id: if is_short { 0 } else { call.call },
            deadline_unix_ms: 0,
            attempt: u32::from(!is_short),
            encoding: call.encoding,
            context: Bytes::lend(&context),
            trace_parent: Bytes::EMPTY,
            idempotency_key: Bytes::lend(&key),
            attempt_key: Bytes::lend(&attempt_key),
        };
        let mut start = Box::new(Longer { known, later: [u64::MAX; 8] });
        // SAFETY: the function is that of a mapped library after its `init`; what it borrows lives until it returns.
        let status = unsafe { (self.functions.start)(&raw const start.known) };
        context.fill(SCRIBBLE);
        key.fill(SCRIBBLE);
        attempt_key.fill(SCRIBBLE);
        let scribbled = u32::from_ne_bytes([SCRIBBLE; 4]);
        start.known.call_id = u64::from_ne_bytes([SCRIBBLE; 8]);
        (start.known.task, start.known.attempt) = (scribbled, scribbled);
        // What is written to memory that is freed at once would be left out otherwise.
        std::hint::black_box((&start, &context, &key, &attempt_key));
        RECORDER.record(HostCall::Answered { call: call.call, status });
        status
    }

    /// Asks a call to stop; whether the package has a function for it.
    pub fn cancel(&self, call: u64) -> bool {
        CANCELLED.lock().unwrap_or_else(PoisonError::into_inner).insert(call);
        if let Some(cancel) = self.functions.cancel {
            // SAFETY: the function is that of a mapped library after its `init`, and takes any number.
            unsafe { cancel(call) };
        }
        self.functions.cancel.is_some()
    }

    /// Shuts the package down; returns what it answered, or nothing if it has no such function.
    pub fn shutdown(&self, grace: Duration) -> Option<i32> {
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: the function is that of a mapped library after its `init`.
        let status = self.functions.shutdown.map(|shutdown| unsafe { shutdown(grace_ms) });
        RECORDER.record(HostCall::ShutDown);
        status
    }

    /// Sets the most verbose level of log lines that anyone wants, 0 to 5.
    pub fn want_logs(&self, level: u32) {
        MAX_LOG_LEVEL.store(level, Ordering::Relaxed);
    }

    /// Everything that was calls so far.
    pub fn host_calls(&self) -> Vec<HostCall> {
        RECORDER.lock().clone()
    }

    /// Waits until it is enough, or the time is over; returns everything that was calls.
    pub fn wait(&self, patience: Duration, is_enough: impl Fn(&[HostCall]) -> bool) -> Vec<HostCall> {
        let waited = RECORDER.changed.wait_timeout_while(RECORDER.lock(), patience, |calls| !is_enough(calls));
        let (calls, _) = waited.unwrap_or_else(PoisonError::into_inner);
        calls.clone()
    }
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Vec<HostCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, said: HostCall) {
        let mut calls = self.lock();
        if calls.len() < CALLS_MAX
            || matches!(said, HostCall::Completed { .. } | HostCall::Answered { .. } | HostCall::ShutDown)
        {
            calls.push(said);
            self.changed.notify_all();
        }
    }
}

fn size_of_struct<T>(size: StructSize) -> u32 {
    let bytes = match size {
        StructSize::Exact => mem::size_of::<T>(),
        StructSize::Longer => mem::size_of::<Longer<T>>(),
        StructSize::Shorter => 8,
    };
    u32::try_from(bytes).expect("invariant: the structs of the ABI are a few dozen bytes long")
}

/// Records a call of the host, unless its context is not the one that was given.
fn enter(ctx: *mut c_void, said: impl FnOnce() -> HostCall) {
    RECORDER.record(if ctx.addr() == CONTEXT { said() } else { HostCall::WrongContext });
}

unsafe extern "C" fn complete(ctx: *mut c_void, call: u64, result: *const SentResult) {
    enter(ctx, || {
        // SAFETY: the package promises that a result which is neither null nor misaligned is one, until we return.
        let sent = unsafe { host::read(result) };
        let spent = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or(Duration::MAX);
        if let Some(said) = sent.as_ref().ok().and_then(Sent::cpu).filter(|said| *said > spent) {
            RECORDER.record(HostCall::Overstated { call, said, spent });
        }
        let end = match sent.and_then(|sent| output::validate(&sent)) {
            Ok(CallResult::Completed(_)) => CallEnd::Done,
            Ok(CallResult::Failed { error, .. }) => {
                CallEnd::Failed { kind: error.kind().to_owned(), message: error.message() }
            }
            Ok(CallResult::Cancelled(_)) => CallEnd::Cancelled,
            // Said of processes alone, never of what a package sent.
            Ok(CallResult::Lost { reason }) => CallEnd::Failed { kind: "lost".to_owned(), message: reason },
            Ok(CallResult::Withheld(error)) => {
                CallEnd::Failed { kind: "withheld".to_owned(), message: error.message() }
            }
            Err(bad) => CallEnd::Bad { code: bad.code(), message: bad.to_string() },
        };
        HostCall::Completed { call, end }
    });
}

unsafe extern "C" fn log(ctx: *mut c_void, call: u64, level: u32, target: Bytes, message: Bytes, fields: Bytes) {
    enter(ctx, || {
        // SAFETY: the package lends the bytes until we return.
        let target = unsafe { target.borrow() };
        // SAFETY: as above.
        let message = unsafe { message.borrow() };
        // SAFETY: as above.
        let fields = unsafe { fields.borrow() };
        let problem = match (target, message, fields) {
            (Some(_), Some(_), Some(fields)) if output::is_object_or_empty(fields) => None,
            (Some(_), Some(_), Some(_)) => Some("its fields are not a JSON object"),
            _ => Some("its text has no address but a length"),
        };
        let message = output::text(message.unwrap_or_default(), MESSAGE_BYTES_MAX.min(NAME_BYTES_MAX));
        HostCall::Log { call, level, message, problem }
    });
}

unsafe extern "C" fn heartbeat(ctx: *mut c_void, call: u64, permille: u32, _note: Bytes) {
    enter(ctx, || HostCall::Heartbeat { call, permille });
}

unsafe extern "C" fn secret(ctx: *mut c_void, call: u64, _text: Bytes) {
    enter(ctx, || HostCall::Secret { call });
}

/// Contexts are passed whole, so there is nothing that could be asked for.
unsafe extern "C" fn fetch(
    _ctx: *mut c_void,
    _call: u64,
    _what: u32,
    _task: Bytes,
    _key: Bytes,
    _user: *mut c_void,
    _take: Option<Take>,
) -> i32 {
    FETCH_ABSENT
}

unsafe extern "C" fn is_cancelled(_ctx: *mut c_void, call: u64) -> i32 {
    i32::from(CANCELLED.lock().unwrap_or_else(PoisonError::into_inner).contains(&call))
}
