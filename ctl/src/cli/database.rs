//! `--database`, which every command on a database takes.

use clap::Args;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DatabaseArgs {
    /// The database: a SQLite file or a URL; by default CLOACINA__DATABASE__URL, cloacina.toml, or the user's data folder.
    #[arg(long, value_name = "URL", help_heading = "Database")]
    pub(crate) database: Option<String>,
}
