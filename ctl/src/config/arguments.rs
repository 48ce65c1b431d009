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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::kind::Kind;
    use super::*;
    use crate::cli::Cli;

    /// Compares the arguments of a command and of those below it with the settings that they stand for.
    fn compare(command: &Command, n_compared: &mut usize) {
        for argument in command.get_arguments() {
            let is_meant = |setting: &&Setting| setting.argument == Some(argument.get_id().as_str());
            let Some(setting) = SETTINGS.iter().find(is_meant) else { continue };
            let place = format!("{} {}", command.get_name(), setting.name);
            let defaults = argument.get_default_values().iter().map(|text| text.to_string_lossy());
            let default = defaults.collect::<Vec<_>>().join(",");
            // A switch is off unless it is there, which clap does not call a default.
            let default = if matches!(setting.kind, Kind::Flag) { "false".to_owned() } else { default };
            assert_eq!(default, setting.default, "{place}");
            if let Kind::Choice(words) = setting.kind {
                let possible = argument.get_possible_values();
                let possible: Vec<&str> = possible.iter().map(clap::builder::PossibleValue::get_name).collect();
                assert_eq!(possible, words, "{place}");
            }
            *n_compared += 1;
        }
        let subcommands = command.get_subcommands().filter(|command| !UNTOUCHED.contains(&command.get_name()));
        subcommands.for_each(|command| compare(command, n_compared));
    }

    #[test]
    fn settings_and_the_arguments_that_they_stand_for_have_the_same_defaults_and_words() {
        let mut n_compared = 0;
        compare(&Cli::command(), &mut n_compared);
        let n_meant = SETTINGS.iter().filter(|setting| setting.argument.is_some()).count();
        assert!(n_compared >= n_meant, "each argument of the table is one of a command: {n_compared} of {n_meant}");
    }
}
