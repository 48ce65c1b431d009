//! What anyone may ask of an engine, and on whose behalf.
//!
//! Each handle to an engine or to its records acts for a [`Caller`]: a tenant, an actor and a role. What the caller may not
//! see is not there for the caller: a run of another tenant is unknown, as an id that was never given away. The short forms
//! of the library act for the tenant `public`.
//!
//! Queries are written against a connection, so that an engine answers on its readers what [`crate::Records`] answers
//! without an engine.

mod caller;
mod runs;

#[cfg(test)]
mod tests;

pub(crate) use self::runs::list;
pub use self::{
    caller::{Caller, Denied, Role},
    runs::{Page, RunFilter, RunPage},
};
pub use crate::view::{
    AttemptOutcome, Failure, Gate, GateHolder, GateTask, HostUsage, LogRecord, PackageRecord, PackageUsage, PrunedPart,
    RunEvent, RunReport, RunStatus, RunSummary, RunUsage, Skipped, TaskReport, TaskUsage, Usage, UsedCall, UsedTask,
    WorkflowRecord, WorkflowState,
};
