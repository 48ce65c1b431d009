//! Loads the library of a package and calls its functions: the host's side of the C ABI.
//!
//! ```text
//! registry, runtime ──► Library (loaded) ──► Loaded ──► functions of the package
//!                           │ catalog: digest → Loaded       │
//!                       CallSink ◄── Calls, by number ◄── host table: complete, log, heartbeat, is_cancelled, secret
//! ```
//! Owns every `unsafe` block of the engine but those of its benchmarks; `process` has those few that the system's own
//! interface needs. The others are sound on two grounds. What the engine can check, it checks: the file's digest before it is mapped; null, alignment, size and length of everything that a package
//! hands over; the metadata against what was registered; call numbers and the host's `ctx`, which are looked up in
//! tables and never dereferenced. What remains (that pointers to readable memory are what they claim to be, that
//! functions have the declared signature) is the package's promise in `cloacina.h`: native code inside the process
//! is trusted to that degree, and a user who does not trust it runs it in a child process.
//!
//! Invariants: a library is mapped once per digest and never unmapped, because thread-local destructors and threads
//! of its own may point into it for as long as the process lives; so `&'static` to its tables is honest. Nothing
//! unwinds into a package. No lock is held while code of a package or a sink runs, but for the one that keeps
//! `init` and `shutdown` of one library apart. It never decides what a result means for a run.

#![expect(unsafe_code, reason = "the C ABI is called here and nowhere else in the engine")]

mod call;
mod catalog;
mod error;
mod fetch;
mod file;
mod handshake;
mod hidden;
mod host;
mod inside;
mod lazy;
mod library;
mod loaded;
mod output;
mod probe;
mod process;
mod refused;

#[cfg(test)]
pub(crate) mod tests;

#[cfg(any(feature = "testing", feature = "measuring"))]
pub(crate) use self::library::map_for_good;
pub(crate) use self::{
    call::{Anomalies, Call, CallId, CallResult, CallSink, Hide, LogLine, Refused, Usage, attempt_key},
    error::with_causes,
    fetch::{Answer, AnswerText, Question, Unanswered},
    file::TrustedFile,
    handshake::check_descriptor,
    hidden::Hidden,
    lazy::{LazyLibrary, Ready},
    loaded::{InitConfig, Library, open},
    output::{
        Bad, CONTINUED, FIELDS_BYTES_MAX, LINE_BYTES_MAX, LINE_SENT_MAX, MESSAGE_BYTES_MAX, MESSAGE_SENT_MAX,
        NAME_BYTES_MAX, NAME_SENT_MAX, OUTPUT_BYTES_MAX, SECRET_BYTES_MAX, Sent, cut, fields, pieces, redacted, text,
        validate,
    },
    process::{CpuClock, Reaped, close_others, exit_at_once, flush_stdout, peer_process, reap},
    refused::{note_refused_calls, refused_calls},
};
pub use self::{
    error::{Error, TableProblem},
    probe::{CallEnd, HostCall, Probe, ProbeCall, StructSize},
};
