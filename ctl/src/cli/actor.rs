//! `--actor`, which every command takes that asks something of runs.

use clap::Args;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ActorArgs {
    /// The actor to record in the history of the run; by default the user and the machine.
    #[arg(long, value_name = "NAME", help_heading = "Database")]
    pub(crate) actor: Option<String>,
}
