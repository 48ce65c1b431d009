//! The one program of Cloacina. Starts the command line and hands its exit code to the system; everything else is
//! below `cli` (what was asked for), one file per verb, `output` (the only place that prints) and `exit`.

mod cli;
mod config;
#[expect(dead_code, reason = "`run`, which uses the rest, lands next")]
mod error;
mod exit;
#[expect(dead_code, reason = "`run`, which uses the rest, lands next")]
mod output;
#[expect(dead_code, unused_imports, reason = "`run`, which uses the rest, lands next")]
mod package;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os().collect())
}
