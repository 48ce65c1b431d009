//! `cloacina-ctl dev` and `cloacina-ctl serve`: their arguments.
//!
//! Those of `serve` have settings of the same meaning in the table of `config`. `dev` is for one machine, so it has neither a login
//! nor TLS, and no limits that protect tenants from each other.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use cloacina::Level;
use cloacina_server::Origin;

use super::database::DatabaseArgs;
use super::isolation::IsolationArgs;
use super::level;
use super::package::CargoArgs;
use crate::config::value;

/// The clients that may be connected to a server, unless told otherwise.
pub(crate) const CONNECTIONS: u64 = 10_000;

/// Start a server for development, on this machine alone.
///
/// It answers programs and pages of this machine without a login. Each PATH is the folder of a package's crate or a .cloacina file: it is built, registered, and new runs get it; when its sources are saved it is built again. The data is in a temporary folder, which is removed at the end, unless --data.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl dev
  cloacina-ctl dev my_package
  cloacina-ctl dev my_package --data ./data --listen 127.0.0.1:9000

Then, in another terminal:
  curl http://127.0.0.1:8080/api/v1/workflows
  curl -H 'content-type: application/json' http://127.0.0.1:8080/api/v1/runs -d '{\"workflow\": \"my_package\"}'")]
pub(crate) struct DevArgs {
    /// Folders of package crates, or .cloacina files.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The address to listen on; with port 0 any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Keep the data in this folder, which is made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) isolation: IsolationArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
}

/// Start a server: the engine of a database, and its HTTP interface.
///
/// Who asks needs an API key, or the name and the password of an account. A database without an account gets the account of an admin, whose password is printed this once. With --no-login every program of this machine may ask, and the server listens on loopback addresses alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl serve --database runs.db
  cloacina-ctl serve --database runs.db --no-login
  cloacina-ctl serve --database runs.db --listen 0.0.0.0:8443 --tls-certificate tls.pem --tls-key tls.key
  cloacina-ctl serve --database postgres://cloacina@localhost/cloacina --sandbox server")]
pub(crate) struct ServeArgs {
    /// The address to listen on; with port 0 any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Ask nobody for a login: every program of this machine may do everything.
    #[arg(long)]
    pub(crate) no_login: bool,
    /// The file of the key that access tokens are made with; it is made if it is not there. `token.key` in the data folder, unless told otherwise. Servers that share a database need the same one.
    #[arg(long, value_name = "FILE", conflicts_with = "no_login")]
    pub(crate) token_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Encrypt connections by TLS with the certificate in this PEM file, and those that lead to its root after it. The files are read again when they change.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The PEM file with the private key of the certificate.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Let pages of this site read answers, such as `https://ui.example.com`; can be given more than once. Without it browsers keep answers from pages of other sites.
    #[arg(long, value_name = "ORIGIN", conflicts_with = "no_login")]
    pub(crate) cors_origin: Vec<Origin>,
    /// How many requests each second one credential may make, with twice as many at once; 0: without a limit.
    #[arg(long, value_name = "N", conflicts_with = "no_login", default_value_t = 1_000)]
    pub(crate) credential_rate: u64,
    /// How many requests each second one tenant may make with all of its credentials, with twice as many at once; 0: without a limit.
    #[arg(long, value_name = "N", conflicts_with = "no_login", default_value_t = 5_000)]
    pub(crate) tenant_rate: u64,
    /// How many clients may be connected. There are never more than three quarters of the files that the process may open.
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) connections: u64,
    #[command(flatten)]
    pub(crate) isolation: IsolationArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// How the engine of a server works.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// The least important lines of logs that are kept.
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = level::parser())]
    pub(crate) log_level: Level,
    /// How many attempts of tasks run at once.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) slots: u64,
    /// How long requests and attempts that are under way may take when the server ends.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = value::wait)]
    pub(crate) drain: Duration,
}
