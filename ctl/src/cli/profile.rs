//! `cloacina-ctl login`, `logout`, `whoami` and `profile …`: their arguments.
//!
//! Types for clap alone. No command takes a password or a key as an argument: those are seen by everybody on the machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::database::DatabaseArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    List(ProfileListArgs),
    Use(ProfileUseArgs),
}

/// Log in to a server, and work on it from now on.
///
/// The credential is kept in the user's folder of settings, in a file that only the user can read. A session lasts thirty days, and is renewed while it is used.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl login https://cloacina.example.com --user ann --password-file -
  cloacina-ctl login http://127.0.0.1:8080 --api-key-file key.txt --profile local")]
pub(crate) struct LoginArgs {
    /// The address of the server.
    pub(crate) url: String,
    /// The name of the account.
    #[arg(long, value_name = "NAME", requires = "password_file", required_unless_present = "api_key_file")]
    pub(crate) user: Option<String>,
    /// The file with the password; `-` is stdin. The end of its last line does not count.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// The file with an API key, which is kept instead of a session; `-` is stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// The file with the certificate authorities to trust for https, instead of those of the system; kept, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The name under which the server is kept.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) profile: String,
}

/// End the session of a profile, and forget its credential.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl logout
  cloacina-ctl logout --profile local")]
pub(crate) struct LogoutArgs {
    /// The profile; by default the one in use.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

/// Show who the server takes this user for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl whoami
  cloacina-ctl whoami --server local --output json")]
pub(crate) struct WhoamiArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// List the servers that this user works on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl profile list
  cloacina-ctl profile list --output json")]
pub(crate) struct ProfileListArgs {}

/// Choose the server that commands work on where no database and no server is named.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl profile use local
  cloacina-ctl profile use --none")]
pub(crate) struct ProfileUseArgs {
    /// The name of the profile.
    #[arg(required_unless_present = "none")]
    pub(crate) name: Option<String>,
    /// Use no profile: commands work on the default database.
    #[arg(long, conflicts_with = "name")]
    pub(crate) none: bool,
}
