//! `cloacina-ctl prune`: its arguments.
//!
//! What is kept is no argument: it is a setting, which engines on the database follow as well.

use clap::Args;

use super::database::DatabaseArgs;

/// Remove what need not be kept any more: finished runs, histories, contexts and logs.
///
/// The settings `retention.…` say what that is. An engine does the same by itself while it lives.
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
