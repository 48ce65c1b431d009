//! An engine that itself holds much memory: `heavy FOLDER PACKAGE_HOST MIB ARCHIVE WORKFLOW…`.
//!
//! It holds so many MiB before it starts anything, runs each workflow once in processes of their own, and tells of each,
//! a line each: its state, the most memory that the process of its last attempt held in bytes or `unknown`, and what the
//! attempt failed of.

use std::{env::args, fs, hint::black_box, io, io::Write as _, path::PathBuf};

use cloacina::{Context, Engine, HostProgram};
use tokio::runtime::Runtime;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = args().skip(1);
    let mut next = |what: &str| arguments.next().ok_or_else(|| format!("{what} is missing"));
    let (folder, program) = (PathBuf::from(next("FOLDER")?), next("PACKAGE_HOST")?);
    let (mib, archive) = (next("MIB")?.parse::<usize>()?, fs::read(next("ARCHIVE")?)?);
    let held = black_box(vec![1_u8; mib << 20]);
    Runtime::new()?.block_on(async {
        let database = folder.join("heavy.db").display().to_string();
        let program = HostProgram::new(program, "package-host");
        let engine = Engine::builder().database(database).package_host(program).start().await?;
        engine.registry().register_workflow(archive).await?;
        for workflow in arguments {
            let run = engine.scheduler().schedule_workflow(&workflow, Context::new()).await?;
            let report = run.wait().await?;
            let usage = run.usage().await?;
            let call = usage.tasks.first().and_then(|task| task.calls.last());
            let peak = call.and_then(|call| call.peak_bytes).map_or("unknown".to_owned(), |bytes| bytes.to_string());
            let error = report.tasks.first().and_then(|task| task.error.as_ref()).map(ToString::to_string);
            writeln!(io::stdout(), "{} {peak} {}", report.state.as_str(), error.unwrap_or_default())?;
        }
        engine.shutdown().await?;
        Ok::<(), Failure>(())
    })?;
    drop(black_box(held));
    Ok(())
}
