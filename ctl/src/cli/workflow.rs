//! `cloacina-ctl workflow …`: its commands and their arguments.

use clap::{Args, Subcommand};

use super::database::DatabaseArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowCommand {
    List(WorkflowListArgs),
    Show(WorkflowShowArgs),
}

/// List the workflows of a database.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl workflow list
  cloacina-ctl workflow list --tenant acme --all
  cloacina-ctl workflow list --output json | jq '.workflows[].name'")]
pub(crate) struct WorkflowListArgs {
    /// Only workflows of this tenant.
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
    /// Every version, including those that new runs do not get.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Show the tasks of a workflow with their dependencies and declarations.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl workflow show data_processing
  cloacina-ctl workflow show acme::simple_demo::data_processing --output json")]
pub(crate) struct WorkflowShowArgs {
    /// `workflow`, `package::workflow` or `tenant::package::workflow`.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}
