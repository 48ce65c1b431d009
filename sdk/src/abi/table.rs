//! The structs of the C ABI as Rust sees them: plain `repr(C)` data, with their layout asserted.
//!
//! Adding a field at the end raises [`ABI_MINOR`]; anything else needs a new symbol, `cloacina_package_v2`.

use std::{ffi::c_void, ptr, slice};

/// The major version, which is in the name of the exported symbol.
pub const ABI_MAJOR: u32 = 1;
/// The minor version: how many times fields were added.
pub const ABI_MINOR: u32 = 2;
/// The one function that a package exports.
pub const ENTRY_SYMBOL: &str = "cloacina_package_v1";
/// What the entry symbols of all major versions start with.
pub const ENTRY_SYMBOL_PREFIX: &str = "cloacina_package_v";

/// Completed; `output` holds what it produced.
pub const STATUS_OK: i32 = 0;
/// Failed, and another attempt may succeed.
pub const STATUS_RETRY: i32 = 1;
/// Failed permanently.
pub const STATUS_FAILED: i32 = 2;
/// Stopped because it was asked to.
pub const STATUS_CANCELLED: i32 = 3;
/// The task's code panicked.
pub const STATUS_PANIC: i32 = 4;
/// Not accepted: no such task, not initialized, or shutting down.
pub const STATUS_REFUSED: i32 = 5;

/// `output` is the whole new set of values; what is missing from it was removed.
pub const OUTPUT_WHOLE: u32 = 0;
/// `output` is a delta, `{"set":{…},"unset":[…]}`.
pub const OUTPUT_DELTA: u32 = 1;

/// `fetch`: the visible value of a key, or what a task wrote under it.
pub const FETCH_VALUE: u32 = 0;
/// `fetch`: whether a key has a visible value, and which task wrote it.
pub const FETCH_WRITER: u32 = 1;
/// `fetch`: the keys with a visible value, or those that a task wrote, as a JSON array.
pub const FETCH_KEYS: u32 = 2;
/// `fetch`: the whole context, as a package gets it that does not fetch.
pub const FETCH_ALL: u32 = 3;

/// `fetch` has called `take`.
pub const FETCH_FOUND: i32 = 1;
/// There is no such value.
pub const FETCH_ABSENT: i32 = 0;
/// The call is no longer known.
pub const FETCH_GONE: i32 = -1;
/// The requested value is larger than the limit of one call.
pub const FETCH_TOO_LARGE: i32 = -2;
/// The host does not know the question.
pub const FETCH_UNKNOWN: i32 = -3;

/// In `features`: the package fetches values that its contexts leave out.
pub const FEATURE_FETCH: u64 = 1;

/// Takes what `fetch` found: JSON, and the task that wrote it, which is empty for the run's input. Both are lent until it
/// returns.
pub type Take = unsafe extern "C" fn(user: *mut c_void, value: Bytes, writer: Bytes);

/// A status code with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// [`STATUS_OK`].
    Ok,
    /// [`STATUS_RETRY`].
    Retry,
    /// [`STATUS_FAILED`].
    Failed,
    /// [`STATUS_CANCELLED`].
    Cancelled,
    /// [`STATUS_PANIC`].
    Panic,
    /// [`STATUS_REFUSED`].
    Refused,
}

impl Status {
    /// The status with that number, unless there is none.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            STATUS_OK => Some(Self::Ok),
            STATUS_RETRY => Some(Self::Retry),
            STATUS_FAILED => Some(Self::Failed),
            STATUS_CANCELLED => Some(Self::Cancelled),
            STATUS_PANIC => Some(Self::Panic),
            STATUS_REFUSED => Some(Self::Refused),
            _ => None,
        }
    }
}

/// `clcn_bytes`: bytes of the other side, valid until the call returns.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Bytes {
    /// May be null when `len` is 0.
    pub ptr: *const u8,
    /// Length in bytes.
    pub len: usize,
}

impl Bytes {
    /// No bytes.
    pub const EMPTY: Self = Self { ptr: ptr::null(), len: 0 };

    /// Lends a slice to the other side for the time of one call.
    #[must_use]
    pub const fn lend(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// The bytes, for as long as the other side lends them. Null, or a length that no allocation can have, is `None`.
    ///
    /// # Safety
    /// Unless null or empty, `ptr` points to `len` readable bytes that stay unchanged for `'a`.
    #[must_use]
    pub unsafe fn borrow<'a>(self) -> Option<&'a [u8]> {
        if self.len == 0 {
            return Some(&[]);
        }
        if self.ptr.is_null() || isize::try_from(self.len).is_err() {
            return None;
        }
        // SAFETY: not null, of a possible length, and readable for 'a by the caller's promise.
        Some(unsafe { slice::from_raw_parts(self.ptr, self.len) })
    }
}

/// `clcn_result`: how an attempt ended.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CallResult {
    /// `sizeof(clcn_result)` of the package.
    pub size: u32,
    /// One of the `STATUS_` numbers.
    pub status: i32,
    /// [`OUTPUT_WHOLE`] or [`OUTPUT_DELTA`].
    pub output_kind: u32,
    /// With [`STATUS_RETRY`]: the requested wait, 0 for none. Not read if `retry_after_us` is set.
    pub retry_after_ms: u32,
    /// JSON: the output, or the details of an error.
    pub output: Bytes,
    /// With an error: its kind.
    pub error_code: Bytes,
    /// With an error: what happened.
    pub error_message: Bytes,
    /// Since 1.1: the CPU time of the call in nanoseconds, 0 if it was not measured.
    pub cpu_ns: u64,
    /// Since 1.2, with [`STATUS_RETRY`]: the requested wait in microseconds; 0 if `retry_after_ms` counts.
    pub retry_after_us: u64,
}

impl CallResult {
    /// How large the struct was in version 1.0, which is the least that a package may send.
    pub const SIZE_MIN: usize = std::mem::offset_of!(Self, cpu_ns);
    /// How large it was in each version that added to it.
    pub const SIZES: [usize; 3] = [Self::SIZE_MIN, std::mem::offset_of!(Self, retry_after_us), size_of::<Self>()];
}

/// `clcn_host_v1`: the functions that the host provides to a package. Valid, and at the same address, until `shutdown` returned.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HostV1 {
    /// `sizeof(clcn_host_v1)` of the host.
    pub size: u32,
    /// The host's minor version.
    pub abi_minor: u32,
    /// Passed as the first argument of every function.
    pub ctx: *mut c_void,
    /// The most verbose level that is wanted, 0 to 5; changes at any time.
    pub max_log_level: *const u32,
    /// Ends a call; exactly once per accepted `start`, from any thread.
    pub complete: unsafe extern "C" fn(ctx: *mut c_void, call_id: u64, result: *const CallResult),
    /// Takes a log line; call 0 is the package itself.
    pub log: unsafe extern "C" fn(
        ctx: *mut c_void,
        call_id: u64,
        level: u32,
        target: Bytes,
        message: Bytes,
        fields_json: Bytes,
    ),
    /// Takes a heartbeat.
    pub heartbeat: unsafe extern "C" fn(ctx: *mut c_void, call_id: u64, permille: u32, note: Bytes),
    /// 1 if the call was asked to stop, or is not known to the host.
    pub is_cancelled: unsafe extern "C" fn(ctx: *mut c_void, call_id: u64) -> i32,
    /// Since 1.1: takes a secret, which is redacted for the call's run from when this returns.
    pub secret: unsafe extern "C" fn(ctx: *mut c_void, call_id: u64, text: Bytes),
    /// Since 1.2: gives a value of the call's context to `take`, before it returns. May wait for the engine.
    pub fetch: unsafe extern "C" fn(
        ctx: *mut c_void,
        call_id: u64,
        what: u32,
        task: Bytes,
        key: Bytes,
        user: *mut c_void,
        take: Option<Take>,
    ) -> i32,
}

/// `clcn_start`: one attempt.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Start {
    /// `sizeof(clcn_start)` of the host.
    pub size: u32,
    /// Index of the task or callback in the merged descriptor.
    pub task: u32,
    /// The call's number, never 0, never used twice in a process.
    pub call_id: u64,
    /// When the attempt reaches its timeout, in Unix milliseconds; 0 for never.
    pub deadline_unix_ms: u64,
    /// Counts from 1.
    pub attempt: u32,
    /// Encoding of `context`; 0 is JSON, the only one so far.
    pub encoding: u32,
    /// The context of the task.
    pub context: Bytes,
    /// W3C `traceparent`, or empty.
    pub trace_parent: Bytes,
    /// The same for all attempts at this task of this run, whichever engine makes them; a callback has its own.
    pub idempotency_key: Bytes,
    /// Since 1.2: a different key for each attempt.
    pub attempt_key: Bytes,
}

impl Start {
    /// How large the struct was in version 1.0, which is the least that a host may send.
    pub const SIZE_MIN: usize = std::mem::offset_of!(Self, attempt_key);
}

/// `clcn_metadata`: the header of a record in the section `cloacina`; `json_len` bytes of JSON follow.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MetadataHeader {
    /// `CLCNPKG1`.
    pub magic: [u8; 8],
    /// Version of the JSON's schema.
    pub format: u32,
    /// Bytes of JSON that follow.
    pub json_len: u32,
}

/// `clcn_package_v1`: the functions of a package. Valid and unchanged for the life of the process.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct PackageV1 {
    /// `sizeof(clcn_package_v1)` of the package.
    pub size: u32,
    /// The minor version that the package was built against.
    pub abi_minor: u32,
    /// All records of the package, as in its section.
    pub metadata: Bytes,
    /// Called before anything else, again only after `shutdown`. 0 on success.
    pub init: Option<unsafe extern "C" fn(host: *const HostV1, config_json: Bytes) -> i32>,
    /// Accepts an attempt (0) or refuses it; returns at once unless the task is marked as blocking.
    pub start: Option<unsafe extern "C" fn(start: *const Start) -> i32>,
    /// Asks a call to stop; unknown calls are ignored. May be absent.
    pub cancel: Option<unsafe extern "C" fn(call_id: u64)>,
    /// Ends all calls within that time and frees the resources of `init`. 0 on success. May be absent.
    pub shutdown: Option<unsafe extern "C" fn(grace_ms: u32) -> i32>,
    /// Since 1.2: the features of the package; [`FEATURE_FETCH`].
    pub features: u64,
}

impl PackageV1 {
    /// How large the struct was in version 1.0, which is the least that a package may have.
    pub const SIZE_MIN: usize = std::mem::offset_of!(Self, features);
}

// SAFETY: the table is read-only data; its pointers go to statics and functions of the library, which stays mapped.
unsafe impl Sync for PackageV1 {}
// SAFETY: as above, and nothing in it belongs to a thread.
unsafe impl Send for PackageV1 {}

/// Layouts are a promise: these are the numbers that `cloacina.h` has on every 64-bit target.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Bytes>() == 16);
    assert!(size_of::<CallResult>() == 80 && CallResult::SIZE_MIN == 64);
    assert!(size_of::<HostV1>() == 72);
    assert!(size_of::<Start>() == 96 && Start::SIZE_MIN == 80);
    assert!(size_of::<MetadataHeader>() == 16);
    assert!(size_of::<PackageV1>() == 64 && PackageV1::SIZE_MIN == 56);
    assert!(align_of::<Start>() == 8 && align_of::<PackageV1>() == 8);
};
