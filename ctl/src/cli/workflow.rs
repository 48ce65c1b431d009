//! `cloacina-ctl workflow …`: its commands and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::actor::ActorArgs;
use super::database::DatabaseArgs;
use super::package::{ActivateArgs, DiffArgs, RollbackArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowCommand {
    List(WorkflowListArgs),
    Show(WorkflowShowArgs),
    Apply(WorkflowApplyArgs),
    Activate(ActivateArgs),
    Rollback(RollbackArgs),
    Diff(DiffArgs),
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

/// Register the workflow that a TOML or JSON file defines, and activate it.
///
/// The tasks of the workflow are functions of registered packages, which keep their present version, or built-ins. The same
/// content again changes nothing. Activate, roll back, retire and remove versions as those of a package.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl workflow apply nightly.toml
  cloacina-ctl workflow apply nightly.json --tenant acme
  cloacina-ctl workflow apply nightly.toml --no-activate")]
pub(crate) struct WorkflowApplyArgs {
    /// The definition: JSON if it begins with `{`, else TOML.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Do not activate the version.
    #[arg(long)]
    pub(crate) no_activate: bool,
    /// The tenant; by default `public`.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}
