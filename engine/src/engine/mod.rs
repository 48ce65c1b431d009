//! What an embedding program holds: the engine, the scheduler, and a handle for each run it looks at.
//!
//! Everything here is a thin layer over the runtime: it resolves names, turns arguments into events for the driver,
//! and turns what comes back into plain data. Nothing is decided here, and nothing here touches a run directly.

mod access;
mod again;
mod apart;
mod built_in;
mod control;
mod follow;
#[cfg(test)]
mod follow_tests;
mod handle;
mod hosts;
mod logs;
mod package_records;
mod packages;
mod prune;
mod records;
mod request;
mod resolve;
mod run_handle;
mod select;
mod submit;
mod usage;
mod workflow_records;

#[cfg(test)]
mod authoring_tests;
#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod logs_tests;
#[cfg(test)]
mod prune_tests;
#[cfg(test)]
mod records_tests;
#[cfg(test)]
mod secret_tests;
#[cfg(test)]
mod submit_tests;
#[cfg(test)]
mod tests;

pub(crate) use self::handle::{Shared, alive};
pub use self::{
    control::Waiting,
    follow::RunFollower,
    handle::{Builder, Engine, Scheduler},
    logs::{LogFilter, LogFollower},
    records::{Records, RunOwner},
    request::RunRequest,
    run_handle::RunHandle,
    usage::UsageFilter,
};
