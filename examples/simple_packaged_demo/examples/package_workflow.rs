//! Makes a package of this crate and shows what is in it: `cargo run --example package_workflow`.
//!
//! The crate is compiled for release, its description is read from the library without running it, and everything goes
//! into `simple_demo.cloacina` in this folder. `cloacina-ctl package build` does the same from the command line.

use std::error::Error;

use cloacina_packager::{
    build::{Options, Progress, build},
    draw,
    graph::Graph,
};

fn main() -> Result<(), Box<dyn Error>> {
    let crate_folder = env!("CARGO_MANIFEST_DIR");
    println!("Building {crate_folder} ...");
    let built = build(&Options::new(crate_folder), &mut |progress| match progress {
        Progress::Compiled { name, done, total } => println!("  [{done}/{total}] {name}"),
        Progress::Diagnostic(line) => eprintln!("{line}"),
        _ => {}
    })?;

    let package = &built.package;
    println!("\nArchive         {} ({} bytes)", built.archive.display(), built.archive_bytes);
    println!("Content digest  {}", package.content_digest());
    println!("Archive digest  {}", package.archive_digest());
    println!("\nFiles");
    for (name, bytes) in package.files().iter() {
        println!("  {name:<40} {:>9} bytes", bytes.len());
    }
    for workflow in &package.descriptor().workflows {
        println!("\nWorkflow {}", workflow.name);
        let graph = Graph::new(workflow).map_err(|mistakes| format!("{mistakes:?}"))?;
        println!("{}", draw::ascii(&graph));
        for task in &workflow.tasks {
            println!("  {:<16} {}", task.id, task.description.as_deref().unwrap_or_default());
        }
    }
    for warning in &built.warnings {
        println!("\nwarning[{}]: {warning}", warning.code());
    }
    println!("\nRun it with: cloacina-ctl run {}", built.archive.display());
    Ok(())
}
