//! `cloacina-ctl demo`: its arguments.
//!
//! The demonstration needs no package.

use clap::Args;

use super::database::DatabaseArgs;

/// Show the life of a run, and what becomes of one that fails.
///
/// A run of a built-in workflow is created, started, run and completed. A second one fails, waits while no engine lives, says why, and goes on with another engine. Both are kept in the database, where `runs list` shows them, unless --ephemeral.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl demo
  cloacina-ctl demo --ephemeral
  cloacina-ctl demo --tasks 100 --output json")]
pub(crate) struct DemoArgs {
    /// How many tasks the first run has.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) tasks: u32,
    /// Keep the runs in a temporary database, which is removed at the end.
    #[arg(long, conflicts_with = "database")]
    pub(crate) ephemeral: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}
