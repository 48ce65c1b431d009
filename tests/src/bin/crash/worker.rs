//! The child: an engine that runs the package `ledger` and says what was acknowledged, a line each.
//!
//! | mode | what it does |
//! |---|---|
//! | `load` | 64 runs at once, until it is killed |
//! | `drain` | lets every run of the database end, and ends |
//! | `single` | waits for a word, then does some runs, one after the other, and ends |

use std::{
    io::{self, Write, stdin, stdout},
    path::Path,
    time::Duration,
};

use cloacina::{Context, Engine, Error, NoticeKind, RunId, RunReport, RunState, Sabotage, TaskReport, TaskState};
use serde_json::json;
use tokio::task::JoinSet;

use crate::Failure;

/// Runs under way at once under load.
const RUNS_AT_ONCE: usize = 64;

/// Runs of the mode `single`.
pub(crate) const RUNS_IN_A_ROW: u64 = 40;

/// After so many in a row the engine fails a task, so that a package which kills its engine cannot do so for ever.
const INTERRUPTIONS_MAX: u32 = 3;

/// Short, so that suspended engines are taken over soon. A killed engine is not waited for.
const LEASE: Duration = Duration::from_millis(1000);

pub(crate) async fn work(arguments: &[String]) -> Result<(), Failure> {
    let [database, folder, package, mode, sabotage] = arguments else { return Err("the arguments are missing".into()) };
    let folder = Path::new(folder);
    let sabotage = Sabotage { unfenced: sabotage == "fence", unsynced: sabotage == "sync", ..Sabotage::default() };
    // Two engines on one file would have one socket.
    let has_socket = !sabotage.unfenced;
    let engine = Engine::builder().database(database).data_dir(folder.join("data"));
    let engine = engine.lease(LEASE).socket(has_socket).sabotage(sabotage);
    let engine = engine.start().await?;
    let mut notices = engine.subscribe();
    let mut telling = JoinSet::new();
    telling.spawn(async move {
        while let Some(notice) = notices.next().await {
            if let (NoticeKind::Completed, Some(task)) = (&notice.kind, &notice.task)
                && say(&format!("completed {} {task} {}", notice.run, notice.attempt)).is_err()
            {
                return;
            }
        }
    });
    engine.registry().register_workflow(std::fs::read(package)?).await?;
    let ledger = folder.join("ledger").display().to_string();
    match mode.as_str() {
        "drain" => drain(&engine).await?,
        "single" => single(&engine, &ledger).await?,
        _ => load(&engine, &ledger).await?,
    }
    Ok(engine.shutdown().await?)
}

async fn drain(engine: &Engine) -> Result<(), Failure> {
    let mut last = None;
    loop {
        let page = engine.runs(last).await?;
        for run in &page {
            let state = ended(engine, run.id).await?;
            say(&format!("ended {} {state}", run.id))?;
        }
        match page.last() {
            Some(run) => last = Some(run.id),
            None => return Ok(()),
        }
    }
}

/// The state of a run at its end, or `interrupted` if the rule about interruptions failed it. A worker that was killed in the
/// middle of a commit is taken over from a moment later.
async fn ended(engine: &Engine, run: RunId) -> Result<String, Failure> {
    loop {
        match engine.run(run).await?.wait().await {
            Ok(report) if is_interrupted(&report) => return Ok("interrupted".to_owned()),
            Ok(report) => return Ok(report.state.to_string()),
            Err(Error::ShutDown) => tokio::task::yield_now().await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether every task that failed did so because it was interrupted as often in a row as a task may be.
fn is_interrupted(report: &RunReport) -> bool {
    let mut failed = report.tasks.iter().filter(|task| task.state == TaskState::Failed).peekable();
    let of_kind = |task: &TaskReport| task.error.as_ref().is_some_and(|error| error.kind() == "interrupted");
    failed.peek().is_some() && failed.all(|task| of_kind(task) && task.attempt >= Some(INTERRUPTIONS_MAX))
}

async fn single(engine: &Engine, ledger: &str) -> Result<(), Failure> {
    say("ready")?;
    stdin().read_line(&mut String::new())?;
    for _ in 0..RUNS_IN_A_ROW {
        one(engine.clone(), ledger.to_owned()).await?;
    }
    Ok(())
}

async fn load(engine: &Engine, ledger: &str) -> Result<(), Failure> {
    let mut runs = JoinSet::new();
    loop {
        while runs.len() < RUNS_AT_ONCE {
            runs.spawn(one(engine.clone(), ledger.to_owned()));
        }
        if let Some(ended) = runs.join_next().await {
            ended??;
        }
    }
}

async fn one(engine: Engine, ledger: String) -> Result<(), Failure> {
    let input = Context::from_object(json!({ "ledger": ledger })).unwrap_or_default();
    let run = engine.scheduler().schedule_workflow("ledger", input).await?;
    say(&format!("submitted {}", run.id()))?;
    match run.wait().await {
        Ok(report) if report.state == RunState::Completed => Ok(()),
        Ok(report) => Err(format!("run {} is {}", run.id(), report.state).into()),
        // Another worker has it by now.
        Err(Error::Fenced { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// One line in one write, so that a kill leaves it whole or out.
fn say(line: &str) -> Result<(), io::Error> {
    let mut output = stdout().lock();
    output.write_all(format!("{line}\n").as_bytes())?;
    output.flush()
}
