//! What makes the core's decisions happen: threads, channels and user code.
//!
//! ```text
//!   handles ──Event──▶ driver ──commits──▶ store's writer
//!                      ▲  │ ▲                   │
//!             Event::  │  │ └─ Event::Committed ┘
//!             Ended    │  ▼
//!                    task runners (own tokio runtime, blocking threads, packages)
//!
//!   services (another tokio runtime): quarantines and keys that end, accounts, packages of other engines
//! ```
//! - **Decide, commit, perform.** The driver is one thread that owns every run in memory. It turns events into
//!   decisions, hands their transitions to the store, and performs their effects when the store says that they are
//!   durable. Nothing else starts an attempt or ends a run.
//! - **Idle is idle.** Without events and due timers the driver is blocked on its queue.
//! - **Nothing stands still.** Whatever the engine owns has a next event or a timer: what the store refuses is handed
//!   over again, what cannot be read is read again, with pauses that get longer and are bounded.
//! - **User code never runs here.** Attempts run on threads of their own, and come back as one event each.
//!
//! Shutting down: no further task starts; attempts may finish until the deadline and are committed; what still runs
//! is recorded as interrupted and abandoned; then the store is closed and the lock given back, last of all.

mod active;
mod attempt;
mod call;
mod catalog;
mod commits;
mod context_view;
mod control;
mod defined;
mod dormant;
mod driver;
mod embedded;
mod event;
mod history;
mod jobs;
mod launch;
mod live;
mod load;
mod log;
mod notice;
mod ownership;
mod packaged;
mod prune;
mod pruned;
mod quarantine;
mod report;
mod runner;
mod secret;
mod services;
mod snapshot;
mod stall;
mod stop;
mod timer;
mod upkeep;
#[cfg(debug_assertions)]
mod watchdog;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    active::RunRecord,
    catalog::{Catalog, PlanError, Unresolved, Version, Workflow, plan, stored_version, stored_workflow},
    defined::DefinedRunner,
    embedded::EmbeddedRunner,
    event::{Action, Begin, Derived, Event, Inspected, NotSubmitted, Origin, Phase, Submission, SubmissionAnswer},
    history::{input_payload, reused_row},
    launch::{Config, Engine, launch},
    load::{load, records},
    notice::Board,
    packaged::{PackageVersion, PackagedRunner, Withheld},
    prune::{Next, Progress, ROWS_MAX, step_in_txn},
    pruned::pruned_report,
    runner::TaskRunner,
    secret::{Secrets, carry_over},
};
pub use self::{
    notice::{Notice, NoticeKind, Notices},
    secret::{SECRET_BYTES_MIN, SECRET_KEYS},
};
