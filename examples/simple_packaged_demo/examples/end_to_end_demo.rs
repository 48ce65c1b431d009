//! From source to result, every step for real: `cargo run --example end_to_end_demo`.
//!
//! Builds this crate into a package, starts an engine that knows nothing of it, registers the archive's bytes, runs the
//! workflow and shows the tasks as they run, what each of them changed, and the final context. The engine keeps its
//! database and the loaded library in a temporary folder.

use std::{error::Error, fs, time::Instant};

use cloacina::{Context, Engine, NoticeKind, RunState};
use cloacina_packager::build::{Options, Progress, build};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();

    println!("1. Build");
    let built = build(&Options::new(env!("CARGO_MANIFEST_DIR")), &mut |progress| {
        if let Progress::Diagnostic(line) = progress {
            eprintln!("{line}");
        }
    })?;
    println!("   library   {}", built.libraries[0].display());
    println!("   took      {:.1?}", begin.elapsed());

    println!("\n2. Package");
    println!("   archive   {} ({} bytes)", built.archive.display(), built.archive_bytes);
    for (name, bytes) in built.package.files().iter() {
        println!("   contains  {name} ({} bytes)", bytes.len());
    }

    println!("\n3. Register");
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("cloacina.db");
    let engine = Engine::builder().database(database.display().to_string()).start().await?;
    let archive_bytes = fs::read(&built.archive)?;
    let step = Instant::now();
    let registered = engine.registry().register_workflow(archive_bytes).await?;
    println!("   digest    {}", registered.digest);
    println!("   loaded    {}", registered.library.display());
    for workflow in &registered.workflows {
        println!("   workflow  {workflow}");
    }
    for warning in &registered.warnings {
        println!("   warning   [{}] {warning}", warning.code());
    }
    println!("   took      {:.1?}", step.elapsed());

    println!("\n4. Run");
    let mut notices = engine.subscribe();
    let step = Instant::now();
    let run = engine.scheduler().schedule_workflow("data_processing", Context::new()).await?;
    println!("   run       {}", run.id());
    while let Some(notice) = notices.next().await {
        let task = notice.task.as_deref().unwrap_or("run");
        let at = step.elapsed().as_millis();
        match notice.kind {
            NoticeKind::Started => println!("   {at:>5} ms  {task} started"),
            NoticeKind::Completed => println!("   {at:>5} ms  {task} completed"),
            NoticeKind::Failed { error } => println!("   {at:>5} ms  {task} failed: {error}"),
            NoticeKind::Log { level, message, .. } => println!("   {at:>5} ms  {task} {level}: {message}"),
            NoticeKind::RunFinished { state } => {
                println!("   {at:>5} ms  run {state}");
                break;
            }
            _ => {}
        }
    }

    println!("\n5. Result");
    let report = run.wait().await?;
    for task in &report.tasks {
        println!("   {} ({}, attempt {})", task.id, task.state, task.attempt);
        for (key, value) in &task.set {
            println!("     set {key} = {value}");
        }
    }
    println!("   final context {}", serde_json::to_string_pretty(&report.context)?);
    println!("   took      {:.1?}, {:.1?} from source to result", step.elapsed(), begin.elapsed());

    engine.shutdown().await?;
    match report.state {
        RunState::Completed => Ok(()),
        state => Err(format!("the run is {state}").into()),
    }
}
