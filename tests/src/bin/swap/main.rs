//! Swaps the version of a package again and again under load, and checks that no run notices:
//! `cargo run --release -p cloacina-tests --bin swap -- --swaps 1000`.
//!
//! ```text
//! submitters: always --in-flight runs of two tasks ──► engine ◄── swapper: a new version becomes active, is rolled back,
//!      └─ each run: completed? both tasks by the version        gets a half, is retired and activated again; the one of
//!         that it was pinned to?                                some swaps ago is removed once its runs have ended
//! ```
//! Counted are runs that failed or that two versions had a hand in; measured are the time of a swap, and per swap the
//! growth of the process's memory, its file descriptors and its threads, over the second half of the swaps, when
//! everything that grows once has grown. A library is never unmapped, so some growth of memory is expected, but with
//! `--isolation process`, where versions run in processes of their own, which are counted too. The last line is the result
//! as JSON; a run that failed or was mixed, a process or a descriptor left over, is exit code 1.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a harness is a program that prints")]
#![expect(clippy::disallowed_methods, reason = "a harness that measures reads the clock")]

mod load;
mod options;
mod package;
mod usage;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use cloacina::{Engine, HostProgram, Isolation, package_host};
use serde_json::json;
use tempfile::TempDir;

use self::{
    load::{Account, Load},
    options::Options,
    package::Versions,
    usage::Usage,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How many versions stay registered behind the active one, so that some are always draining.
const KEPT: usize = 8;

/// The argument that makes this program the process of a package.
const HOST: &str = "package-host";

/// The program that swaps.
const ACTOR: &str = "swap";

/// Runs that may end while a version waits for its own; far more than are ever under way.
const PATIENCE: usize = 100_000;

/// Runs that may end while processes and descriptors of the last versions go.
const SETTLING: usize = 20_000;

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|role| role == HOST) {
        return Ok(package_host());
    }
    let options = options::parse(&arguments)?;
    tokio::runtime::Runtime::new()?.block_on(swap(&options))
}

async fn swap(options: &Options) -> Result<ExitCode, Failure> {
    let folder = tempfile::tempdir()?;
    let versions = Versions::compile(folder.path())?;
    let engine = start(&folder, options.isolation).await?;
    engine.registry().register_workflow(versions.archive(0)?).await?;
    let load = Load::start(&engine, options.in_flight);
    let mut took = Vec::with_capacity(options.swaps);
    let mut middle = Usage::now()?;
    for number in 1..=options.swaps {
        if number == n_warming(options.swaps) + 1 {
            middle = Usage::now()?;
        }
        let archive = versions.archive(number)?;
        let begun = Instant::now();
        engine.registry().register_workflow(archive).await?;
        took.push(begun.elapsed());
        load.made_progress().await?;
        steer(&engine, &load, number).await?;
        if let Some(old) = number.checked_sub(KEPT) {
            remove(&engine, &load, &Versions::text(old)).await?;
        }
        if number.is_multiple_of(100) {
            eprintln!("{number} swaps, {} runs", load.account().completed);
        }
    }
    let end = settled(&load, &middle).await?;
    let account = load.stop().await?;
    engine.shutdown().await?;
    report(&account, &mut took, &middle, &end)
}

/// The memory after the remains of the last swaps were freed; memory that stays after that is a leak. The
/// memory is that of the moment at which the swaps ended.
async fn settled(load: &Load, middle: &Usage) -> Result<Usage, Failure> {
    let mut end = Usage::now()?;
    let private_kib = end.private_kib;
    for _ in 0..SETTLING {
        if !end.exceeds(middle) {
            break;
        }
        load.made_progress().await?;
        end = Usage::now()?;
    }
    Ok(Usage { private_kib, ..end })
}

async fn start(folder: &TempDir, isolation: Isolation) -> Result<Engine, Failure> {
    let database = folder.path().join("swap.db").display().to_string();
    let builder = Engine::builder().database(database);
    let builder = match isolation {
        Isolation::Inline => builder,
        Isolation::Process => builder.package_host(HostProgram::this(HOST)),
    };
    Ok(builder.start().await?)
}

/// Goes back and forth between the newest version and the one before, in each of the ways that there are.
async fn steer(engine: &Engine, load: &Load, number: usize) -> Result<(), Failure> {
    let (registry, newest) = (engine.registry(), format!("swapped@{}", Versions::text(number)));
    match number % 4 {
        0 => {
            registry.roll_back("swapped", ACTOR).await?;
            load.made_progress().await?;
            registry.activate(&newest, None, ACTOR).await?;
        }
        1 => {
            registry.roll_back("swapped", ACTOR).await?;
            registry.activate(&newest, Some(50), ACTOR).await?;
            load.made_progress().await?;
            registry.activate(&newest, None, ACTOR).await?;
        }
        2 => {
            let before = format!("swapped@{}", Versions::text(number - 1));
            registry.activate(&before, None, ACTOR).await?;
            registry.retire(&newest, ACTOR).await?;
            load.made_progress().await?;
            registry.activate(&newest, None, ACTOR).await?;
        }
        _ => {}
    }
    load.made_progress().await
}

/// Removes a version as soon as its last run has ended.
async fn remove(engine: &Engine, load: &Load, version: &str) -> Result<(), Failure> {
    for _ in 0..PATIENCE {
        match engine.registry().remove(&format!("swapped@{version}"), ACTOR).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == "REG0006" => load.made_progress().await?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(format!("runs of {version} do not end").into())
}

/// Swaps before the growth is measured.
fn n_warming(n_swaps: usize) -> usize {
    n_swaps / 2
}

fn report(account: &Account, took: &mut [Duration], middle: &Usage, end: &Usage) -> Result<ExitCode, Failure> {
    let n_measured = took.len() - n_warming(took.len());
    took.sort_unstable();
    let at = |permille: usize| took.get((took.len() - 1) * permille / 1000).map_or(0.0, |time| ms(*time));
    let per_swap = |from: u64, to: u64| (to as f64 - from as f64) / n_measured.max(1) as f64;
    let growth = json!({
        "private_kib_per_swap": per_swap(middle.private_kib, end.private_kib),
        "descriptors": end.descriptors as i64 - middle.descriptors as i64,
        "threads": end.threads as i64 - middle.threads as i64,
        "processes": end.children as i64 - middle.children as i64,
    });
    let result = json!({
        "swaps": took.len(),
        "runs": account.completed,
        "failed": account.failed,
        "mixed": account.mixed,
        "swap_ms": { "p50": at(500), "p99": at(990), "max": at(1000) },
        "growth": growth,
    });
    println!("{result}");
    if let Some(example) = &account.example {
        eprintln!("for example: {example}");
    }
    let is_clean = account.failed == 0 && account.mixed == 0 && !end.exceeds(middle);
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
