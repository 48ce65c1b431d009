//! `cloacina-ctl key …`: the arguments of its verbs.
//!
//! Types for clap alone. No verb takes a password as an argument: those are seen by everybody on the machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    Generate(KeyGenerateArgs),
    List(KeyListArgs),
    Show(KeyShowArgs),
}

/// The place of the keys.
#[derive(Debug, Args)]
pub(crate) struct RingArgs {
    /// The folder of the keys; by default cloacina/keys in the user's data folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
}

/// Create a key to sign packages, in the format of minisign.
///
/// The password in CLOACINA_KEY_PASSWORD protects the secret key, if the variable is set.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl key generate release
  CLOACINA_KEY_PASSWORD=$(cat password) cloacina-ctl key generate release
  cloacina-ctl key generate ci --keys ./keys")]
pub(crate) struct KeyGenerateArgs {
    /// The key's name: letters, digits, `_` and `-`.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
}

/// List the keys.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl key list
  cloacina-ctl key list --keys ./keys --output json")]
pub(crate) struct KeyListArgs {
    #[command(flatten)]
    pub(crate) ring: RingArgs,
}

/// Show the public key, for users that should trust it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl key show release
  cloacina-ctl key show release > release.pub
  cloacina-ctl key show ./their.pub --output json")]
pub(crate) struct KeyShowArgs {
    /// The key's name, the file of a public key, or its line.
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
}
