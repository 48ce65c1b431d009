//! `--database` and `--server`, which every command on a database takes.
//!
//! An API key is never an argument: arguments are seen by every program of the machine.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DatabaseArgs {
    /// The database: a SQLite file or a URL; by default CLOACINA__DATABASE__URL, cloacina.toml, or the user's data folder.
    #[arg(long, value_name = "URL", help_heading = "Database")]
    pub(crate) database: Option<String>,
    /// Ask this server instead of a database: its address, or a profile; by default CLOACINA_SERVER or the profile in use.
    #[arg(long, value_name = "SERVER", conflicts_with = "database", help_heading = "Database")]
    pub(crate) server: Option<String>,
    /// The file with the API key for the server; by default CLOACINA_API_KEY_FILE, CLOACINA_API_KEY or that of the profile.
    #[arg(long, value_name = "FILE", conflicts_with = "database", help_heading = "Database")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// The file with the certificate authorities to trust for https, instead of those of the system; by default CLOACINA_CA_FILE.
    #[arg(long, value_name = "FILE", conflicts_with = "database", help_heading = "Database")]
    pub(crate) ca_file: Option<PathBuf>,
}
