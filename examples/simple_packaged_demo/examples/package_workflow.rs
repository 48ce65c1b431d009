//! Makes a package of this crate and shows what is in it: `cargo run --example package_workflow`.
//!
//! The crate is compiled for release, its description is read from the library without running it, and everything goes
//! into `simple_demo.cloacina` in this folder. `cloacina-ctl package build` does the same from the command line.

use std::{
    env,
    error::Error,
    io::{IsTerminal, stdout},
    time::Instant,
};

use cloacina_packager::{
    Package,
    build::{Options, Progress, build},
    draw,
    graph::Graph,
};

fn main() -> Result<(), Box<dyn Error>> {
    chapter(1, "Define", "a workflow is a module, a task is a function in it");
    println!("   source    src/lib.rs");

    chapter(2, "Compile", "cargo makes a library of the module");
    let begin = Instant::now();
    let mut compiled_at = begin;
    let built = build(&Options::new(env!("CARGO_MANIFEST_DIR")), &mut |progress| match progress {
        Progress::Compiled { name, done, total } => println!("   [{done}/{total}] {name}"),
        Progress::Diagnostic(line) => eprintln!("{line}"),
        Progress::Packing => compiled_at = Instant::now(),
        _ => {}
    })?;
    println!("   took      {:.1?}", compiled_at - begin);

    chapter(3, "Package", "the library and its description go into one file");
    let package = &built.package;
    let archive = built.archive.file_name().unwrap_or_default().to_string_lossy();
    println!("   archive   {archive} ({} bytes)", built.archive_bytes);
    for (name, bytes) in package.files().iter() {
        println!("   contains  {name} ({} bytes)", bytes.len());
    }
    println!("   Content digest  {}", package.content_digest());
    println!("   Archive digest  {}", package.archive_digest());
    println!("   took      {:.1?}", compiled_at.elapsed());

    chapter(4, "Look", "the description is read without running the library");
    show_workflows(package)?;
    for warning in &built.warnings {
        println!("\nwarning[{}]: {warning}", warning.code());
    }
    println!("\nRun it with: cloacina-ctl run {archive}");
    Ok(())
}

/// In color where a person reads it.
fn chapter(number: u32, title: &str, text: &str) {
    let is_colored = stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
    let (bold, plain) = if is_colored { ("\x1b[1;36m", "\x1b[0m") } else { ("", "") };
    println!("\n{bold}{number}. {title}{plain}: {text}");
}

fn show_workflows(package: &Package) -> Result<(), Box<dyn Error>> {
    for workflow in &package.descriptor().workflows {
        println!("   workflow  {}", workflow.name);
        let graph = Graph::new(workflow).map_err(|mistakes| format!("{mistakes:?}"))?;
        println!("{}", draw::ascii(&graph));
        for task in &workflow.tasks {
            println!("   {:<16} {}", task.id, task.description.as_deref().unwrap_or_default());
        }
    }
    Ok(())
}
