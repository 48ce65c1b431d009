//! The command line against its reference page, and against clap's own checks.

use std::fmt::Write as _;
use std::path::Path;

use clap::{ColorChoice, Command, CommandFactory};

use super::command::Cli;
use super::start::HELP_COLUMNS_MAX;

const REWRITE: &str = "UPDATE_EXPECT";

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples() {
    let mut cli = Cli::command();
    cli.build();
    check_examples(&cli);
}

fn check_examples(command: &Command) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let is_group = command.has_subcommands() && command.get_name() != "cloacina-ctl";
    assert!(is_group || help.contains("Examples:"), "`{}` has no examples", command.get_name());
    let is_shown = |command: &&Command| command.get_name() != "help" && !command.is_hide_set();
    command.get_subcommands().filter(is_shown).for_each(check_examples);
}

/// `docs/reference/cli.md` is written from the help texts: `UPDATE_EXPECT=1` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test that rewrites its expectation is asked to by a variable")]
fn the_reference_is_what_the_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/cli.md");
    let expected = reference();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/reference/cli.md is not what the help texts say; {REWRITE}=1 writes it anew");
}

fn reference() -> String {
    let mut text =
        "# The command line\n\nWritten from the help texts of `cloacina-ctl`. Each command takes `--help`.\n"
            .to_owned();
    let mut cli = Cli::command().color(ColorChoice::Never).term_width(HELP_COLUMNS_MAX).disable_help_subcommand(true);
    cli.build();
    section(&mut cli, &mut text);
    text
}

fn section(command: &mut Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or("cloacina-ctl").to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()).unwrap();
    for command in command.get_subcommands_mut().filter(|command| !command.is_hide_set()) {
        section(command, text);
    }
}
