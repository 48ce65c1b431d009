//! Runs packages in separate processes, so that a crash in a package cannot affect the engine.
//!
//! ```text
//! registry, runtime ──► Code ─┬─ Inline ──► loader::Library, in this process
//!         Choice: which ──┘   └─ Process ─► Pool ──► Child ══ socket ══ package host: sandbox, loader::Library
//!                                             └ keeper: what is due when     (the same program in another role)
//! ```
//! Both ways take the same calls, and tell the same sinks. Owns the processes: each is started, watched and reaped here,
//! and none outlives its engine, because the connection to the engine ends. Nothing here waits for a package on a
//! thread that others need, and every message of a package host is checked. It never decides what the
//! end of a call means for a run.

mod blocking_threads;
mod bounds;
mod calls;
mod child;
mod child_state;
mod choice;
mod code;
mod confined;
mod death;
mod error;
mod forward;
mod frame;
mod group;
mod holds;
mod identity;
mod inbox;
mod incident;
mod keeper;
mod lines;
mod needs;
mod observe;
mod outbox;
mod pool;
mod process;
mod program;
mod role;
mod roster;
mod sandbox;
mod scratch;
mod session;
mod setup;
mod shortage;
mod signed;
mod start;
mod stat;
mod stream;
mod tally;
mod watcher;

#[cfg(feature = "testing")]
pub(crate) use self::frame::{Bad, Direction, HEADER_BYTES, Taken, take};
pub(crate) use self::{
    choice::Choice,
    code::{Code, NotBegun},
    keeper::Keeper,
    pool::{CrashLoop, HostOptions, PackageHost},
    scratch::Scratch,
    tally::{End, Owner, Reading, Tally},
};
pub use self::{
    confined::Confined,
    error::Error,
    needs::{AllowedNeed, NotANeed, needs_of},
    program::{HostProgram, Isolation},
    role::package_host,
    sandbox::{Confinement, Limits, Sandbox},
};
