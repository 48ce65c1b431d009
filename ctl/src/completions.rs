//! `completions`: what a shell needs to complete the commands of this program.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// Writes the script for a shell to stdout.
pub(crate) fn completions(arguments: &CompletionsArgs, output: &Output) -> Result<u8, Error> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    output.data(&script)?;
    Ok(exit::SUCCESS)
}
