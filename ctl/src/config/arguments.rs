//! Settings as the defaults of arguments, so that an argument is read, checked and explained in one place.
//!
//! A value that is given on the command line counts; otherwise the setting; otherwise the default of the argument.

use clap::{ArgMatches, Command};

use super::settings::Settings;
use super::table::{SETTINGS, Setting};

/// Commands that take no setting of the engine: a benchmark measures the same everywhere.
const UNTOUCHED: &[&str] = &["bench"];

/// Whether the command that was asked for has an argument that a setting stands for.
pub(crate) fn takes_settings(matches: &ArgMatches) -> bool {
    if let Some((name, of_subcommand)) = matches.subcommand() {
        return !UNTOUCHED.contains(&name) && takes_settings(of_subcommand);
    }
    matches.ids().any(|id| SETTINGS.iter().any(|setting| setting.argument == Some(id.as_str())))
}

/// The command with the settings as defaults.
pub(crate) fn with_settings(command: Command, settings: &Settings) -> Command {
    let is_of_server_alone = command.get_name() == "dev";
    let command = command.mut_args(|argument| {
        let is_meant = |setting: &&Setting| setting.argument == Some(argument.get_id().as_str());
        let found = SETTINGS.iter().find(is_meant);
        // `dev` is for one machine: the address of a server in production is not for it.
        let found = found.filter(|setting| !(is_of_server_alone && setting.name.starts_with("server.")));
        match found.and_then(|setting| settings.chosen(setting.name)) {
            Some(chosen) => argument.default_values(chosen.texts.clone()),
            None => argument,
        }
    });
    command.mut_subcommands(|subcommand| match UNTOUCHED.contains(&subcommand.get_name()) {
        true => subcommand,
        false => with_settings(subcommand, settings),
    })
}
