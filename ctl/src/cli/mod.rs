//! What can be asked for on the command line, and how it gets to the code that does it.
//!
//! ```text
//! arguments ── start ──> Cli (command, package, run, runs, workflow) ── dispatch ──> one file per verb ──> output, exit code
//! ```
//! The types here are read by clap alone. Their doc comments are the help texts, and with them
//! `docs/reference/cli.md`.

mod access;
mod actor;
mod backup;
mod bench;
mod chosen;
mod command;
mod config;
mod database;
mod demo;
mod dispatch;
mod doctor;
mod explain;
mod isolation;
mod key;
mod level;
mod package;
mod profile;
mod prune;
mod run;
mod run_filter;
mod runs;
mod secret;
mod server;
mod start;
#[cfg(test)]
mod tests;
mod trust;
mod workflow;

pub(crate) use self::{
    access::{
        AuditExportArgs, AuditListArgs, AuditVerifyArgs, TenantAddArgs, TenantListArgs, TokenCreateArgs, TokenListArgs,
        TokenRevokeArgs, UserAddArgs, UserDisableArgs, UserListArgs, UserPasswdArgs,
    },
    actor::ActorArgs,
    backup::BackupArgs,
    bench::BenchArgs,
    chosen::ChosenArgs,
    command::{Cli, ColorWhen, Format, GlobalOptions},
    config::{ConfigEncryptArgs, ConfigNewKeyArgs, ConfigShowArgs},
    database::DatabaseArgs,
    demo::DemoArgs,
    doctor::DoctorArgs,
    explain::{CompletionsArgs, ExplainArgs, ManArgs},
    isolation::{IsolationArgs, Tightness, Where},
    key::{KeyGenerateArgs, KeyListArgs, KeyShowArgs},
    package::{
        ActivateArgs, BuildArgs, CargoArgs, DiffArgs, DrawFormat, InspectArgs, MergeArgs, NewArgs, PackageListArgs,
        PackageShowArgs, PackageUsageArgs, QuarantineArgs, RegisterArgs, ReleaseArgs, RemoveArgs, RepackArgs,
        RetireArgs, RollbackArgs, SignArgs, TestArgs, VerifyArgs, VisualizeArgs,
    },
    profile::{LoginArgs, LogoutArgs, ProfileListArgs, ProfileUseArgs, WhoamiArgs},
    prune::PruneArgs,
    run::RunArgs,
    runs::{
        DriveArgs, RunArg, RunsContextArgs, RunsCreateArgs, RunsDeadLettersArgs, RunsDeleteArgs, RunsEventsArgs,
        RunsExecuteArgs, RunsForkArgs, RunsListArgs, RunsLogsArgs, RunsPlainArgs, RunsRerunArgs, RunsResumeArgs,
        RunsRetryArgs, RunsShowArgs, RunsStartArgs, RunsUsageArgs, RunsWaitArgs, RunsWatchArgs, RunsWhyArgs,
    },
    secret::SecretArgs,
    server::{CONNECTIONS, DevArgs, EngineArgs, ServeArgs},
    start::main,
    trust::{TrustAddArgs, TrustRemoveArgs, TrustRequireArgs, TrustRevokeArgs, TrustShowArgs},
    workflow::{WorkflowApplyArgs, WorkflowListArgs, WorkflowShowArgs},
};
