//! What is shown of runs, tasks, packages, workflows, trust, retention and access.
//!
//! Each of these types is the only one of its kind: the library returns it, the socket sends it, and the command line prints
//! it as JSON. A field is declared once, here, together with its name in JSON and its meaning. The types are plain data: a
//! view is filled by the module that knows the data, and nothing is decided from a view.
//!
//! The JSON follows four rules. A field without a value is absent, never null. A list or a map is always there, be it empty.
//! A moment is a text as RFC 3339 has it. A duration is a number of microseconds, and its name ends with `_us`.

mod access;
mod event;
mod gate;
mod json;
mod log;
mod name;
mod package;
mod prune;
mod run;
#[cfg(feature = "schema")]
mod schema;
mod task;
mod trust;
mod usage;
mod why;
mod workflow;

#[cfg(test)]
mod tests;

#[cfg(feature = "schema")]
pub use self::schema::Moment;
pub use self::{
    access::{AccountRecord, ApiKeyRecord, AuditCheck, AuditRecord, TenantRecord},
    event::RunEvent,
    gate::{Gate, GateHolder, GateTask},
    log::LogRecord,
    package::{PackageAnswer, PackageHost, PackageRecord, PackageRunning, PackageWarning, Registration},
    prune::{PruneCount, PrunePlan, Pruned},
    run::{PrunedPart, RunContext, RunReport, RunStatus, RunSummary},
    task::{AttemptOutcome, Failure, Skipped, TaskReport},
    trust::{KeyRecord, Revoked, TrustChanged, TrustEvent, TrustRecord},
    usage::{HostUsage, PackageUsage, RunUsage, TaskUsage, Usage, UsedCall, UsedTask},
    why::{GateInWords, SkippedTask, WaitingTask, Why},
    workflow::{WorkflowRecord, WorkflowReport, WorkflowState},
};
