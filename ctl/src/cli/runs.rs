//! `cloacina-ctl runs …`: its commands and their arguments.
//!
//! Every command that is about one run takes it by [`RunArg`], so that an id can be shortened everywhere alike.
//! What the texts mean, such as moments, is found out by the commands themselves.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, builder::TypedValueParser};
use cloacina::{Level, RunState};

use super::actor::ActorArgs;
use super::chosen::ChosenArgs;
use super::database::DatabaseArgs;
use super::isolation::IsolationArgs;
use super::run_filter::RunFilterArgs;
use super::secret::SecretArgs;

pub(super) const STATES: [&str; 7] =
    ["pending", "running", "paused", "completed", "partially_completed", "failed", "cancelled"];
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    Create(RunsCreateArgs),
    Execute(RunsExecuteArgs),
    Start(RunsStartArgs),
    Resume(RunsResumeArgs),
    /// Let nothing new of a run start; of one run, of several, or of all that fit.
    Pause(RunsPlainArgs),
    /// End a run: what has not run is cancelled; one run, several, or all that fit.
    Cancel(RunsPlainArgs),
    Retry(RunsRetryArgs),
    Rerun(RunsRerunArgs),
    Fork(RunsForkArgs),
    DeadLetters(RunsDeadLettersArgs),
    /// Take a failed run off the list of dead letters; one run, several, or all that fit.
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

/// The one run that a command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArg {
    /// The run: its id, the beginning of its id as long as no other run's begins so, or `latest`.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Create a run that waits to be started: of a workflow that the database knows, or of a built-in one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs create --name nightly --tasks 3
  cloacina-ctl runs create --workflow data_processing --input '{\"source\": \"a\"}'
  cloacina-ctl runs execute latest
  cloacina-ctl runs create --workflow data_processing --after 15m --key 2026-01-31")]
#[group(id = "what", required = true, multiple = false)]
pub(crate) struct RunsCreateArgs {
    /// The name of a built-in workflow, whose tasks do nothing and depend on nothing.
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) name: Option<String>,
    /// How many tasks the built-in workflow has.
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
    /// Let an engine that lives by then begin it at that moment, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "MOMENT", conflicts_with = "after")]
    pub(crate) at: Option<String>,
    /// The same, so much later than now: 90s, 15m, 24h.
    #[arg(long, value_name = "TIME")]
    pub(crate) after: Option<String>,
    /// A key that makes it happen once: a second run of the same workflow with it is not made, and the caller gets the run that is there.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Run a run: start it if it waits to be started, go on with it if it is paused or was interrupted.
///
/// Where no engine drives the database, the program is its engine until the run has ended, and goes on with the other unfinished runs meanwhile; beside a living engine it asks that one and watches. The exit code is 0 if the run completed, 1 if it ended otherwise or the time ran out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs execute latest
  cloacina-ctl runs execute 0198a4c1 --timeout 60
  cloacina-ctl runs execute latest --task collect_data")]
pub(crate) struct RunsExecuteArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Run only that task of a run that waits to be started or is paused; the run is paused then.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) drive: DriveArgs,
}

/// Let a run begin that waits to be started, and run it as `execute` does.
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

/// Go on with a run that is paused, and run it as `execute` does; of several, or of all that fit, only note it.
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

/// How a run is run from the command line.
#[derive(Debug, Clone, Args)]
pub(crate) struct DriveArgs {
    /// Stop if the run takes longer than that many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    /// Return once the request is durable, and leave the run to the engine that drives the database now or next.
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) isolation: IsolationArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// What only needs a run.
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

/// Let tasks that wait for their next attempt have it now; of one run, of several, or of all that fit.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs retry 0198a4c1 --task collect_data
  cloacina-ctl runs retry --workflow data_processing")]
pub(crate) struct RunsRetryArgs {
    #[command(flatten)]
    pub(crate) chosen: ChosenArgs,
    /// The task; without one, every task that waits for its next attempt.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Run a run that has ended again, in a new run: everything, or what failed.
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
    /// Only what failed, was cancelled or was skipped because of it; the new run takes over the rest.
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

/// Run a run that has ended again from one task, in a new run that takes over the rest.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs fork 0198a4c1 --from process_data
  cloacina-ctl runs fork 0198a4c1 --from process_data --input @input.json")]
pub(crate) struct RunsForkArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// The task to begin with; what follows from it runs again too.
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

/// Which version of its package a run is run again with.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct VersionArgs {
    /// Another version of its package, or the first digits of its digest, sha256:…; by default the run's own. What the new
    /// run takes over must fit it.
    #[arg(long, value_name = "VERSION|DIGEST")]
    pub(crate) package_version: Option<String>,
}

/// List the failed runs that nobody dismissed.
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
    /// How many runs to list at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Show a run: where it stands, how many of its tasks completed, and each of them.
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

/// Show a run's history: every transition in the order in which it became durable.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs events latest
  cloacina-ctl runs events 0198a4c1 --task collect_data
  cloacina-ctl runs events 0198a4c1 --output json")]
pub(crate) struct RunsEventsArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Only what happened to that task.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
}

/// Show what a run used up so far: time, processor time and memory, by task.
///
/// Only attempts that ended count. Processor time is known of attempts in Rust, and of others that were alone in their process or say it themselves; memory of one that was alone in its process and took 10 ms or longer, or whose process ended with it; the rest is shown as unknown. With --output json every attempt is listed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs usage latest
  cloacina-ctl runs usage 0198a4c1 --task collect_data --attempts
  cloacina-ctl runs usage latest --output json | jq .total.cpu_us")]
pub(crate) struct RunsUsageArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Only that task.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// A line for each attempt and callback too.
    #[arg(long)]
    pub(crate) attempts: bool,
}

/// Show what a run's tasks wrote to their logs.
///
/// While the run goes on its engine stores lines within a second. With --output json, following prints one JSON object a line.
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
    /// Only lines of that task.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Only lines of attempts of that number, counted from 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,
    /// Only lines that are at least as important.
    #[arg(
        long,
        value_name = "LEVEL",
        value_parser = PossibleValuesParser::new(LEVELS).try_map(|level| level.parse::<Level>())
    )]
    pub(crate) level: Option<Level>,
    /// Only lines that were written since: a moment (2026-01-31T12:00:00Z), or a time ago (90s, 15m, 24h, 7d).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only the last N lines.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) tail: Option<u32>,
    /// Go on with every line that follows, until the run has ended.
    #[arg(long, short)]
    pub(crate) follow: bool,
}

/// Show a run's context: its input overlaid with what its tasks wrote.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs context latest
  cloacina-ctl runs context 0198a4c1 --key final_report
  cloacina-ctl runs context 0198a4c1 --output json | jq .producers")]
pub(crate) struct RunsContextArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Only the value of that key.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
}

/// Delete runs that have ended, with their histories and logs: those that are named, or all that fit.
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

/// Tell why tasks of a run are not running: each gate that they wait at, with its present value, and why others were skipped.
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
/// The exit code is 0 if the run completed, 1 if it ended otherwise or the time ran out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs wait latest
  cloacina-ctl runs wait 0198a4c1 --timeout 60 --output json")]
pub(crate) struct RunsWaitArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Stop waiting after that many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
}

/// Show what happens to a run, from its beginning until it has ended, then show the run.
///
/// The exit code is 0 if the run completed, 1 if it ended otherwise or the time ran out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs watch latest
  cloacina-ctl runs watch 0198a4c1 --timeout 60")]
pub(crate) struct RunsWatchArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Stop watching after that many seconds.
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
