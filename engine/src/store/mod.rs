//! The store: everything that must survive the end of the process, in one SQLite file.
//!
//! ```text
//!   driver ──commits──▶ writer thread ──one transaction, one sync──▶ file
//!      ▲                    │
//!      └──── outcomes ──────┘          readers (own threads, own connections) ──▶ file
//! ```
//! - **Atomic**: a [`Commit`] is written whole or not at all, and its outcome is told only after the sync.
//! - **Fenced**: a commit for a run that another epoch owns changes nothing and is told so by name.
//! - **Once**: an attempt has one end; a second one changes nothing.
//! - **Stopped**: after a commit of a run failed, later commits of that run are refused, so no history has a hole.
//! - Expected conflicts are outcomes. An error of one commit never reaches the strangers in its group.
//!
//! The store decides nothing about runs; it writes what the core decided. Methods are named noun first.

mod commit;
mod connection;
mod error;
mod event;
mod handle;
mod lock;
mod migrate;
mod package;
mod reader;
mod row;
mod run;
pub(crate) mod schema;
mod setting;
mod view;
mod workflow;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    commit::{Commit, NewRun, Outcome, RunUpdate},
    connection::{Connection, database_path},
    event::{EventRow, Kind, event_list},
    handle::{Committer, Options, Store},
    lock::owner_find,
    package::{
        PackageRegistered, PackageRow, PackageUnregistered, package_list, package_register_in_txn,
        package_unregister_in_txn,
    },
    run::{RunRow, run_by_key, run_dismiss_in_txn, run_get, run_list, run_list_failed, run_take_over},
    setting::{Ownership, epoch_begin_in_txn, epoch_close_in_txn},
    view::{RunSearch, run_count_completed, run_search, view_open},
    workflow::{WorkflowKey, WorkflowRow, workflow_ensure_in_txn, workflow_get, workflow_list},
    writer::Answers,
};
pub use self::{error::Error, package::PackageState};
