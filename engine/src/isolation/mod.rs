//! Runs packages in processes of their own, so that what they do to their process they do to nobody else.
//!
//! ```text
//! registry, runtime ──► Code ─┬─ Inline ──► loader::Library, in this process
//!         Choice: which ──┘   └─ Process ─► Pool ──► Child ══ socket ══ package host: sandbox, loader::Library
//!                                             └ keeper: what is due when     (the same program in another role)
//! ```
//! Both ways take the same calls, and tell the same sinks. Owns the processes: each is started, watched and reaped here,
//! and none outlives its engine, whose end it sees by the end of its connection. Nothing here waits for a package on a
//! thread that others need, and nothing that a package host sends is believed without a look. It never decides what the
//! end of a call means for a run.

mod bounds;
mod calls;
mod child;
mod child_state;
mod choice;
mod code;
mod confined;
mod crew;
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
mod look;
mod needs;
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
mod signed;
mod start;
mod stat;
mod strain;
mod stream;
mod tally;
mod watcher;

#[cfg(feature = "testing")]
pub(crate) use self::frame::{Bad, Direction, HEADER_BYTES, Taken, take};
pub(crate) use self::{
    choice::Choice,
    code::{Code, NotBegun},
    keeper::Keeper,
    pool::{Harm, HostOptions},
    scratch::Scratch,
    tally::{End, Owner, Reading, Tally},
};
pub use self::{
    confined::Confined,
    error::Error,
    needs::{AllowedNeed, NotANeed, needs_of},
    pool::PackageHost,
    program::{HostProgram, Isolation},
    role::package_host,
    sandbox::{Confinement, Limits, Sandbox},
};
