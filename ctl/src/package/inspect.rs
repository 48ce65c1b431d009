//! `package inspect`: what is in an archive, for people and for programs.
//!
//! Reads packages for any machine and judges none of them; `verify` does that. As JSON, manifest, metadata and
//! descriptor are as the archive has them.

use std::path::Path;

use cloacina_packager::{Digest, Manifest, Metadata, Package, ReadOptions, Target, library};
use cloacina_workflow::descriptor::{Descriptor, Workflow};
use serde::Serialize;

use super::{describe, place};
use crate::cli::InspectArgs;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint, Warning, size};
use crate::table::few;

/// Everything that is known of an archive.
#[derive(Debug, Serialize)]
struct Inspected<'a> {
    archive: ArchiveFacts<'a>,
    content_digest: String,
    files: Vec<FileFacts<'a>>,
    manifest: &'a Manifest,
    metadata: &'a Metadata,
    libraries: Vec<LibraryFacts<'a>>,
    descriptor: &'a Descriptor,
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct ArchiveFacts<'a> {
    path: &'a Path,
    size: u64,
    digest: String,
}

#[derive(Debug, Serialize)]
struct FileFacts<'a> {
    path: &'a str,
    size: u64,
    digest: String,
}

/// What the system's loader will make of one library.
#[derive(Debug, Serialize)]
struct LibraryFacts<'a> {
    target: &'a str,
    machine: String,
    needed: &'a [String],
    glibc: Option<String>,
    search_paths: &'a [String],
    executable_stack: bool,
    exports: &'a [String],
}

/// Shows what is in an archive.
pub(crate) fn inspect(arguments: &InspectArgs, output: &Output) -> Result<u8, Error> {
    let bytes = place::read(&arguments.file)?;
    let package = cloacina_packager::read_with(&bytes, &ReadOptions::default());
    let package = package.map_err(Error::of_file(&arguments.file))?;
    let inspected = Inspected::new(&arguments.file, bytes.len() as u64, &package);
    output.answer(&inspected, |paint| inspected.text(paint))?;
    Ok(exit::SUCCESS)
}

impl<'a> Inspected<'a> {
    fn new(path: &'a Path, size: u64, package: &'a Package) -> Self {
        Self {
            archive: ArchiveFacts { path, size, digest: package.archive_digest().to_string() },
            content_digest: package.content_digest().to_string(),
            files: package.files().iter().map(FileFacts::new).collect(),
            manifest: package.manifest(),
            metadata: package.metadata(),
            libraries: package.libraries().map(LibraryFacts::new).collect(),
            descriptor: package.descriptor(),
            warnings: cloacina_packager::warnings(package.descriptor()).iter().map(Warning::of_package).collect(),
        }
    }

    fn text(&self, paint: Paint) -> String {
        let package = &self.manifest.package;
        let build = &self.metadata.build;
        let optional = |value: &Option<String>| value.clone().unwrap_or_default();
        let facts = [
            ("package", format!("{} {}", package.name, package.version)),
            ("tenant", optional(&package.tenant)),
            ("description", optional(&self.metadata.description)),
            ("authors", self.metadata.authors.join(", ")),
            ("license", optional(&self.metadata.license)),
            ("content digest", self.content_digest.clone()),
            ("archive digest", self.archive.digest.clone()),
            ("archive", format!("{}, {}", self.archive.path.display(), size(self.archive.size))),
            ("ABI", package.abi.clone()),
            ("compiler", optional(&build.toolchain)),
            ("profile", optional(&build.profile)),
            ("source revision", optional(&build.source_revision)),
            ("fingerprint", optional(&build.fingerprint)),
        ];
        // Those of several targets stand beside each target.
        let (needed, glibc) = match self.libraries.as_slice() {
            [one] => (one.needed.join(", "), optional(&one.glibc)),
            _ => (String::new(), String::new()),
        };
        let facts = facts.into_iter().chain([("needs libraries", needed), ("needs glibc", glibc)]);
        let facts = facts.filter(|(_, value)| !value.is_empty());
        let mut text = paint.columns(facts.map(|(name, value)| vec![name.to_owned(), value]), "");

        text.push_str(&format!("\n{}\n", paint.bold("files")));
        let files = self.files.iter().map(|file| vec![file.path.to_owned(), size(file.size), file.digest.clone()]);
        text.push_str(&paint.columns(files, "  "));

        text.push_str(&format!("\n{}\n", paint.bold("targets")));
        let targets = self.manifest.targets.iter();
        let targets = targets.zip(&self.libraries).map(|(target, library)| {
            let mut row = vec![target.triple.clone(), format!("panic = {}", target.panic)];
            if self.libraries.len() > 1 {
                let glibc = library.glibc.as_ref().map(|glibc| format!(", glibc {glibc}")).unwrap_or_default();
                row.push(format!("needs {}{glibc}", library.needed.join(", ")));
            }
            row
        });
        text.push_str(&paint.columns(targets, "  "));

        for workflow in &self.descriptor.workflows {
            let tenant = package.tenant.as_ref().map(|tenant| format!("{tenant}::")).unwrap_or_default();
            text.push_str(&workflow_text(workflow, &format!("{tenant}{}", package.name), paint));
        }
        for warning in &self.warnings {
            text.push_str(&format!("\n{}: {}\n", paint.yellow(&format!("warning[{}]", warning.code)), warning.message));
        }
        text
    }
}

impl<'a> LibraryFacts<'a> {
    fn new((target, facts): (Target, &'a library::LibraryFacts)) -> Self {
        Self {
            target: target.triple(),
            machine: facts.machine(),
            needed: &facts.needed,
            glibc: facts.glibc.map(|glibc| glibc.to_string()),
            search_paths: &facts.search_paths,
            executable_stack: facts.executable_stack,
            exports: &facts.exports,
        }
    }
}

impl<'a> FileFacts<'a> {
    fn new((path, content): (&'a str, &'a [u8])) -> Self {
        Self { path, size: content.len() as u64, digest: Digest::of(content).to_string() }
    }
}

fn workflow_text(workflow: &Workflow, package: &str, paint: Paint) -> String {
    let mut text = format!("\n{} {package}::{}\n", paint.bold("workflow"), workflow.name);
    for line in describe::workflow(workflow) {
        text.push_str(&format!("  {line}\n"));
    }
    let header = ["task", "depends on", "attributes", "description"].map(str::to_owned).to_vec();
    let tasks = workflow.tasks.iter().map(|task| {
        let attributes = describe::task(task, workflow).join(", ");
        vec![task.id.clone(), few(&task.dependencies), attributes, task.description.clone().unwrap_or_default()]
    });
    text.push_str(&paint.columns([header].into_iter().chain(tasks), "  "));
    text
}
