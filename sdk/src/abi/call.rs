//! One call on the package's side: the link to the host, and the guard that completes it exactly once.
//!
//! Every call to the host holds the link open, so that a package which was shut down cannot reach a host that is gone.

use std::{
    ffi::c_void,
    fmt,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;
use tokio::sync::watch;

use super::{
    remote::Fetched,
    table::{
        Bytes, CallResult, FETCH_ABSENT, FETCH_FOUND, FETCH_GONE, HostV1, OUTPUT_DELTA, STATUS_CANCELLED,
        STATUS_FAILED, STATUS_OK, STATUS_PANIC, STATUS_RETRY,
    },
};
use crate::{Level, TaskError, attempt::AttemptEnd, context::Host};

/// The level that counts when the host names none.
const LEVEL_DEFAULT: u32 = Level::Info as u32;

/// A host searches for longer secrets in pieces of this length.
const SECRET_PIECE_BYTES: usize = 16 << 10;
/// A host need not search for longer texts.
const SECRET_BYTES_MAX: usize = 256 << 10;
/// A host need not take more pieces of secrets of one call.
const SECRETS_MAX: usize = 256;

/// The host, for as long as it may be called. Every call holds the read lock, so that closing the link waits for
/// the calls under way and nothing reaches a host that has shut the package down.
pub(super) struct HostLink {
    table: RwLock<Option<HostTable>>,
}

#[derive(Clone, Copy)]
struct HostTable(HostV1);

// SAFETY: the host promises that its functions may be called from any thread, with the ctx that it gave.
unsafe impl Send for HostTable {}
// SAFETY: as above; the table itself is a copy and never written.
unsafe impl Sync for HostTable {}

impl HostLink {
    /// Copies the table, which must be complete for this minor version.
    ///
    /// # Safety
    /// `host` is null or points to a host table that keeps the rules of the ABI until the link is closed.
    pub(super) unsafe fn open(host: *const HostV1) -> Option<Self> {
        if host.is_null() {
            return None;
        }
        // SAFETY: not null, and the first field of every table is its size.
        let size = unsafe { host.cast::<u32>().read() };
        if usize::try_from(size).ok()? < size_of::<HostV1>() {
            return None;
        }
        // SAFETY: the table is as large as the struct that is read.
        let table = unsafe { host.read() };
        Some(Self { table: RwLock::new(Some(HostTable(table))) })
    }

    /// Returns once no call to the host is under way; there will be none after it.
    pub(super) fn close(&self) {
        let mut table = self.table.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *table = None;
    }

    fn with<T>(&self, closed: T, call: impl FnOnce(&HostV1) -> T) -> T {
        let table = self.table.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        table.as_ref().map_or(closed, |table| call(&table.0))
    }

    /// The most verbose level that is wanted.
    pub(super) fn max_level(&self) -> u32 {
        self.with(0, |host| {
            if host.max_log_level.is_null() {
                return LEVEL_DEFAULT;
            }
            // SAFETY: not null, so by the ABI it points to a u32 that the host keeps; volatile as it may change.
            unsafe { host.max_log_level.read_volatile() }
        })
    }

    pub(super) fn log(&self, call_id: u64, level: Level, target: &str, message: &str, fields: &str) {
        let [target, message, fields] = [target, message, fields].map(|text| Bytes::lend(text.as_bytes()));
        self.with((), |host| {
            // SAFETY: the table is open, and the bytes outlive the call.
            unsafe { (host.log)(host.ctx, call_id, level.number(), target, message, fields) }
        });
    }

    fn heartbeat(&self, call_id: u64, permille: u32, note: &str) {
        self.with((), |host| {
            // SAFETY: the table is open, and the bytes outlive the call.
            unsafe { (host.heartbeat)(host.ctx, call_id, permille, Bytes::lend(note.as_bytes())) }
        });
    }

    fn secret(&self, call_id: u64, text: &str) {
        self.with((), |host| {
            // SAFETY: the table is open, and the bytes outlive the call.
            unsafe { (host.secret)(host.ctx, call_id, Bytes::lend(text.as_bytes())) }
        });
    }

    /// The answer of the host, nothing if there is no such value; or its status if it does not answer.
    pub(super) fn fetch(&self, call_id: u64, what: u32, task: &str, key: &str) -> Result<Option<Fetched>, i32> {
        let mut fetched: Option<Fetched> = None;
        let user = (&raw mut fetched).cast::<c_void>();
        let (task, key) = (Bytes::lend(task.as_bytes()), Bytes::lend(key.as_bytes()));
        let status = self.with(FETCH_GONE, |host| {
            // SAFETY: the table is open, the bytes outlive the call, and `user` is what `take` takes.
            unsafe { (host.fetch)(host.ctx, call_id, what, task, key, user, Some(take)) }
        });
        match status {
            FETCH_FOUND | FETCH_ABSENT => Ok(fetched),
            status => Err(status),
        }
    }

    fn is_cancelled(&self, call_id: u64) -> bool {
        self.with(true, |host| {
            // SAFETY: the table is open.
            unsafe { (host.is_cancelled)(host.ctx, call_id) != 0 }
        })
    }

    fn complete(&self, call_id: u64, result: &CallResult) {
        self.with((), |host| {
            // SAFETY: the table is open, and result and its bytes outlive the call.
            unsafe { (host.complete)(host.ctx, call_id, result) }
        });
    }
}

/// Copies what the host lends, so that no code of the package runs in between.
unsafe extern "C" fn take(user: *mut c_void, value: Bytes, writer: Bytes) {
    // SAFETY: the host lends the bytes until this returns.
    let value = unsafe { value.borrow() };
    // SAFETY: as above.
    let writer = unsafe { writer.borrow() };
    // SAFETY: the host passes on what `fetch` gave it, a place that is alive until that returns.
    let fetched = unsafe { &mut *user.cast::<Option<Fetched>>() };
    *fetched = Some(Fetched {
        value: value.unwrap_or_default().to_vec(),
        writer: String::from_utf8_lossy(writer.unwrap_or_default()).into_owned(),
    });
}

impl fmt::Debug for HostLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HostLink").finish_non_exhaustive()
    }
}

/// The host of the context of one call.
#[derive(Debug)]
pub(super) struct CallHost {
    link: Arc<HostLink>,
    call_id: u64,
    cancelled: watch::Receiver<bool>,
    /// How many pieces of secrets the host was told.
    n_secrets: AtomicUsize,
}

impl CallHost {
    pub(super) fn new(link: Arc<HostLink>, call_id: u64, cancelled: watch::Receiver<bool>) -> Self {
        Self { link, call_id, cancelled, n_secrets: AtomicUsize::new(0) }
    }
}

impl Host for CallHost {
    fn log(&self, level: Level, target: &str, message: &str, fields: &str) {
        if level.number() <= self.link.max_level() {
            self.link.log(self.call_id, level, target, message, fields);
        }
    }

    fn heartbeat(&self, permille: u32, note: &str) {
        self.link.heartbeat(self.call_id, permille, note);
    }

    fn secret(&self, text: &str) -> bool {
        self.link.secret(self.call_id, text);
        let n_pieces = text.len().div_ceil(SECRET_PIECE_BYTES);
        let n_secrets = self.n_secrets.fetch_add(n_pieces, Ordering::Relaxed) + n_pieces;
        n_secrets <= SECRETS_MAX && text.len() <= SECRET_BYTES_MAX
    }

    fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow() || self.link.is_cancelled(self.call_id)
    }
}

/// Completes a call exactly once: with its result, or when it is dropped without one.
pub(super) struct Completion {
    link: Arc<HostLink>,
    call_id: u64,
    done: bool,
    forget: fn(u64),
}

impl Completion {
    /// `forget` is told the call's number before the host is.
    pub(super) fn new(link: Arc<HostLink>, call_id: u64, forget: fn(u64)) -> Self {
        Self { link, call_id, done: false, forget }
    }

    pub(super) fn complete(mut self, end: AttemptEnd) {
        self.finish(end);
    }

    fn finish(&mut self, end: AttemptEnd) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        (self.forget)(self.call_id);
        let AttemptEnd { result, cpu } = end;
        // A call that took less than a nanosecond was measured nevertheless.
        let cpu_ns = cpu.map_or(0, |cpu| u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX).max(1));
        let output = result.and_then(|delta| serde_json::to_vec(&delta).map_err(TaskError::from));
        match output {
            Ok(json) => self.link.complete(self.call_id, &ok_result(&json, cpu_ns)),
            Err(error) => self.complete_with_error(&error, cpu_ns),
        }
    }

    fn complete_with_error(&self, error: &TaskError, cpu_ns: u64) {
        let record = error.to_record();
        let details = if record.details == Value::Null { String::new() } else { record.details.to_string() };
        let status = match error {
            TaskError::Cancelled { .. } => STATUS_CANCELLED,
            TaskError::Panicked { .. } => STATUS_PANIC,
            _ if record.retryable => STATUS_RETRY,
            _ => STATUS_FAILED,
        };
        let wait = record.retry_after.unwrap_or_default();
        let result = CallResult {
            status,
            retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
            retry_after_us: u64::try_from(wait.as_micros()).unwrap_or(u64::MAX),
            output: Bytes::lend(details.as_bytes()),
            error_code: Bytes::lend(record.kind.as_bytes()),
            error_message: Bytes::lend(record.message.as_bytes()),
            ..ok_result(&[], cpu_ns)
        };
        self.link.complete(self.call_id, &result);
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        let message = "the package was shut down before the task ended".to_owned();
        let error = match std::thread::panicking() {
            true => TaskError::Panicked { message: "a panic outside of the task's code".to_owned(), location: None },
            false => TaskError::Cancelled { message },
        };
        self.finish(AttemptEnd::unmeasured(error));
    }
}

fn ok_result(json: &[u8], cpu_ns: u64) -> CallResult {
    CallResult {
        size: size_of::<CallResult>() as u32,
        status: STATUS_OK,
        output_kind: OUTPUT_DELTA,
        retry_after_ms: 0,
        output: Bytes::lend(json),
        error_code: Bytes::EMPTY,
        error_message: Bytes::EMPTY,
        cpu_ns,
        retry_after_us: 0,
    }
}
