//! `cloacina-ctl bench`: its arguments.

use std::path::PathBuf;

use clap::Args;

/// Measure the cost of the engine relative to the speed of the disk, on this machine.
///
/// Each figure is compared with a limit that is measured in the same run: the same rows written by bare prepared statements, the same transitions sent to the store, the same tasks compiled in and packaged. Use the ratios, which are
/// medians of interleaved rounds; absolute times depend on the machine. docs/performance.md explains the measurements and each key.
///
/// SQLite files are created in a temporary folder. PostgreSQL is measured on the server of --postgres, in schemas that are dropped again, or on a private server that uses the programs of this machine and is removed
/// at the end. If PostgreSQL is missing, the command says so, and its keys are absent.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl bench --quick
  cloacina-ctl bench --output json > bench.json
  cloacina-ctl bench --quick --output json | jq .ratios
  cloacina-ctl bench --quick --dir /mnt/disk --no-postgres
  cloacina-ctl bench --quick --postgres postgres://user:password@localhost/scratch")]
pub(crate) struct BenchArgs {
    /// Measure only what the ratios need.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How many times to repeat the measurement; 5 by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(5..=1000))]
    pub(crate) rounds: Option<u32>,
    /// The folder for the databases, on the disk to measure; by default the folder of temporary files.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The address of a PostgreSQL database in which the user may create schemas; by default a private server.
    #[arg(long, value_name = "URL", conflicts_with = "no_postgres", value_parser = server)]
    pub(crate) postgres: Option<String>,
    /// Leave PostgreSQL out.
    #[arg(long)]
    pub(crate) no_postgres: bool,
    /// An archive of tests/fixtures/noop; by default it is built.
    #[arg(long, value_name = "FILE")]
    pub(crate) package: Option<PathBuf>,
    /// An archive of tests/fixtures/writers; by default it is built.
    #[arg(long, value_name = "FILE")]
    pub(crate) writers: Option<PathBuf>,
    /// Measure only cells with a name that contains this text, such as `postgres store`; a ratio needs both of its cells.
    #[arg(long, value_name = "TEXT", hide = true)]
    pub(crate) only: Option<String>,
    /// Do as little work as possible, for tests: the figures have no meaning.
    #[arg(long, hide = true)]
    pub(crate) tiny: bool,
}

/// The address of a server, as far as its form tells.
fn server(address: &str) -> Result<String, String> {
    let is_server = ["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme));
    if is_server { Ok(address.to_owned()) } else { Err("it looks like postgres://user@host/database".to_owned()) }
}
