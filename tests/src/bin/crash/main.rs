//! Kills an engine at random moments, again and again, and checks that nothing acknowledged was lost or repeated:
//! `cargo run --release -p cloacina-tests --bin crash -- --kills 200`.
//!
//! ```text
//! crash ── starts ──► crash worker: engine on one database, the package `ledger`, 64 runs at once
//!   ▲   ◄─ stdout ──   "submitted RUN", "completed RUN TASK ATTEMPT", "ended RUN STATE": each after it was acknowledged
//!   └──── SIGKILL ──►  after a random number of lines and a random moment more
//! ```
//! The tasks append to a ledger, a file outside of the engine. At the end one more worker lets every run end, and the three
//! accounts are held against each other: what was acknowledged, what the ledger says, what the database says
//! ([`account`]). Before that it is counted how often the disk is waited for ([`sync`]). The last line is the result as
//! JSON; anything but zeros is exit code 1.
//!
//! A harness that finds nothing must be able to find something: `--sabotage fence` lets owners go on that were taken over
//! from, and `--sabotage sync` does not wait for the disk. Both must end with exit code 1.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a harness is a program that prints")]

mod account;
mod options;
mod process;
mod sync;
mod worker;

use std::{
    fs::{self, File},
    process::ExitCode,
    time::Duration,
};

use cloacina_tests::archive;

use self::{
    account::Acknowledged,
    options::{Options, Sabotaged},
    process::{Process, Started},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Lines that a worker may say before it is killed.
const LINES_MAX: u64 = 600;

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [worker, arguments @ ..] if worker == "worker" => {
            tokio::runtime::Runtime::new()?.block_on(worker::work(arguments))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => supervise(&options::parse(&arguments)?),
    }
}

/// The parent: starts workers and kills them.
fn supervise(options: &Options) -> Result<ExitCode, Failure> {
    eprintln!("building the package ...");
    let package = archive::path("ledger", "tests/fixtures/ledger", &[]);
    let folder = tempfile::tempdir()?;
    File::create(folder.path().join("ledger"))?;
    let database = options.database.clone().unwrap_or_else(|| folder.path().join("runs.db").display().to_string());
    let started = Started { database, folder: folder.path().to_owned(), package, sabotage: options.sabotage };
    let mut said = Acknowledged::default();
    let n_unsynced = match options.sabotage {
        // That the disk is waited for is not in question then.
        Some(Sabotaged::Fence) => {
            replace_again_and_again(options, &started, &mut said)?;
            0
        }
        Some(Sabotaged::Sync) | None => {
            let n_unsynced = sync::count_missing(&started, options)?;
            kill_again_and_again(options, &started, &mut said)?;
            n_unsynced
        }
    };
    eprintln!("letting every run end ...");
    let last = started.start("drain")?;
    while let Some(line) = last.line(process::PATIENCE) {
        said.note(last.id(), &line);
    }
    last.kill(&mut said)?;
    let charges = fs::read_dir(folder.path().join("ledger.charges"))?;
    let charges = charges.map(|charge| Ok(charge?.file_name().to_string_lossy().into_owned()));
    let charges: Vec<String> = charges.collect::<Result<_, std::io::Error>>()?;
    said.check(options.kills, n_unsynced, (&fs::read_to_string(folder.path().join("ledger"))?, &charges))
}

fn kill_again_and_again(options: &Options, started: &Started, said: &mut Acknowledged) -> Result<(), Failure> {
    let mut random = options.seed;
    for kill in 1..=options.kills {
        let n_lines = step(&mut random) % LINES_MAX;
        let moment = Duration::from_micros(step(&mut random) % 2_000);
        let mut worker = started.start("load")?;
        worker.hear(n_lines, said)?;
        if let Some(line) = worker.line(moment) {
            said.note(worker.id(), &line);
        }
        worker.kill(said)?;
        progress(kill, options, said);
    }
    Ok(())
}

/// Each worker is replaced by the next one while it is stopped, then it goes on until something was done twice, and is
/// killed after that.
fn replace_again_and_again(options: &Options, started: &Started, said: &mut Acknowledged) -> Result<(), Failure> {
    let mut random = options.seed;
    let mut worker = started.start("load")?;
    worker.hear(step(&mut random) % LINES_MAX, said)?;
    for kill in 1..=options.kills {
        worker.stop_between_writes(started)?;
        let next = started.start("load")?;
        next.hear_takeover(&worker, said)?;
        worker.signal("CONT")?;
        worker.hear_repetition(&next, said, started.shares())?;
        worker.kill(said)?;
        worker = next;
        progress(kill, options, said);
    }
    worker.kill(said)
}

fn progress(kill: u64, options: &Options, said: &Acknowledged) {
    if kill.is_multiple_of(10) {
        eprintln!("killed {kill} of {} ({} runs acknowledged)", options.kills, said.n_submitted());
    }
}

/// The next number of a small generator (SplitMix64, Steele, Lea and Flood 2014): the same seed, the same kills.
fn step(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Process {
    fn hear(&mut self, n_lines: u64, said: &mut Acknowledged) -> Result<(), Failure> {
        let mut n_left = n_lines;
        self.hear_until(said, |_, _| {
            n_left = n_left.saturating_sub(1);
            n_left == 0
        })
    }
}
