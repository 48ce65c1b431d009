//! `cloacina-ctl prune`: its arguments.
//!
//! The rules are settings and not arguments, so that engines on the database follow the same rules.

use clap::Args;

use super::database::DatabaseArgs;

/// Remove finished runs, histories, contexts and logs that have expired.
///
/// The settings `retention.…` are the rules. A running engine does the same by itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl prune --dry-run
  cloacina-ctl prune
  CLOACINA__RETENTION__LOGS=2d cloacina-ctl prune --output json")]
pub(crate) struct PruneArgs {
    /// Only show what would be removed.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}
