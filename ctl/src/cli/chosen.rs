//! The runs that a command is about: those that are named, or all that fit a filter.
//!
//! A command needs an id or a filter, so that a missing id never means every run.

use clap::Args;

use super::database::DatabaseArgs;
use super::run_filter::RunFilterArgs;

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
    /// All runs in a state that allows the request; other filters restrict them.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) filter: RunFilterArgs,
    /// Only show which runs would be affected.
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
