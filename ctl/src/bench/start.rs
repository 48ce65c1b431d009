//! From the arguments to the report: makes what is needed, measures on a thread of its own, and listens for Ctrl-C.
//!
//! Ctrl-C, or a signal to end in another way, ends the measurement at the next chance, which is a second or two away,
//! so that folders, schemas and the private server are removed. There is no harder way to stop, as that would leave
//! them behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use cloacina::testing::{Scratch, sqlite_version};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};

use super::cell::{Backend, Level};
use super::endurance;
use super::folder::Folder;
use super::growth::{growth, of_contexts};
use super::http;
use super::listing;
use super::macros;
use super::measure::{Bench, Postgres, of};
use super::package::{Packaged, Workflows, noop, writers};
use super::plan::Plan;
use super::process;
use super::ratio::{Alone, CONTEXTS, LISTS, ratios};
use super::registering;
use super::report::{CellReport, Machine, Missing, Report, rounded};
use super::rounds::measure_all;
use super::server::Server;
use super::usage::machine_bytes;
use crate::cli::BenchArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Warning};
use crate::run::Interrupts;

/// Rounds unless told otherwise.
const ROUNDS: usize = 5;

/// Measures, and shows what came out.
pub(crate) fn bench(arguments: &BenchArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let (stop, interrupted) = watch::channel(false);
    let report = thread::scope(|scope| {
        let (end, ended) = oneshot::channel();
        let measuring = thread::Builder::new().name("cloacina-bench".to_owned()).spawn_scoped(scope, move || {
            let report = measure(arguments, output, config, interrupted);
            // The receiver waits as long as this runs.
            end.send(()).ok();
            report
        });
        let measuring = measuring.map_err(threads)?;
        wait(ended, &stop, output)?;
        measuring.join().map_err(|_| threads(std::io::Error::other("it panicked")))?
    })?;
    output.answer(&report, |paint| report.text(paint))?;
    Ok(exit::SUCCESS)
}

/// Waits for the end of the measurement; tells it if it is to end early.
fn wait(ended: oneshot::Receiver<()>, stop: &watch::Sender<bool>, output: &Output) -> Result<(), Error> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(threads)?;
    runtime.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        tokio::pin!(ended);
        loop {
            tokio::select! {
                // Without a sender it has ended, too.
                _ = &mut ended => return Ok(()),
                _ = interrupts.next() => {}
            }
            stop.send_replace(true);
            output.note("stopping: databases and the private server are removed first");
        }
    })
}

/// Makes what is needed, and measures everything.
fn measure(
    arguments: &BenchArgs,
    output: &Output,
    config: &Config,
    interrupted: watch::Receiver<bool>,
) -> Result<Report, Error> {
    let default = if arguments.tiny { 1 } else { ROUNDS };
    let rounds = arguments.rounds.map_or(default, |rounds| rounds as usize);
    let plan = Plan {
        only: arguments.only.as_deref().unwrap_or_default(),
        quick: arguments.quick,
        rounds,
        tiny: arguments.tiny,
    };
    let folder = Folder::make(arguments.dir.as_deref())?;
    if folder.is_in_memory {
        let message = format!(
            "`{}` is in memory: syncing costs nothing there; --dir names a folder on a disk",
            folder.path().display()
        );
        output.warning(&Warning { code: "WRN0006".into(), message });
    }
    if cfg!(debug_assertions) {
        let message = "this program was built for debugging: build it with --release to measure it".to_owned();
        output.warning(&Warning { code: "WRN0007".into(), message });
    }
    // What was named must be there, and that is told before anything is built.
    let version_of = |url: &str| Scratch::server_version(url).map_err(of("PostgreSQL"));
    let given = arguments.postgres.as_deref().map(version_of).transpose()?;
    let mut missing = Vec::new();
    let mut package = |what, fixture, given: Option<&Path>, workflows| {
        packaged((what, fixture), given, workflows, (&folder, &mut missing), output, config)
    };
    let packaged = package("packaged", "noop", arguments.package.as_deref(), noop())?;
    let written = package("packaged_contexts", "writers", arguments.writers.as_deref(), writers(plan.growth_sizes()))?;
    let server = server(arguments, &folder, &mut missing, output, config);
    let url = arguments.postgres.as_deref().or(server.as_ref().map(|server| server.url.as_str()));
    let version = match (given, url) {
        (None, Some(url)) => Some(version_of(url)?),
        (given, _) => given,
    };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(threads)?;
    let mut bench = Bench {
        folder: folder.path(),
        postgres: url.map(|url| Postgres { url, process: server.as_ref().and_then(|server| server.process) }),
        packaged: packaged.as_ref(),
        writers: written.as_ref(),
        interrupted,
        runtime: &runtime,
        workflows: BTreeMap::new(),
    };
    let cells: Vec<_> = Backend::ALL.into_iter().flat_map(|backend| plan.cells(backend)).collect();
    let rows = measure_all(&mut bench, &cells, plan.rounds, output)?;
    let growth_rows = measure_all(&mut bench, &plan.growth(), plan.rounds, output)?;
    let context_rows = measure_all(&mut bench, &plan.contexts(), plan.long_rounds(), output)?;
    let mut endurances = BTreeMap::new();
    if !plan.quick && plan.only.is_empty() {
        let measured = Backend::ALL.into_iter().filter(|backend| *backend == Backend::Sqlite || url.is_some());
        for backend in measured {
            endurances.insert(backend.as_str(), endurance::measure(&mut bench, backend, &plan, output)?);
        }
    }
    let mut lists = BTreeMap::new();
    let mut interface = BTreeMap::new();
    for backend in Backend::ALL.into_iter().filter(|backend| *backend == Backend::Sqlite || url.is_some()) {
        if plan.includes(listing::WHAT) {
            lists.insert(backend.as_str(), listing::measure(&bench, backend, &plan, output)?);
        }
        if plan.includes(http::WHAT) {
            interface.insert(backend.as_str(), http::measure(&mut bench, backend, &plan, output)?);
        }
    }
    let registering = match plan.includes(registering::WHAT) {
        true => registering::measure(&bench, plan.rounds, output)?,
        false => None,
    };
    let calls = match plan.includes(process::WHAT) {
        true => process::measure(&bench, &plan, output)?,
        false => None,
    };
    let macros = match plan.includes(macros::WHAT) {
        true => Some(macros::measure(&bench, &plan, output, config)?),
        false => None,
    };
    if let Some(Err(reason)) = &macros {
        missing.push(Missing { what: "macros", reason: reason.clone() });
    }
    let of_level = |level| {
        let rows = if level == Level::Embedded { &growth_rows } else { &context_rows };
        of_contexts(rows, level, plan.growth_sizes())
    };
    let alone = Alone {
        contexts: CONTEXTS.map(|(_, level)| of_level(level)),
        macros: macros.and_then(Result::ok),
        lists: LISTS.map(|(_, backend)| lists.get(backend.as_str()).and_then(|lists| lists.ratio)),
        http: Backend::ALL.map(|backend| interface.get(backend.as_str()).map(|http| http.ratios).unwrap_or_default()),
        registering: registering.as_ref().and_then(|measured| measured.ratio),
        process_added: calls.as_ref().and_then(|measured| measured.ratio),
    };
    let growth = growth(&growth_rows, plan.growth_sizes());
    let ratios = ratios(&rows, &growth, alone).into_iter().map(|(key, ratio)| (key, ratio.map(rounded))).collect();
    Ok(Report {
        format: Report::FORMAT,
        quick: plan.quick,
        rounds: plan.rounds,
        machine: Machine {
            cores: thread::available_parallelism().map_or(1, Into::into),
            memory_bytes: machine_bytes(),
            filesystem: folder.filesystem.clone(),
            sqlite: sqlite_version(),
            postgres: version,
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
        },
        missing,
        goals: Report::goals(&ratios),
        ratios,
        growth: growth.into_iter().map(|(shape, ratio)| (shape, ratio.map(rounded))).collect(),
        cells: rows.iter().chain(&growth_rows).chain(&context_rows).map(CellReport::new).collect(),
        registering,
        calls,
        lists,
        http: interface,
        endurance: endurances,
    })
}

/// A package, if it is given or can be built of that fixture.
fn packaged(
    (what, fixture): (&'static str, &str),
    given: Option<&Path>,
    workflows: Workflows,
    (folder, missing): (&Folder, &mut Vec<Missing>),
    output: &Output,
    config: &Config,
) -> Result<Option<Packaged>, Error> {
    if let Some(path) = given {
        return Packaged::read(path, workflows).map(Some);
    }
    output.note(&format!("building the package tests/fixtures/{fixture}"));
    match Packaged::build(fixture, workflows, folder.path(), output, config) {
        Ok(packaged) => Ok(Some(packaged)),
        Err(reason) => {
            missing.push(Missing { what, reason });
            Ok(None)
        }
    }
}

/// The private server, if none is named and PostgreSQL is there.
fn server(
    arguments: &BenchArgs,
    folder: &Folder,
    missing: &mut Vec<Missing>,
    output: &Output,
    config: &Config,
) -> Option<Server> {
    if arguments.postgres.is_some() {
        return None;
    }
    let started = if arguments.no_postgres {
        Err("left out with --no-postgres".to_owned())
    } else {
        match Server::find_programs(config) {
            Some(programs) => {
                output.note(&format!("starting a private PostgreSQL server with {}", programs.display()));
                Server::start(&programs, folder.parent())
            }
            None => Err("no initdb, pg_ctl and postgres were found on this machine".to_owned()),
        }
    };
    match started {
        Ok(server) => Some(server),
        Err(reason) => {
            missing.push(Missing { what: "postgres", reason });
            None
        }
    }
}

fn threads(source: std::io::Error) -> Error {
    Error::Io { action: "start threads for", path: "the benchmark".into(), source }
}
