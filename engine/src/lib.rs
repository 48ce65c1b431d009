//! The Cloacina engine: runs workflows durably, from packages that are loaded at run time and from modules that are
//! compiled into the program.
//!
//! This interface is not stable yet; pin the version.
// What the macros emit names this crate from the outside.
#[cfg(test)]
extern crate self as cloacina;

mod access;
mod api;
mod clock;
mod core;
mod engine;
mod error;
mod id;
mod isolation;
mod limit;
mod loader;
mod registry;
mod retention;
mod runtime;
mod socket;
mod store;
mod trust;
mod view;

#[cfg(any(test, feature = "testing", feature = "measuring"))]
pub mod testing;

/// The authoring names again, expanding to this crate, so that a program that embeds the engine needs no other.
pub use cloacina_macros::{
    engine_packaged_workflow as packaged_workflow, engine_task as task, engine_workflow as workflow,
};
pub use cloacina_packager::{Class, Digest, Warning, WarningKind};
#[doc(hidden)]
pub use cloacina_workflow::__private;
pub use cloacina_workflow::{
    Context, ContextError, Level, Outcome, ResultExt, TaskError, TaskInfo, TaskOutput, Timestamp, Value, Workflow,
};

#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub use self::store::{DiskFull, Sabotage};
/// The schema of a timestamp in a view.
#[cfg(feature = "schema")]
pub use self::view::Moment;
pub use self::{
    access::{API_KEY_BEGIN, Access, Asked, Error as AccessError, Identity, IssuedKey, LoggedIn, NewAccount, NewKey},
    api::{
        AccountRecord, ApiKeyRecord, AttemptOutcome, AuditCheck, AuditRecord, Caller, Denied, Failure, Gate,
        GateHolder, GateInWords, GateTask, HostUsage, KeyRecord, LogRecord, PackageAnswer, PackageFilter, PackageHost,
        PackageList, PackagePlace, PackageRecord, PackageRunning, PackageUsage, PackageWarning, Page, PruneCount,
        PrunePlan, Pruned, PrunedPart, Registration, Revoked, Role, RunContext, RunEvent, RunFilter, RunPage,
        RunReport, RunStatus, RunSummary, RunUsage, Skipped, SkippedTask, TaskReport, TaskUsage, TenantRecord,
        TrustChanged, TrustEvent, TrustRecord, Usage, UsedCall, UsedTask, WaitingTask, Why, WorkflowFilter,
        WorkflowList, WorkflowPlace, WorkflowRecord, WorkflowReport, WorkflowState,
    },
    clock::{Clock, SystemClock},
    core::{run::State as RunState, task::State as TaskState},
    engine::{
        Builder, Engine, LogFilter, LogFollower, Records, RunFollower, RunHandle, RunOwner, RunRequest, Scheduler,
        UsageFilter, Waiting,
    },
    error::{Error, Request},
    id::{ParseRunIdError, RunId, TENANT_DEFAULT, is_name_of},
    isolation::{
        AllowedNeed, Confined, Confinement, Error as IsolationError, HostProgram, Isolation, Limits as HostLimits,
        NotANeed, Sandbox, needs_of, package_host,
    },
    limit::TextRefused,
    loader::{CallEnd, Error as LoadError, HostCall, Probe, ProbeCall, StructSize, TableProblem},
    registry::{Error as RegistryError, PackageInfo, Registered, Registry, Upload},
    retention::Retention,
    runtime::{Notice, NoticeKind, Notices, SECRET_BYTES_MIN, SECRET_KEYS},
    socket::{Client, Command, Error as SocketError, Followed, LivePackage, PackageCommand, Refusal, What},
    store::{
        Activation, Backup, BackupProgress, DatabaseTrial, Error as StoreError, NotOpened, PackageAct, PackageEvent,
        PackageEventKind, PackageRefusal, PackageState, Quarantine, TrustEventKind, database_shown,
    },
    trust::{Error as TrustError, REQUIRED_BY_SERVERS, Trust, TrustChange, TrustKey},
};

/// All names that a workflow module needs: `use cloacina::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Context, ContextError, Level, Outcome, ResultExt, TaskError, Timestamp, Value, packaged_workflow, task,
        workflow,
    };
}
