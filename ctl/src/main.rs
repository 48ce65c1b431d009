//! The one program of Cloacina. Starts the command line and hands its exit code to the system; everything else is
//! below `cli` (what was asked for), one file per verb, `output` (the only place that prints) and `exit`.

#![forbid(unsafe_code)]

mod access;
mod actor;
mod backup;
mod bench;
mod cli;
mod completions;
mod config;
mod database;
mod demo;
mod doctor;
mod document;
mod echo;
mod error;
mod exit;
mod explain;
mod isolation;
mod key;
mod log;
mod man;
mod output;
mod package;
mod place;
mod profile;
mod prune;
mod reader;
mod retention;
mod run;
mod runs;
mod secret_file;
mod server;
mod table;
mod trust;
mod usage;
mod workflow;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os().collect())
}
