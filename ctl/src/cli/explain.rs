//! `cloacina-ctl explain`, `cloacina-ctl completions` and `cloacina-ctl man`: their arguments.

use std::path::PathBuf;

use clap::Args;

/// Explain an error: its cause, what to check and what to do.
///
/// Without a code, list every code with its title.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl explain PKG0004
  cloacina-ctl explain")]
pub(crate) struct ExplainArgs {
    /// The code of the error, as printed in its message.
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
}

/// Print the script that lets a shell complete commands and options.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl completions bash > ~/.local/share/bash-completion/completions/cloacina-ctl
  cloacina-ctl completions zsh > \"${fpath[1]}/_cloacina-ctl\"
  cloacina-ctl completions fish > ~/.config/fish/completions/cloacina-ctl.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// Write a manual page for each command to a folder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl man ~/.local/share/man/man1
  cloacina-ctl man pages && man pages/cloacina-ctl-runs-list.1")]
pub(crate) struct ManArgs {
    /// The folder, which is created if it does not exist.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
