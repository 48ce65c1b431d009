//! What anyone may ask of an engine, and on whose behalf.
//!
//! Each handle to an engine or to its records acts for a [`Caller`]: a tenant, an actor and a role. What the caller may not
//! see is not there for the caller: a run of another tenant is unknown, as an id that was never given away. The short forms
//! of the library act for the tenant `public`.
//!
//! Queries are written against a connection, so that an engine answers on its readers what [`crate::Records`] answers
//! without an engine.

mod caller;
mod packages;
mod page;
mod runs;
mod workflow_list;
mod workflows;

#[cfg(test)]
mod tests;

pub use self::{
    caller::{Caller, Denied, Role},
    packages::{PackageFilter, PackageList},
    page::Page,
    runs::{RunFilter, RunPage},
    workflow_list::{WorkflowFilter, WorkflowList},
};
pub(crate) use self::{
    packages::list as list_packages,
    page::{all, wait_for_all},
    runs::{count_by_state, list},
    workflow_list::list as list_workflows,
    workflows::Briefs,
};
pub use crate::store::{PackagePlace, WorkflowPlace};
pub use crate::view::{
    AccountRecord, ApiKeyRecord, AttemptOutcome, AuditCheck, AuditRecord, Failure, Gate, GateHolder, GateInWords,
    GateTask, HostUsage, KeyRecord, LogRecord, PackageAnswer, PackageHost, PackageRecord, PackageRunning, PackageUsage,
    PackageWarning, PruneCount, PrunePlan, Pruned, PrunedPart, Registration, Revoked, RunContext, RunEvent, RunReport,
    RunStatus, RunSummary, RunUsage, Skipped, SkippedTask, TaskReport, TaskUsage, TenantRecord, TrustChanged,
    TrustEvent, TrustRecord, Usage, UsedCall, UsedTask, WaitingTask, Why, WorkflowRecord, WorkflowReport,
    WorkflowState,
};
