//! From a command to the code that does it.

use super::command::Command;
use super::package::PackageCommand;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;
use crate::{package, run};

/// Does what was asked for, and returns the exit code.
pub(super) fn dispatch(command: Command, output: &Output, config: &Config) -> Result<u8, Error> {
    match command {
        Command::Run(arguments) => run::run(&arguments, output, config),
        Command::Package(command) => match command {
            PackageCommand::New(arguments) => package::new(&arguments, output, config),
            PackageCommand::Build(arguments) => package::build(&arguments, output, config),
            PackageCommand::Inspect(arguments) => package::inspect(&arguments, output),
            PackageCommand::Verify(arguments) => package::verify(&arguments, output),
            PackageCommand::Visualize(arguments) => package::visualize(&arguments, output, config),
            PackageCommand::Repack(arguments) => package::repack(&arguments, output),
        },
    }
}
