//! `cloacina-ctl runs …`: its commands and their arguments.
//!
//! Every command that is about one run takes it by [`RunArg`], so that an id can be shortened everywhere alike.
//! What the texts mean, such as moments, is found out by the commands themselves.

use clap::{Args, Subcommand};
use cloacina::{Level, RunState};

use super::actor::ActorArgs;
use super::chosen::ChosenArgs;
use super::database::DatabaseArgs;
use super::isolation::IsolationArgs;
use super::level;
use super::run_filter::RunFilterArgs;
use super::secret::SecretArgs;

pub(super) const STATES: [&str; 7] =
    ["pending", "running", "paused", "completed", "partially_completed", "failed", "cancelled"];
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    Create(RunsCreateArgs),
    Execute(RunsExecuteArgs),
    Start(RunsStartArgs),
    Resume(RunsResumeArgs),
    /// Pause runs: no further task of them starts. One run, several, or all that match.
    Pause(RunsPlainArgs),
    /// Cancel runs: running tasks are stopped, waiting ones do not start. One run, several, or all that match.
    Cancel(RunsPlainArgs),
    Retry(RunsRetryArgs),
    Rerun(RunsRerunArgs),
    Fork(RunsForkArgs),
    DeadLetters(RunsDeadLettersArgs),
    /// Remove failed runs from the list of dead letters. One run, several, or all that match.
    Dismiss(RunsPlainArgs),
    List(RunsListArgs),
    #[command(visible_alias = "status")]
    Show(RunsShowArgs),
    Events(RunsEventsArgs),
    Usage(RunsUsageArgs),
    Logs(RunsLogsArgs),
    Context(RunsContextArgs),
    Why(RunsWhyArgs),
    Delete(RunsDeleteArgs),
    Wait(RunsWaitArgs),
    Watch(RunsWatchArgs),
}

/// The run of a command.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArg {
    /// The run: its id, an unambiguous beginning of its id, or `latest`.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Create a run that waits until it is started, of a registered workflow or of a built-in one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs create --name nightly --tasks 3
  cloacina-ctl runs create --workflow data_processing --input '{\"source\": \"a\"}'
  cloacina-ctl runs execute latest
  cloacina-ctl runs create --workflow data_processing --after 15m --key 2026-01-31")]
#[group(id = "what", required = true, multiple = false)]
pub(crate) struct RunsCreateArgs {
    /// The name of a built-in workflow. Its tasks do nothing and have no dependencies.
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) name: Option<String>,
    /// The number of tasks of the built-in workflow.
    #[arg(
        long,
        value_name = "K",
        default_value_t = 1,
        conflicts_with = "workflow",
        value_parser = clap::value_parser!(u32).range(1..=50_000)
    )]
    pub(crate) tasks: u32,
    /// The workflow to run: `workflow`, `package::workflow` or `tenant::package::workflow`.
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) workflow: Option<String>,
    /// The run's input: a JSON object, @FILE for one in a file, - for one on stdin.
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub(crate) input: Option<String>,
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
    /// The time at which a running engine starts the run, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "MOMENT", conflicts_with = "after")]
    pub(crate) at: Option<String>,
    /// The same as a duration from now: 90s, 15m, 24h.
    #[arg(long, value_name = "TIME")]
    pub(crate) after: Option<String>,
    /// A submission key, unique for the workflow: with the key of an existing run, the command creates no run and returns the existing one.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Execute a run: start a new one, or continue one that is paused or was interrupted.
///
/// If no engine drives the database, this program is its engine until the run has ended, and meanwhile continues the other unfinished runs too. Otherwise the running engine executes the run, and this program shows the progress. The exit code is 0 if the run completed, 1 if it ended in another state or reached the timeout.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs execute latest
  cloacina-ctl runs execute 0198a4c1 --timeout 60
  cloacina-ctl runs execute latest --task collect_data")]
pub(crate) struct RunsExecuteArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Run only this task of a run that is not started or is paused; afterwards the run is paused.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) drive: DriveArgs,
}

/// Start a run that waits to be started, and execute it as `execute` does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs start latest
  cloacina-ctl runs start 0198a4c1 --no-wait")]
pub(crate) struct RunsStartArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    #[command(flatten)]
    pub(crate) drive: DriveArgs,
}

/// Resume a paused run, and execute it as `execute` does; several runs are only marked as resumed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs resume latest
  cloacina-ctl runs resume 0198a4c1 --timeout 60
  cloacina-ctl runs resume --all")]
pub(crate) struct RunsResumeArgs {
    #[command(flatten)]
    pub(crate) chosen: ChosenArgs,
    #[command(flatten)]
    pub(crate) drive: DriveArgs,
}

/// How the command line executes a run.
#[derive(Debug, Clone, Args)]
pub(crate) struct DriveArgs {
    /// Stop if the run takes longer than this number of seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    /// Return when the request is durable, and leave the run to the present or next engine of the database.
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) isolation: IsolationArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// A command that needs only a run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs pause 0198a4c1
  cloacina-ctl runs cancel 0198a4c1 0198a4d2
  cloacina-ctl runs pause --all --dry-run
  cloacina-ctl runs cancel --workflow data_processing --since 24h
  cloacina-ctl runs dismiss --until 7d")]
pub(crate) struct RunsPlainArgs {
    #[command(flatten)]
    pub(crate) chosen: ChosenArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Start the next attempt of waiting tasks now. One run, several, or all that match.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs retry 0198a4c1 --task collect_data
  cloacina-ctl runs retry --workflow data_processing")]
pub(crate) struct RunsRetryArgs {
    #[command(flatten)]
    pub(crate) chosen: ChosenArgs,
    /// The task; by default every task that waits for its next attempt.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Run a finished run again, as a new run: all tasks, or only the failed ones.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs rerun 0198a4c1
  cloacina-ctl runs rerun 0198a4c1 --failed
  cloacina-ctl runs rerun --failed --state failed --since 24h --dry-run
  cloacina-ctl runs rerun 0198a4c1 --failed --input '{\"source\": \"b\"}'
  cloacina-ctl runs rerun 0198a4c1 --failed --package-version 1.4.1")]
pub(crate) struct RunsRerunArgs {
    #[command(flatten)]
    pub(crate) chosen: ChosenArgs,
    /// Run only tasks that failed, were cancelled, or were skipped because of them; the new run takes over the other results.
    #[arg(long)]
    pub(crate) failed: bool,
    /// Another input: a JSON object, @FILE for one in a file, - for one on stdin.
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub(crate) input: Option<String>,
    #[command(flatten)]
    pub(crate) version: VersionArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Run a finished run again from one task on, as a new run that takes over the other results.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs fork 0198a4c1 --from process_data
  cloacina-ctl runs fork 0198a4c1 --from process_data --input @input.json")]
pub(crate) struct RunsForkArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// The first task to run again; all tasks downstream of it run again too.
    #[arg(long, value_name = "TASK")]
    pub(crate) from: String,
    /// Another input: a JSON object, @FILE for one in a file, - for one on stdin.
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub(crate) input: Option<String>,
    #[command(flatten)]
    pub(crate) version: VersionArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// The package version of the new run.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct VersionArgs {
    /// Another version of the package, or the first digits of its digest, sha256:…; by default the version of the run. The
    /// results that the new run takes over must fit this version.
    #[arg(long, value_name = "VERSION|DIGEST")]
    pub(crate) package_version: Option<String>,
}

/// List the failed runs that were not dismissed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs dead-letters
  cloacina-ctl runs dead-letters --output json | jq -r '.runs[].run'")]
pub(crate) struct RunsDeadLettersArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// List runs, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs list
  cloacina-ctl runs list --state failed,paused --since 24h
  cloacina-ctl runs list --workflow data_processing --limit 100
  cloacina-ctl runs list --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z --output json")]
pub(crate) struct RunsListArgs {
    #[command(flatten)]
    pub(crate) filter: RunFilterArgs,
    /// The maximum number of runs to list.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Show the state of a run and of each of its tasks.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs show latest
  cloacina-ctl runs status 0198a4c1
  cloacina-ctl runs show 0198a4c1 --output json | jq .tasks")]
pub(crate) struct RunsShowArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
}

/// Show the history of a run: every transition, in the order in which it became durable.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs events latest
  cloacina-ctl runs events 0198a4c1 --task collect_data
  cloacina-ctl runs events 0198a4c1 --output json")]
pub(crate) struct RunsEventsArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Only events of this task.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
}

/// Show the usage of a run: time, CPU time and memory of each task.
///
/// Only attempts that have ended count. The CPU time is known for attempts in Rust, and for other attempts that were alone in their process or that report it. The memory is known for an attempt that was alone in its process, if the attempt took at least 10 ms or the process ended with it. Other values are shown as unknown. With --output json every attempt is listed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs usage latest
  cloacina-ctl runs usage 0198a4c1 --task collect_data --attempts
  cloacina-ctl runs usage latest --output json | jq .total.cpu_us")]
pub(crate) struct RunsUsageArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Only this task.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Also show each attempt and callback.
    #[arg(long)]
    pub(crate) attempts: bool,
}

/// Show the logs of the tasks of a run.
///
/// The engine stores log lines within a second. With --follow the command reads the database ten times a second, as engines send no log lines to other processes. With --output json, --follow prints one JSON object per line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs logs latest
  cloacina-ctl runs logs latest --follow
  cloacina-ctl runs logs 0198a4c1 --task collect_data --attempt 2 --level warn
  cloacina-ctl runs logs 0198a4c1 --since 10m --tail 50 --output json")]
pub(crate) struct RunsLogsArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Only lines of this task.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Only lines of attempts with this number, counted from 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,
    /// Only lines of this level or a higher one.
    #[arg(
        long,
        value_name = "LEVEL",
        value_parser = level::parser()
    )]
    pub(crate) level: Option<Level>,
    /// Only lines written at or after this time (2026-01-31T12:00:00Z), or so long ago at most (90s, 15m, 24h, 7d).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only the last N lines.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) tail: Option<u32>,
    /// Print new lines too, until the run has ended.
    #[arg(long, short)]
    pub(crate) follow: bool,
}

/// Show the context of a run: its input and the values that its tasks wrote.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs context latest
  cloacina-ctl runs context 0198a4c1 --key final_report
  cloacina-ctl runs context 0198a4c1 --output json | jq .producers")]
pub(crate) struct RunsContextArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Only the value of this key.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
}

/// Delete finished runs with their histories and logs: the named runs, or all that match.
///
/// A run that has not ended must be cancelled first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs delete 0198a4c1 0198a4d2
  cloacina-ctl runs delete --state completed,cancelled --until 7d --dry-run
  cloacina-ctl runs delete --workflow data_processing --output json")]
#[group(id = "chosen", required = true, multiple = true, args = ["runs", "state", "workflow", "tenant", "since", "until"])]
pub(crate) struct RunsDeleteArgs {
    /// The runs: ids, beginnings of ids, or `latest`.
    #[arg(value_name = "RUN", conflicts_with_all = ["state", "workflow", "tenant", "since", "until"])]
    pub(crate) runs: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: RunFilterArgs,
    /// Only show what would be deleted.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Show why tasks of a run are not running: each gate with its present value, and the reason of each skipped task.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs why latest
  cloacina-ctl runs why 0198a4c1 --output json")]
pub(crate) struct RunsWhyArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
}

/// Wait until a run has ended, then show it.
///
/// The exit code is 0 if the run completed, 1 if it ended in another state or reached the timeout.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs wait latest
  cloacina-ctl runs wait 0198a4c1 --timeout 60 --output json")]
pub(crate) struct RunsWaitArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Stop waiting after this number of seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
}

/// Show the events of a run, from its beginning until it has ended, then show the run.
///
/// The engine of a SQLite file sends the events to the command. On PostgreSQL, and without a running engine, the command reads the database ten times a second. The exit code is 0 if the run completed, 1 if it ended in another state or reached the timeout.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs watch latest
  cloacina-ctl runs watch 0198a4c1 --timeout 60")]
pub(crate) struct RunsWatchArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Stop watching after this number of seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
}

pub(super) fn state(name: String) -> RunState {
    RunState::ALL.into_iter().find(|state| state.as_str() == name).unwrap_or(RunState::Pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_named() {
        assert_eq!(RunState::ALL.map(|state| state.as_str()), STATES);
        assert_eq!(STATES.map(|name| state(name.to_owned())), RunState::ALL);
    }
}
