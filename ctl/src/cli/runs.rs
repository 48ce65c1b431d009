//! `cloacina-ctl runs …`: its commands and their arguments.
//!
//! Every command that is about one run takes it by [`RunArg`], so that an id can be shortened everywhere alike.
//! What the texts mean, such as moments, is found out by the commands themselves.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, builder::TypedValueParser};
use cloacina::RunState;

use super::database::DatabaseArgs;

const STATES: [&str; 7] = ["pending", "running", "paused", "completed", "partially_completed", "failed", "cancelled"];

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    List(RunsListArgs),
    #[command(visible_alias = "status")]
    Show(RunsShowArgs),
    Events(RunsEventsArgs),
    Context(RunsContextArgs),
    Why(RunsWhyArgs),
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

/// List runs, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl runs list
  cloacina-ctl runs list --state failed,paused --since 24h
  cloacina-ctl runs list --workflow data_processing --limit 100
  cloacina-ctl runs list --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z --output json")]
pub(crate) struct RunsListArgs {
    /// Only runs in these states, separated by commas.
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(STATES).map(state)
    )]
    pub(crate) state: Vec<RunState>,
    /// Only runs of that workflow: `workflow`, `package::workflow` or `tenant::package::workflow`.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// Only runs of that tenant's workflows.
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
    /// Only runs submitted since: a moment (2026-01-31T12:00:00Z), or a time ago (90s, 15m, 24h, 7d).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only runs submitted before: a moment, or a time ago.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
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

/// Tell why tasks of a run are not running: each gate that they wait at, with its present value.
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

fn state(name: String) -> RunState {
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
