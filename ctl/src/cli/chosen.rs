//! The runs that a command is about: those that are named, or all that fit a filter.
//!
//! Something must be said, so that nobody asks something of every run by leaving out its id.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use cloacina::RunState;

use super::database::DatabaseArgs;
use super::runs::{STATES, state};

#[derive(Debug, Clone, Args)]
#[group(
    id = "chosen",
    required = true,
    multiple = true,
    args = ["runs", "all", "state", "workflow", "tenant", "since", "until"]
)]
pub(crate) struct ChosenArgs {
    /// The runs: ids, beginnings of ids, or `latest`.
    #[arg(value_name = "RUN", conflicts_with_all = ["all", "state", "workflow", "tenant", "since", "until"])]
    pub(crate) runs: Vec<String>,
    /// All runs of which that can be asked; the other filters choose among them.
    #[arg(long)]
    pub(crate) all: bool,
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
    #[arg(long, value_name = "TIME", visible_alias = "before")]
    pub(crate) until: Option<String>,
    /// Only show which runs would be asked.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

impl ChosenArgs {
    /// The one run that is named, if that is all that is said.
    pub(crate) fn one(&self) -> Option<&str> {
        match self.runs.as_slice() {
            [run] if !self.dry_run => Some(run),
            _ => None,
        }
    }
}
