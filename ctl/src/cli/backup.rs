//! `cloacina-ctl backup`: its arguments.

use std::path::PathBuf;

use clap::Args;

use super::database::DatabaseArgs;

/// Copy the database to a file, while an engine drives it or while none does.
///
/// The copy has everything that was acknowledged before it began. It is checked before it gets its name, and never
/// replaces a file. A database on a server has its own tools; the command for them is told.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl backup runs-monday.db
  cloacina-ctl backup /backup/runs.db --database runs.db --output json")]
pub(crate) struct BackupArgs {
    /// The file to make.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}
