//! `cloacina-ctl run`: its arguments.

use std::path::PathBuf;

use clap::Args;
use cloacina_workflow::Level;

use super::actor::ActorArgs;
use super::database::DatabaseArgs;
use super::isolation::IsolationArgs;
use super::level;
use super::package::CargoArgs;
use super::secret::SecretArgs;

/// Run a workflow of a package.
///
/// Builds the package if it is a crate, registers it, runs the workflow, and shows the progress and the result. Progress, logs and warnings go to stderr, the result to stdout. The exit code is 0 if the run completed, 1 if it failed.
///
/// The run is kept in the database, where `runs list` shows it, unless --ephemeral is given. This run uses the given version, but other new runs of the package keep theirs, unless --activate is given. Only the first version of a package in a database is activated automatically. If the database has other content under the same version, digits of the digest are added to the version, as in 1.2.0+3fa2b1c0.
///
/// If no engine drives the database, this program is its engine until the run has ended, and meanwhile continues the other unfinished runs too. Otherwise the running engine executes the run, and this program shows the progress.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl run my_package
  cloacina-ctl run my_package.cloacina --input '{\"name\": \"Ada\"}'
  cloacina-ctl run my_package.cloacina --workflow greeting --input @input.json
  echo '{\"name\": \"Ada\"}' | cloacina-ctl run my_package.cloacina --input -
  cloacina-ctl run my_package.cloacina --output json | jq .context
  cloacina-ctl run my_package.cloacina --ephemeral
  cloacina-ctl run my_package.cloacina --database runs.db --activate
  cloacina-ctl run --resume latest")]
pub(crate) struct RunArgs {
    /// An archive, or the folder of a crate, which is built first; by default the working folder, and with --resume the
    /// package in the database.
    pub(crate) path: Option<PathBuf>,
    /// The workflow to run; required if the package has several.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// The run's input: a JSON object, @FILE for one in a file, - for one on stdin.
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub(crate) input: Option<String>,
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
    /// Keep the run in a temporary database, which is removed at the end.
    #[arg(long, conflicts_with_all = ["database", "server", "resume", "activate"])]
    pub(crate) ephemeral: bool,
    /// Activate this version for new runs of the package.
    #[arg(long)]
    pub(crate) activate: bool,
    /// Continue an interrupted run of the database instead of starting a new one: its id, the beginning of its id, or
    /// `latest`.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["input", "secret", "workflow"])]
    pub(crate) resume: Option<String>,
    /// The lowest level of the tasks' log lines to show.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        value_parser = level::parser()
    )]
    pub(crate) log_level: Level,
    /// Stop if the run takes longer than this number of seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    #[command(flatten)]
    pub(crate) isolation: IsolationArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}
