//! The Cloacina engine: runs workflows durably, from packages that it loads while it runs and from modules that are
//! compiled into the program.
//!
//! This interface is not stable yet; pin the version.
#![expect(dead_code, reason = "what later parts use stands beside what is used now")]

mod clock;
mod core;
mod engine;
mod error;
mod id;
mod loader;
mod registry;
mod runtime;
mod store;

#[cfg(feature = "testing")]
pub mod testing;

pub use cloacina_packager::{Digest, Warning, WarningKind};
pub use cloacina_workflow::{
    Context, ContextError, Level, Outcome, TaskError, TaskInfo, TaskOutput, Timestamp, Value, Workflow, prelude,
};

pub use self::{
    clock::{Clock, SystemClock},
    core::{run::State as RunState, task::State as TaskState},
    engine::{Builder, Engine, RunHandle, Scheduler},
    error::Error,
    id::{ParseRunIdError, RunId},
    loader::{Error as LoadError, TableProblem},
    registry::{Error as RegistryError, PackageInfo, Registered, Registry, Upload},
    runtime::{Gate, Notice, NoticeKind, Notices, RunEvent, RunReport, RunStatus, Skipped, TaskReport},
    store::{Error as StoreError, PackageState},
};
