//! From the program's arguments to its exit code: parse, dispatch, report.
//!
//! The one place where an error of any command ends up. How errors are to be printed is itself an argument, so it is
//! looked for before clap has its say: a mistake in the command line is reported in the format that was asked for.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, ColorChoice, Command, CommandFactory, FromArgMatches, ValueEnum};

use super::command::{Cli, ColorWhen, Format, GlobalOptions};
use super::dispatch::dispatch;
use crate::config::{Config, takes_settings, with_settings};
use crate::error::Error;
use crate::exit;
use crate::isolation::PACKAGE_HOST;
use crate::output::Output;

/// The line width of help texts, unless the terminal is narrower.
pub(super) const HELP_COLUMNS_MAX: usize = 100;

/// Runs the program.
pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    // The hidden role reads no configuration: what a process of a package is to do comes from the engine.
    if arguments.get(1).is_some_and(|role| role == PACKAGE_HOST) {
        return cloacina::package_host();
    }
    let config = Config::from_env();
    let early = Output::new(&early_options(&arguments), &config);
    let choice = if early.paints() { ColorChoice::Always } else { ColorChoice::Never };
    let width = early.help_width().map_or(HELP_COLUMNS_MAX, |width| width.min(HELP_COLUMNS_MAX));
    let unshown = arguments.iter().find(|argument| argument.to_str().is_none()).cloned();
    let command = Cli::command().color(choice).term_width(width);
    let parsed = command.clone().try_get_matches_from(&arguments);
    let (output, result) = match parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches))) {
        Ok((cli, matches)) => {
            let output = Output::new(&cli.global, &config);
            let config = config.with_file(cli.global.config.clone());
            let result = match unshown {
                // Before anything is done, as the answer could not be given.
                Some(argument) if cli.global.output == Format::Json => Err(Error::not_utf_8(&argument)),
                Some(_) | None => completed(cli, &matches, (command, &arguments), &config)
                    .and_then(|cli| dispatch(cli.command, &output, &config)),
            };
            (output, result)
        }
        Err(error) => {
            let result = answer(&error, &early);
            (early, result)
        }
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        output.error(&error);
        exit::code(&error)
    }))
}

/// What was asked for, with the settings in the place of what was not said. A mistake in the command line is told before
/// the settings are read, and help needs none.
fn completed(
    cli: Cli,
    matches: &ArgMatches,
    (command, arguments): (Command, &[OsString]),
    config: &Config,
) -> Result<Cli, Error> {
    if !takes_settings(matches) {
        return Ok(cli);
    }
    let matches = with_settings(command, config.settings()?).try_get_matches_from(arguments);
    let completed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    completed.map_err(|error| mistake(&error.render().to_string()))
}

/// Help and version are answers; anything else is a mistake.
fn answer(error: &clap::Error, output: &Output) -> Result<u8, Error> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output.help(&error.render())?;
            Ok(exit::SUCCESS)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let usage = error.render().to_string().trim_end().to_owned();
            Err(Error::CommandLine { message: "a command is missing".to_owned(), tips: Vec::new(), usage })
        }
        _ => Err(mistake(&error.render().to_string())),
    }
}

/// Takes clap's text apart: `error: <message>`, indented lines that belong to it, tips, usage.
fn mistake(text: &str) -> Error {
    let text = text.strip_prefix("error: ").unwrap_or(text).trim_end();
    let (about, usage) = match text.split_once("\n\nUsage:") {
        Some((about, usage)) => (about, format!("Usage:{usage}")),
        None => (text, String::new()),
    };
    let about = about.split("\n\nFor more information").next().unwrap_or(about);
    let (tips, message): (Vec<&str>, Vec<&str>) =
        about.lines().map(str::trim).filter(|line| !line.is_empty()).partition(|line| line.starts_with("tip: "));
    let tips = tips.iter().map(|tip| tip.trim_start_matches("tip: ").to_owned()).collect();
    Error::CommandLine { message: message.join(" "), tips, usage }
}

/// The options that say how to print, as far as they can be found without knowing the rest.
fn early_options(arguments: &[OsString]) -> GlobalOptions {
    let mut options = GlobalOptions { output: Format::Human, color: ColorWhen::Auto, quiet: false, config: None };
    let mut arguments = arguments.iter().filter_map(|argument| argument.to_str()).take_while(|one| *one != "--");
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument, None),
        };
        if let ("--output" | "--color", Some(value)) =
            (name, value.or_else(|| is_valued(name).then(|| arguments.next())?))
        {
            options.output = Format::from_str(value, false).unwrap_or(options.output);
            options.color = ColorWhen::from_str(value, false).unwrap_or(options.color);
        }
    }
    options
}

fn is_valued(name: &str) -> bool {
    matches!(name, "--output" | "--color")
}
