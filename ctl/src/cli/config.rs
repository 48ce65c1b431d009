//! `cloacina-ctl config …`: the arguments of its verbs.
//!
//! Types for clap alone. No verb takes a secret value as an argument: those are seen by everybody on the machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    Show(ConfigShowArgs),
    Encrypt(ConfigEncryptArgs),
    NewKey(ConfigNewKeyArgs),
}

/// Show the settings.
///
/// A setting comes from the variable CLOACINA__SECTION__KEY, else from the file cloacina.toml in the working folder or the file that --config names, else it has its default. An option on the command line of a command overrides the setting.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl config show --origin
  cloacina-ctl config show --config production.toml --output json")]
pub(crate) struct ConfigShowArgs {
    /// Show where each value comes from.
    #[arg(long)]
    pub(crate) origin: bool,
}

/// Encrypt the value of a setting, which is read from the standard input, and print the lines for the file.
///
/// The key comes from --key-file, or from CLOACINA_SETTINGS_KEY or CLOACINA_SETTINGS_KEY_FILE, which a command needs that reads the file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl config encrypt database.url --key-file settings.key < url
  CLOACINA_SETTINGS_KEY_FILE=settings.key cloacina-ctl config encrypt database.url < url >> cloacina.toml")]
pub(crate) struct ConfigEncryptArgs {
    /// The setting, such as database.url.
    pub(crate) setting: String,
    /// The file of the key.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

/// Create a key for encrypted settings.
///
/// Only its owner can read the file. A file that is there is not replaced.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl config new-key settings.key")]
pub(crate) struct ConfigNewKeyArgs {
    /// The file to create.
    pub(crate) file: PathBuf,
}
