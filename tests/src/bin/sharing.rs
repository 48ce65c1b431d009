//! One of several engines on one database, as the tests of sharing start it: `sharing DATABASE FOLDER LEASE_MS`.
//!
//! It does what its standard input says, a line each, and tells what comes of it:
//!
//! | input | answer |
//! |---|---|
//! | `submit WORKFLOW` | `submitted RUN`, once that is durable; later `ended RUN STATE` or `lost RUN CODE` to its handle |
//! | | `refused CODE: REASON` if the run was not created, or may not have been |
//! | | `finished RUN STATE` when a run ends here, whichever engine submitted it |
//!
//! Each attempt notes `PROCESS RUN/TASK/ATTEMPT begun` in the file `ledger` of the folder before it does anything, and the
//! same with `done` after; tasks called `held` wait in between until there is a file `go`. With the input it ends.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use cloacina::{Context, Engine, NoticeKind, TaskError, Value};
use tokio::{runtime::Runtime, task::JoinSet};

type Failure = Box<dyn std::error::Error + Send + Sync>;

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// How often it is looked for the file that lets held tasks go on.
const LOOK: Duration = Duration::from_millis(5);

fn note(context: &Context<Value>, what: &str) -> Result<(), TaskError> {
    let key = context.attempt_key().to_owned();
    let line = format!("{} {key} {what}\n", std::process::id());
    let path = folder().join("ledger");
    let mut ledger: File = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
    ledger.write_all(line.as_bytes()).map_err(failed)
}

fn failed(error: io::Error) -> TaskError {
    TaskError::permanent(error.to_string())
}

fn folder() -> &'static Path {
    FOLDER.get().map_or(Path::new("."), PathBuf::as_path)
}

fn noted(context: &mut Context<Value>, is_held: bool) -> Result<(), TaskError> {
    note(context, "begun")?;
    while is_held && !folder().join("go").exists() {
        std::thread::park_timeout(LOOK);
    }
    note(context, "done")?;
    let task = context.task().map(|info| info.task.clone()).unwrap_or_default();
    // Which process it was whose completion counts.
    context.insert(task, Value::from(std::process::id()))?;
    Ok(())
}

#[cloacina::workflow(name = "chain")]
pub mod chain {
    use super::*;

    #[cloacina::task(id = "first", dependencies = [])]
    pub fn first(context: &mut Context<Value>) -> Result<(), TaskError> {
        noted(context, false)
    }

    #[cloacina::task(id = "held", dependencies = ["first"])]
    pub fn held(context: &mut Context<Value>) -> Result<(), TaskError> {
        noted(context, true)
    }

    #[cloacina::task(id = "last", dependencies = ["held"])]
    pub fn last(context: &mut Context<Value>) -> Result<(), TaskError> {
        noted(context, false)
    }
}

#[cloacina::workflow(name = "once")]
pub mod once {
    use super::*;

    #[cloacina::task(id = "held", dependencies = [], at_most_once = true)]
    pub fn held(context: &mut Context<Value>) -> Result<(), TaskError> {
        noted(context, true)
    }
}

#[cloacina::workflow(name = "again")]
pub mod again {
    use super::*;

    /// Fails the first time; the second attempt comes when the engine that began it has been stopped.
    #[cloacina::task(id = "flaky", dependencies = [], retry_attempts = 1, retry_delay_ms = 1500, retry_jitter = false)]
    pub fn flaky(context: &mut Context<Value>) -> Result<(), TaskError> {
        noted(context, false)?;
        match context.attempt() {
            1 => Err(TaskError::transient("as planned")),
            _ => Ok(()),
        }
    }
}

#[cloacina::workflow(name = "quick")]
pub mod quick {
    use super::*;

    #[cloacina::task(id = "only", dependencies = [])]
    pub fn only(context: &mut Context<Value>) -> Result<(), TaskError> {
        noted(context, false)
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, folder, lease_ms] = &arguments[..] else { return Err("sharing DATABASE FOLDER LEASE_MS".into()) };
    FOLDER.get_or_init(|| PathBuf::from(folder));
    let runtime = Runtime::new()?;
    let (engine, mut telling) = runtime.block_on(start(database, folder, Duration::from_millis(lease_ms.parse()?)))?;
    for line in io::stdin().lock().lines() {
        match line?.split_once(' ') {
            Some(("submit", workflow)) => runtime.block_on(submit(&engine, workflow, &mut telling))?,
            _ => return Err("unknown input".into()),
        }
    }
    Ok(runtime.block_on(engine.shutdown_within(Duration::ZERO))?)
}

async fn start(database: &str, folder: &str, lease: Duration) -> Result<(Engine, JoinSet<()>), Failure> {
    let engine = Engine::builder()
        .database(database)
        .data_dir(Path::new(folder).join(std::process::id().to_string()))
        .lease(lease)
        .workflow(chain::workflow())
        .workflow(once::workflow())
        .workflow(again::workflow())
        .workflow(quick::workflow());
    let engine = engine.start().await?;
    let mut notices = engine.subscribe();
    let mut telling = JoinSet::new();
    telling.spawn(async move {
        while let Some(notice) = notices.next().await {
            if let NoticeKind::RunFinished { state } = notice.kind {
                say(&format!("finished {} {state}", notice.run));
            }
        }
    });
    say("ready");
    Ok((engine, telling))
}

async fn submit(engine: &Engine, workflow: &str, telling: &mut JoinSet<()>) -> Result<(), Failure> {
    let run = match engine.scheduler().schedule_workflow(workflow, Context::new()).await {
        Ok(run) => run,
        Err(error) => {
            say(&format!("refused {}: {error}", error.code()));
            return Ok(());
        }
    };
    say(&format!("submitted {}", run.id()));
    telling.spawn(async move {
        match run.wait().await {
            Ok(report) => say(&format!("ended {} {}", report.id, report.state)),
            Err(error) => say(&format!("lost {} {}", run.id(), error.code())),
        }
    });
    Ok(())
}

/// One line in one write, so that it is whole wherever the process is stopped.
fn say(line: &str) {
    let mut output = io::stdout().lock();
    // Without a listener there is no receiver.
    output.write_all(format!("{line}\n").as_bytes()).and_then(|()| output.flush()).ok();
}
