//! The C ABI between a package and the engine that loads it, version 1.
//!
//! ```text
//! host                                      package
//!   dlopen, cloacina_package_v1()  ───────►  &PackageV1 (metadata, init, start, cancel, shutdown)
//!   init(host table, config)       ───────►
//!   start(call 7, task 0, view)    ───────►  accepts, returns at once
//!                                  ◄───────  log(7, …), heartbeat(7, …), is_cancelled(7)   any thread
//!                                  ◄───────  secret(7, text), before it is used            any thread
//!                                  ◄───────  fetch(7, what, task, key), what is left out   any thread
//!   cancel(7)                      ───────►
//!                                  ◄───────  complete(7, result)                           any thread, exactly once
//!   shutdown(grace)                ───────►
//! ```
//! Rules. (1) `start` never waits for the task. (2) Neither side frees memory of the other: bytes are borrowed until
//! the call that passes them returns, and calls are numbers, so that a late completion is looked up and ignored.
//! (3) The major version is in the symbol's name; each struct starts with its size, fields are only added at the
//! end and are read only if they are inside of `size`. (4) Nothing unwinds across. The same definitions for C are in
//! `include/cloacina.h`; a test holds the two against each other.

mod call;
pub(crate) mod clock;
mod export;
mod flush;
mod remote;
mod table;

pub use self::{
    export::cloacina_package_v1,
    table::{
        ABI_MAJOR, ABI_MINOR, Bytes, CallResult, ENTRY_SYMBOL, ENTRY_SYMBOL_PREFIX, FEATURE_FETCH, FETCH_ABSENT,
        FETCH_ALL, FETCH_FOUND, FETCH_GONE, FETCH_KEYS, FETCH_TOO_LARGE, FETCH_UNKNOWN, FETCH_VALUE, FETCH_WRITER,
        HostV1, MetadataHeader, OUTPUT_DELTA, OUTPUT_WHOLE, PackageV1, STATUS_CANCELLED, STATUS_FAILED, STATUS_OK,
        STATUS_PANIC, STATUS_REFUSED, STATUS_RETRY, Start, Status, Take,
    },
};
