//! From source to result, every step for real: `cargo run --example end_to_end_demo`.
//!
//! Compiles the crate `simple_packaged_demo` into a package, starts an engine that knows nothing of it, loads the archive
//! into the engine, executes the workflow and monitors its tasks. The engine keeps its database and the loaded library in
//! a temporary folder, which goes with the program.

use std::{
    env,
    error::Error,
    fs,
    io::{IsTerminal, stdout},
    path::Path,
    time::{Duration, Instant},
};

use cloacina::{Context, Engine, NoticeKind, Notices, RunReport, RunState};
use cloacina_packager::{
    Package,
    build::{Built, Options, Progress, build},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let story = Story { is_colored: stdout().is_terminal() && env::var_os("NO_COLOR").is_none() };
    let begin = Instant::now();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simple_packaged_demo");

    story.chapter(1, "Define", "a workflow is a module, a task is a function in it");
    println!("   source    examples/simple_packaged_demo/src/lib.rs");

    story.chapter(2, "Compile", "cargo makes a library of the module");
    let (built, compiling, packing) = compile(&source)?;
    println!("   library   {}", file_name(&built.libraries[0]));
    story.took(compiling);

    story.chapter(3, "Package", "the library and its description go into one file");
    show_package(&built);
    story.took(packing);

    let folder = tempfile::tempdir()?;
    let database = folder.path().join("cloacina.db");
    let engine = Engine::builder().database(database.display().to_string()).start().await?;

    story.chapter(4, "Load", "a running engine takes the file, and no restart is needed");
    let archive_bytes = fs::read(&built.archive)?;
    let step = Instant::now();
    let registered = engine.registry().register_workflow(archive_bytes).await?;
    for workflow in &registered.workflows {
        println!("   workflow  {workflow}");
    }
    for warning in &registered.warnings {
        println!("   warning   [{}] {warning}", warning.code());
    }
    story.took(step.elapsed());

    story.chapter(5, "Execute", "every result is on disk before the next task starts");
    let notices = engine.subscribe();
    let step = Instant::now();
    let run = engine.scheduler().schedule_workflow("data_processing", Context::new()).await?;
    println!("   run       {}", run.id());
    watch(notices, step).await;
    let report = run.wait().await?;
    story.took(step.elapsed());

    story.chapter(6, "Monitor", "the engine knows what each task did");
    show_report(&report)?;
    println!("\n{:.1?} from source to result", begin.elapsed());

    engine.shutdown().await?;
    match report.state {
        RunState::Completed => Ok(()),
        state => Err(format!("the run is {state}").into()),
    }
}

/// How the program speaks: in color where a person reads it.
struct Story {
    is_colored: bool,
}

impl Story {
    fn chapter(&self, number: u32, title: &str, text: &str) {
        let (bold, plain) = if self.is_colored { ("\x1b[1;36m", "\x1b[0m") } else { ("", "") };
        println!("\n{bold}{number}. {title}{plain}: {text}");
    }

    fn took(&self, time: Duration) {
        let (green, plain) = if self.is_colored { ("\x1b[32m", "\x1b[0m") } else { ("", "") };
        println!("   {green}took      {time:.1?}{plain}");
    }
}

/// The package, and what compiling and packing took.
fn compile(source: &Path) -> Result<(Built, Duration, Duration), Box<dyn Error>> {
    let begin = Instant::now();
    let mut compiled_at = begin;
    let built = build(&Options::new(source), &mut |progress| match progress {
        Progress::Diagnostic(line) => eprintln!("{line}"),
        Progress::Packing => compiled_at = Instant::now(),
        _ => {}
    })?;
    Ok((built, compiled_at - begin, compiled_at.elapsed()))
}

fn show_package(built: &Built) {
    let package: &Package = &built.package;
    println!("   archive   {} ({} bytes)", file_name(&built.archive), built.archive_bytes);
    println!("   digest    {}", package.content_digest());
    for (name, bytes) in package.files().iter() {
        println!("   contains  {name} ({} bytes)", bytes.len());
    }
}

async fn watch(mut notices: Notices, begin: Instant) {
    while let Some(notice) = notices.next().await {
        let task = notice.task.as_deref().unwrap_or("run");
        let at = begin.elapsed().as_millis();
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
}

fn show_report(report: &RunReport) -> Result<(), Box<dyn Error>> {
    for task in &report.tasks {
        println!("   {} ({}, attempt {})", task.id, task.state, task.attempt.unwrap_or_default());
        for (key, value) in &task.set {
            println!("     set {key} = {value}");
        }
    }
    println!("   final context {}", serde_json::to_string_pretty(&report.context)?);
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
