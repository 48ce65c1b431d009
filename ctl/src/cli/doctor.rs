//! `cloacina-ctl doctor`: its arguments.

use std::net::SocketAddr;

use clap::Args;

use super::database::DatabaseArgs;
use super::isolation::Tightness;

/// Check everything that an engine and its server need.
///
/// The checks are: the settings; the database, its schema, the time of a durable commit and its clock; the disk; the limit of open files; the sandbox; the keys; the address of the server. Each is ok, warn or fail, with a remedy. Nothing is changed. The exit code is 1 if a check fails.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl doctor
  cloacina-ctl doctor --config production.toml --output json
  cloacina-ctl doctor --database postgres://cloacina@localhost/cloacina --sandbox server")]
pub(crate) struct DoctorArgs {
    /// The address on which the server is to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// The sandbox that packages are to run in.
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub(crate) sandbox: Tightness,
    /// Fail unless the system supports the complete sandbox.
    #[arg(long)]
    pub(crate) require_sandbox: bool,
    /// Enter the sandbox, and print what of it is in force.
    #[arg(long, value_enum, hide = true)]
    pub(crate) confine: Option<Tightness>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}
