//! `cloacina-ctl backup`: its arguments.

use std::path::PathBuf;

use clap::Args;

use super::database::DatabaseArgs;

/// Copy the database to a file, also while an engine drives it.
///
/// The copy contains every change that was acknowledged before it began. The copy is verified before it gets its name, and
/// never replaces a file. For a database on a server, the command prints how to use the tools of the server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl backup runs-monday.db
  cloacina-ctl backup /backup/runs.db --database runs.db --output json")]
pub(crate) struct BackupArgs {
    /// The file to create.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}
