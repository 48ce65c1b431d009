//! `cloacina-ctl demo`: its arguments.
//!
//! The demonstration needs no package.

use clap::Args;

use super::database::DatabaseArgs;

/// Show the life cycle of a run, and how to handle a run that fails.
///
/// Creates, starts and completes a run of a built-in workflow. A task of a second run fails; the engine stops, the command shows why the run waits, and another engine completes it. Both runs are kept in the database, where `runs list` shows them, unless --ephemeral is given.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl demo
  cloacina-ctl demo --ephemeral
  cloacina-ctl demo --tasks 100 --output json")]
pub(crate) struct DemoArgs {
    /// The number of tasks of the first run.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) tasks: u32,
    /// Keep the runs in a temporary database, which is removed at the end.
    #[arg(long, conflicts_with = "database")]
    pub(crate) ephemeral: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}
