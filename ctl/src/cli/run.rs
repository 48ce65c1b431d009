//! `cloacina-ctl run`: its arguments.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, builder::TypedValueParser};
use cloacina_workflow::Level;

use super::isolation::IsolationArgs;
use super::package::CargoArgs;
use super::secret::SecretArgs;

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Run a workflow of a package.
///
/// Builds the package if it is a crate, registers it, runs the workflow, shows how it goes and what came out. Progress, logs and warnings go to stderr, the result to stdout. The exit code is 0 if the run completed, 1 if it
/// failed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl run my_package
  cloacina-ctl run my_package.cloacina --input '{\"name\": \"Ada\"}'
  cloacina-ctl run my_package.cloacina --workflow greeting --input @input.json
  echo '{\"name\": \"Ada\"}' | cloacina-ctl run my_package.cloacina --input -
  cloacina-ctl run my_package.cloacina --output json | jq .context
  cloacina-ctl run my_package.cloacina --database runs.db")]
pub(crate) struct RunArgs {
    /// An archive, or the folder of a crate, which is built first.
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// The workflow to run; needed if the package has several.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// The run's input: a JSON object, @FILE for one in a file, - for one on stdin.
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub(crate) input: Option<String>,
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
    /// The SQLite file to keep the run in; by default a temporary one.
    #[arg(long, value_name = "FILE")]
    pub(crate) database: Option<PathBuf>,
    /// Go on with a run of that database that was interrupted, instead of starting one.
    #[arg(long, value_name = "RUN", requires = "database", conflicts_with_all = ["input", "secret", "workflow"])]
    pub(crate) resume: Option<String>,
    /// The least important lines of the tasks' logs to show.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        value_parser = PossibleValuesParser::new(LEVELS).try_map(|level| level.parse::<Level>())
    )]
    pub(crate) log_level: Level,
    /// Stop if the run takes longer than that many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    #[command(flatten)]
    pub(crate) isolation: IsolationArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
}
