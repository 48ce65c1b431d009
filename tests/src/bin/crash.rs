//! Kills an engine at random moments, again and again, and checks that nothing acknowledged was lost or repeated:
//! `cargo run --release -p cloacina-tests --bin crash -- --kills 200`.
//!
//! ```text
//! crash ── starts ──► crash worker: engine on one database, the package `ledger`, 64 runs at once
//!   ▲   ◄─ stdout ──   "submitted RUN", "completed RUN TASK", "ended RUN STATE": each after it was acknowledged
//!   └──── SIGKILL ──►  after a random number of lines and a random moment more
//! ```
//! The tasks append to a ledger, a file outside of the engine. At the end one more worker lets every run end, and the three
//! accounts are held against each other: what was acknowledged, what the ledger says, what the database says.
//! `reexecuted` counts ledger entries of a later process for a task whose completion an earlier process acknowledged,
//! and second entries for one attempt. The last line is the result as JSON; anything but zeros is exit code 1.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a harness is a program that prints")]

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    fs::{self, File},
    io::{BufRead, BufReader, Write, stdout},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc,
    time::Duration,
};

use cloacina::{Context, Engine, NoticeKind, RunState};
use cloacina_tests::archive;
use serde_json::json;
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

const USAGE: &str = "usage: crash [--kills N] [--seed N] [--database FILE]";
/// Runs under way at once in a worker.
const RUNS_AT_ONCE: usize = 64;
/// Lines that a worker may say before it is killed.
const LINES_MAX: u64 = 600;
/// Runs that nobody let end within that time are stuck.
const PATIENCE: Duration = Duration::from_secs(120);

struct Options {
    kills: u64,
    seed: u64,
    database: Option<PathBuf>,
}

/// What the workers said, and which process said it.
#[derive(Default)]
struct Acknowledged {
    submitted: HashSet<String>,
    /// The process that acknowledged the completion, by run and task.
    completed: HashMap<(String, String), u32>,
    ended: HashMap<String, String>,
}

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker", database, ledger, package, mode] => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(work(database, ledger, Path::new(package), mode == "drain"))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => supervise(&parse(&arguments)?),
    }
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options { kills: 200, seed: 1, database: None };
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--kills" => options.kills = value.parse()?,
            [name, value] if name == "--seed" => options.seed = value.parse()?,
            [name, value] if name == "--database" => options.database = Some(value.into()),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(options)
}

/// The parent: starts workers and kills them.
fn supervise(options: &Options) -> Result<ExitCode, Failure> {
    eprintln!("building the package ...");
    let package = archive::path("ledger", "tests/fixtures/ledger", &[]);
    let folder = tempfile::tempdir()?;
    let database = options.database.clone().unwrap_or_else(|| folder.path().join("runs.db"));
    let ledger = folder.path().join("ledger");
    File::create(&ledger)?;
    let start = |mode: &str| {
        Command::new(std::env::current_exe()?)
            .args(["worker".as_ref(), database.as_os_str(), ledger.as_os_str(), package.as_os_str(), mode.as_ref()])
            .stdout(Stdio::piped())
            .spawn()
    };
    let mut random = options.seed;
    let mut said = Acknowledged::default();
    for kill in 1..=options.kills {
        let n_lines = step(&mut random) % LINES_MAX;
        let moment = Duration::from_micros(step(&mut random) % 2_000);
        kill_after(start("load")?, n_lines, moment, &mut said)?;
        if kill % 10 == 0 {
            eprintln!("killed {kill} of {} ({} runs acknowledged)", options.kills, said.submitted.len());
        }
    }
    eprintln!("letting every run end ...");
    let mut last = start("drain")?;
    let lines = said_by(&mut last)?;
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        said.note(last.id(), &line);
    }
    last.kill()?;
    last.wait()?;
    judge(options, &said, &fs::read_to_string(&ledger)?)
}

/// Lets a worker say that many lines, waits a moment more and kills it. What it said before it died counts.
fn kill_after(mut worker: Child, n_lines: u64, moment: Duration, said: &mut Acknowledged) -> Result<(), Failure> {
    let lines = said_by(&mut worker)?;
    for _ in 0..n_lines {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => said.note(worker.id(), &line),
            Err(_) => return Err("a worker died by itself, or does nothing".into()),
        }
    }
    if let Ok(line) = lines.recv_timeout(moment) {
        said.note(worker.id(), &line);
    }
    worker.kill()?;
    worker.wait()?;
    for line in lines {
        said.note(worker.id(), &line);
    }
    Ok(())
}

/// The lines of a worker; a last one without an end is dropped.
fn said_by(worker: &mut Child) -> Result<mpsc::Receiver<String>, Failure> {
    let mut output = BufReader::new(worker.stdout.take().ok_or("the worker has no output")?);
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while output.read_line(&mut line).is_ok_and(|n_bytes| n_bytes > 0) {
            match line.strip_suffix('\n') {
                Some(whole) if sender.send(whole.to_owned()).is_ok() => line.clear(),
                _ => return,
            }
        }
    });
    Ok(lines)
}

/// The next number of a small generator (SplitMix64, Steele, Lea and Flood 2014): the same seed, the same kills.
fn step(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Acknowledged {
    fn note(&mut self, process: u32, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["submitted", run] => drop(self.submitted.insert(run.to_owned())),
            ["completed", run, task] => {
                self.completed.entry((run.to_owned(), task.to_owned())).or_insert(process);
            }
            ["ended", run, state] => drop(self.ended.insert(run.to_owned(), state.to_owned())),
            _ => eprintln!("a worker said: {line}"),
        }
    }
}

/// Holds the accounts against each other.
fn judge(options: &Options, said: &Acknowledged, ledger: &str) -> Result<ExitCode, Failure> {
    let (mut entries, mut attempts) = (HashSet::new(), HashSet::new());
    let mut reexecuted = 0;
    for line in ledger.lines() {
        let (process, key) = line.split_once(' ').ok_or("the ledger is damaged")?;
        let process: u32 = process.parse()?;
        let mut parts = key.split('/').map(str::to_owned);
        let (run, task) = (parts.next().ok_or("no run")?, parts.next().ok_or("no task")?);
        let again = !attempts.insert(key.to_owned());
        let task = (run, task);
        let after = said.completed.get(&task).is_some_and(|acknowledged_by| *acknowledged_by != process)
            && entries.contains(&(task.clone(), said.completed[&task]));
        reexecuted += u64::from(again || after);
        entries.insert((task, process));
    }
    let lost_completions =
        said.completed.iter().filter(|(task, by)| !entries.contains(&((*task).clone(), **by))).count();
    let stuck = said.submitted.iter().filter(|run| !said.ended.contains_key(*run)).count();
    let wrong = said.submitted.iter().filter(|run| said.ended.get(*run).is_some_and(|state| state != "completed"));
    let lost = wrong.count() + lost_completions;
    let acknowledged = said.submitted.len();
    println!(
        "{}",
        json!({
            "kills": options.kills, "acknowledged": acknowledged, "lost": lost, "reexecuted": reexecuted, "stuck": stuck,
        })
    );
    Ok(if lost == 0 && reexecuted == 0 && stuck == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The child: runs the package and says what was acknowledged, until it is killed or, draining, until all have ended.
async fn work(database: &str, ledger: &str, package: &Path, drain: bool) -> Result<(), Failure> {
    let engine = Engine::builder().database(database).start().await?;
    let mut notices = engine.subscribe();
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        while let Some(notice) = notices.next().await {
            if let (NoticeKind::Completed, Some(task)) = (&notice.kind, &notice.task)
                && say(&format!("completed {} {task}", notice.run)).is_err()
            {
                return;
            }
        }
    });
    engine.registry().register_workflow(fs::read(package)?).await?;
    if drain {
        let mut last = None;
        loop {
            let page = engine.runs(last).await?;
            for run in &page {
                let report = engine.run(run.id).await?.wait().await?;
                say(&format!("ended {} {}", run.id, report.state))?;
            }
            match page.last() {
                Some(run) => last = Some(run.id),
                None => return Ok(engine.shutdown().await?),
            }
        }
    }
    let mut runs = JoinSet::new();
    loop {
        while runs.len() < RUNS_AT_ONCE {
            let (engine, ledger) = (engine.clone(), ledger.to_owned());
            runs.spawn(async move {
                let input = Context::from_object(json!({ "ledger": ledger })).unwrap_or_default();
                let run = engine.scheduler().schedule_workflow("ledger", input).await?;
                say(&format!("submitted {}", run.id()))?;
                let report = run.wait().await?;
                if report.state != RunState::Completed {
                    return Err(format!("run {} is {}", run.id(), report.state).into());
                }
                Ok::<(), Failure>(())
            });
        }
        if let Some(ended) = runs.join_next().await {
            ended??;
        }
    }
}

/// One line in one write, so that a kill leaves it whole or out.
fn say(line: &str) -> Result<(), std::io::Error> {
    let mut output = stdout().lock();
    output.write_all(format!("{line}\n").as_bytes())?;
    output.flush()
}
