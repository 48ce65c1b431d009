//! The command line as a whole: the options that every command takes, and the commands.
//!
//! Types for clap alone; the arguments of each command are in a file of its own.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Style, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::access::{AuditCommand, TenantCommand, TokenCommand, UserCommand};
use super::backup::BackupArgs;
use super::bench::BenchArgs;
use super::config::ConfigCommand;
use super::demo::DemoArgs;
use super::doctor::DoctorArgs;
use super::explain::{CompletionsArgs, ExplainArgs, ManArgs};
use super::key::KeyCommand;
use super::package::PackageCommand;
use super::profile::{LoginArgs, LogoutArgs, ProfileCommand, WhoamiArgs};
use super::prune::PruneArgs;
use super::run::RunArgs;
use super::runs::RunsCommand;
use super::server::{DevArgs, ServeArgs};
use super::trust::TrustCommand;
use super::workflow::WorkflowCommand;

const STYLES: Styles = Styles::styled()
    .header(Style::new().bold())
    .usage(Style::new().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  cloacina-ctl package new my_package      make a package's crate
  cloacina-ctl run my_package              build it and run its workflow
  cloacina-ctl package build my_package    write my_package/my_package.cloacina
  cloacina-ctl package inspect my_package/my_package.cloacina
  cloacina-ctl runs list --state failed    list runs of a database

Exit codes:
  0    success
  1    the run or a check failed
  2    invalid command line, name, input or package
  3    refused: by trust, by a state, or by a conflict
  4    error of the database, the engine or the system
  130  interrupted
  141  the standard output was closed";

/// Builds, inspects, verifies and runs packages of workflows, and shows what their runs do.
#[derive(Debug, Parser)]
#[command(
    name = "cloacina-ctl",
    version,
    after_help = EXAMPLES,
    styles = STYLES
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalOptions {
    /// Print text, or one JSON document; with JSON, errors are JSON on stderr.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t, global = true, help_heading = "Global options")]
    pub(crate) output: Format,
    /// When to use colors; NO_COLOR in the environment means never.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true, help_heading = "Global options")]
    pub(crate) color: ColorWhen,
    /// Print no progress and no notes on stderr, only warnings and errors.
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Read the settings from this file, and not from ./cloacina.toml.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArgs),
    Dev(DevArgs),
    Serve(ServeArgs),
    /// Create, build, inspect, check and manage packages.
    #[command(subcommand)]
    Package(PackageCommand),
    /// Create and show the keys that sign packages.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Set the signatures that the packages of a tenant need.
    #[command(subcommand)]
    Trust(TrustCommand),
    Login(LoginArgs),
    Logout(LogoutArgs),
    Whoami(WhoamiArgs),
    /// List the servers that this user works on, and choose one.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Create and list the tenants of a server.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Manage the people that may log in to a server.
    #[command(subcommand)]
    User(UserCommand),
    /// Create and revoke the API keys of a server.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show and check the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Show and control the runs of a database.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Show the settings, and encrypt those that are secret.
    #[command(subcommand)]
    Config(ConfigCommand),
    Demo(DemoArgs),
    Bench(BenchArgs),
    Prune(PruneArgs),
    Backup(BackupArgs),
    Doctor(DoctorArgs),
    Explain(ExplainArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    /// Show the workflows of a database.
    #[command(subcommand)]
    Workflow(WorkflowCommand),
}
