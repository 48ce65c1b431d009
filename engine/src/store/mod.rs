//! The store: everything that must survive the end of the process, in a SQLite file or a PostgreSQL database.
//!
//! ```text
//!   driver ──commits──▶ writer thread ──one transaction, one sync──▶ database
//!      ▲                    │
//!      └──── outcomes ──────┘          readers (own threads, own connections) ──▶ database
//! ```
//! - **Atomic**: a [`Commit`] is written whole or not at all, and its outcome is told only after the sync.
//! - **Fenced**: a commit for a run that another epoch owns changes nothing and is told so by name.
//! - **Once**: an attempt has one end; a second one changes nothing.
//! - **Stopped**: after a commit of a run failed, later commits of that run are refused, so no history has a hole. All
//!   of them are given back; a caller that hands them over again does so under a higher term, from the first one on.
//! - **Owned**: on a server several engines share a database. Each has an epoch with a lease; once that is over,
//!   another takes the runs over, and whatever the first still commits is fenced. The writer keeps the lease and gives
//!   a [`Sign`] when it is lost, or when somebody else's is.
//! - Expected conflicts are outcomes. An error of one commit never reaches the strangers in its group.
//!
//! The store decides nothing about runs; it writes what the core decided. Methods are named noun first.

mod account;
mod apart;
mod api_key;
mod archive;
mod audit;
mod backup;
mod commit;
mod commit_postgres;
mod commit_sqlite;
mod connection;
mod database;
mod delete;
mod dialect;
mod error;
mod event;
mod file;
mod handle;
mod host;
mod job;
mod lease;
mod library;
mod lock;
mod log;
mod log_queue;
mod mark;
mod migrate;
mod owner;
mod package;
mod package_change;
mod package_event;
mod package_search;
mod package_state;
mod postgres;
mod process;
mod program;
mod reader;
mod reconnect;
mod refresh;
mod retention;
mod row;
mod run;
mod sabotage;
pub(crate) mod schema;
mod search;
mod search_postgres;
mod search_sqlite;
mod signal;
mod statement;
mod trial;
mod trust;
mod usage;
mod view;
mod workflow;
mod workflow_search;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod delete_tests;
#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod host_tests;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod package_search_tests;
#[cfg(test)]
mod package_tests;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trust_tests;
#[cfg(test)]
mod usage_tests;
#[cfg(test)]
mod workflow_search_tests;

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::postgres::PgConnection;
#[cfg(not(any(test, feature = "testing")))]
pub(crate) use self::sabotage::Sabotage;
#[cfg(any(test, feature = "testing"))]
pub use self::sabotage::{DiskFull, Sabotage};
#[cfg(any(test, feature = "measuring"))]
pub(crate) use self::statement::Statement;
pub(crate) use self::{
    account::{
        AccountRow, EVERY_TENANT, TenantRow, account_disable_in_txn, account_get, account_has_other,
        account_insert_in_txn, account_is_any, account_list, account_password_set_in_txn, tenant_insert_in_txn,
        tenant_is_there, tenant_list,
    },
    apart::on_own_thread,
    api_key::{
        ApiKeyRow, api_key_get, api_key_insert_in_txn, api_key_is_named, api_key_list, api_key_revoke_in_txn,
        api_key_use_in_txn,
    },
    archive::{ArchiveRow, archive_get, archive_list, archive_of_package, signature_list},
    audit::{AuditRow, access_lock_in_txn, audit_insert_in_txn, audit_list, audit_list_from, audit_newest},
    commit::{Commit, NewRun, Outcome, RunUpdate},
    database::Database,
    delete::{log_delete_in_txn, removal_enlist_in_txn, removal_sweep_in_txn, workflow_delete_unused_in_txn},
    dialect::AnyConnection as Connection,
    event::{EventRow, Kind, event_list, event_list_from, event_payload_first, event_payload_list_with},
    handle::{Committer, Options, Store},
    host::{HostEnd, HostRow, HostSum, host_delete_in_txn, host_oldest, host_put_in_txn, host_sum},
    job::{JobError, JobResult},
    lease::{Sign, Signs},
    library::LibraryRow,
    lock::socket_find,
    log::{LogRow, LogSearch, log_list},
    log_queue::{Full, LogQueue},
    owner::{LEASE_DEFAULT, epoch_begin_in_txn, epoch_end_in_txn},
    package::{PackageRegistered, PackageRow, package_list, package_register_in_txn},
    package_change::{
        PackageChanged, PackageOrder, package_activate_in_txn, package_quarantine_in_txn, package_release_due_in_txn,
        package_release_in_txn, package_remove_in_txn, package_retire_in_txn, package_roll_back_in_txn,
    },
    package_event::{package_event_list, package_newest_change},
    package_search::{PackageFound, PackageSearch, package_find, package_search},
    refresh::{
        RefreshRow, refresh_account_delete_in_txn, refresh_expired_delete_in_txn, refresh_family_delete_in_txn,
        refresh_get, refresh_insert_in_txn, refresh_use_in_txn,
    },
    retention::{
        log_count_due, log_list_oldest, log_newest, retention_lock_in_txn, run_count_due, run_count_finished,
        run_list_oldest,
    },
    run::{
        Orphan, RunRow, TakenOver, run_by_key, run_claim, run_dismiss_in_txn, run_find, run_get, run_list_own,
        run_take_over,
    },
    search::{RunFound, RunSearch, run_search},
    signal::{RunSignal, RunSignals},
    trust::{
        RevokedRow, TrustEventRow, TrustKeyRow, trust_event_insert_in_txn, trust_event_list, trust_key_delete_in_txn,
        trust_key_insert_in_txn, trust_key_is_any, trust_key_list, trust_key_revoke_in_txn, trust_lock_in_txn,
        trust_newest_change, trust_required_get, trust_required_set_in_txn,
    },
    usage::{UsageEnd, UsageSearch, UsageSum, usage_count_runs, usage_list, usage_sum},
    view::{OwnerRow, View, owner_of_run, run_count_by_state, run_is_driven, run_list_neighbors},
    workflow::{
        WorkflowKey, WorkflowRow, workflow_ensure_in_txn, workflow_get, workflow_list, workflow_list_of,
        workflow_list_some,
    },
    workflow_search::{WorkflowFound, WorkflowSearch, workflow_search},
    writer::Answers,
};
pub use self::{
    backup::{Backup, BackupProgress},
    database::database_shown,
    error::{Error, NotOpened},
    package::{Activation, Quarantine},
    package_change::PackageRefusal,
    package_event::{PackageEvent, PackageEventKind},
    package_search::PackagePlace,
    package_state::{PackageAct, PackageState},
    trial::DatabaseTrial,
    trust::TrustEventKind,
    workflow_search::WorkflowPlace,
};
#[cfg(any(test, feature = "measuring"))]
pub(crate) use self::{
    connection::{file_settings, server_settings},
    database::Server,
    postgres::{Link, words},
};
