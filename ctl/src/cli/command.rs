//! The command line as a whole: the options that every command takes, and the commands.
//!
//! Types for clap alone; the arguments of each command are in a file of its own.

use clap::builder::styling::{AnsiColor, Style, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::backup::BackupArgs;
use super::bench::BenchArgs;
use super::demo::DemoArgs;
use super::explain::{CompletionsArgs, ExplainArgs};
use super::key::KeyCommand;
use super::package::PackageCommand;
use super::prune::PruneArgs;
use super::run::RunArgs;
use super::runs::RunsCommand;
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
  2    what was given is wrong: the command line, a name, an input, a package
  3    not allowed, or not possible as things stand: trust, a state, a conflict
  4    the database, the engine or the system had trouble
  130  interrupted
  141  nobody reads the output any more";

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

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalOptions {
    /// Print text for people, or one JSON document; errors are JSON on stderr then.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t, global = true, help_heading = "Global options")]
    pub(crate) output: Format,
    /// When to use colors; NO_COLOR in the environment counts as never.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true, help_heading = "Global options")]
    pub(crate) color: ColorWhen,
    /// No progress and no notes on stderr; warnings and errors remain.
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
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
    /// Make, build, look into and check packages.
    #[command(subcommand)]
    Package(PackageCommand),
    /// Make and show the keys that packages are signed with.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Say whose signatures a tenant's packages need.
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Look at runs and steer them, on a database.
    #[command(subcommand)]
    Runs(RunsCommand),
    Demo(DemoArgs),
    Bench(BenchArgs),
    Prune(PruneArgs),
    Backup(BackupArgs),
    Explain(ExplainArgs),
    Completions(CompletionsArgs),
    /// Look at the workflows of a database.
    #[command(subcommand)]
    Workflow(WorkflowCommand),
}
