//! `cloacina-ctl demo`: its arguments.
//!
//! The demonstration needs no package and leaves nothing behind, unless a database is named.

use clap::Args;

use super::database::DatabaseArgs;

/// Show the life of a run, on a built-in workflow: create it, start it, run its tasks, complete it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl demo
  cloacina-ctl demo --tasks 100 --output json")]
pub(crate) struct DemoArgs {
    /// How many tasks the run has.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) tasks: u32,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}
