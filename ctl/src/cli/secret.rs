//! `--secret`, which every command takes that makes a run.

use clap::Args;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SecretArgs {
    /// A value of the input that is redacted in logs, errors and reports: KEY=@FILE from a file, KEY=env:VARIABLE from
    /// the environment, KEY=VALUE literally, which other users of the machine can see; may be repeated.
    #[arg(long, value_name = "KEY=SOURCE")]
    pub(crate) secret: Vec<String>,
}
