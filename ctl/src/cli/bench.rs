//! `cloacina-ctl bench`: its arguments.

use std::path::PathBuf;

use clap::Args;

/// Measure what the engine costs beside what the disk can do, on this machine.
///
/// Every figure stands beside a limit that is taken in the same run: the same rows written by bare prepared statements, the same transitions pushed at the store, the same tasks compiled in and packaged. Trust the ratios,
/// which are medians of rounds that take turns; absolute times are this machine's. What is measured, and what each key means, stands in docs/performance.md.
///
/// SQLite files are made in a temporary folder. PostgreSQL is measured on the server of --postgres, in schemas that are dropped again, or on a private server that is made of the programs found on this machine and removed
/// at the end. What is missing is named, and its keys are absent.
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
    /// How many times everything is measured; 5 unless told otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(5..=1000))]
    pub(crate) rounds: Option<u32>,
    /// The folder for the databases, on the disk that is to be measured; by default that of temporary files.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The address of a PostgreSQL database in which schemas may be made; by default a private server.
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
    /// Only cells whose names contain that, such as `postgres store`; ratios without both their sides are absent.
    #[arg(long, value_name = "TEXT", hide = true)]
    pub(crate) only: Option<String>,
    /// As little as possible of everything, for tests: the numbers mean nothing.
    #[arg(long, hide = true)]
    pub(crate) tiny: bool,
}

/// The address of a server, as far as its form tells.
fn server(address: &str) -> Result<String, String> {
    let is_server = ["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme));
    if is_server { Ok(address.to_owned()) } else { Err("it looks like postgres://user@host/database".to_owned()) }
}
