//! `cloacina-ctl runs …`: runs in a database.
//!
//! ```text
//! --database ── database ──> Records ── find (which run) ──> one file per verb ──> view (as shown) ──> output
//! ```
//! A command that only reads uses [`cloacina::Records`], which works with and without a running engine. What changes a run
//! asks the running engine through its socket, or is the database's engine for a moment (`engine`).

pub(crate) mod bulk;
pub(crate) mod context;
mod control;
mod create;
pub(crate) mod dead_letters;
pub(crate) mod delete;
mod engine;
pub(crate) mod events;
mod execute;
mod find;
mod follow;
mod leaves;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod moment;
mod patience;
mod short;
mod show;
pub(crate) mod usage;
pub(crate) mod view;
mod wait;
mod watch;
pub(crate) mod why;

pub(crate) use self::{
    context::context,
    control::{cancel, dismiss, fork, pause, rerun, retry},
    create::create,
    dead_letters::dead_letters,
    delete::delete,
    engine::{Drive, builder, drive, runtime, start_patiently, with_engine, with_idle_engine},
    events::events,
    execute::{execute, resume, start},
    find::find,
    follow::{Follow, follow},
    leaves::{leaves_skipped, note_skipped_leaves},
    list::list,
    logs::logs,
    patience::Patience,
    show::show,
    usage::usage,
    view::{between, exit_code, span, summary, task_table},
    wait::wait,
    watch::watch,
    why::{note_withheld, why},
};
