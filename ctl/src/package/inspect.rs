//! `package inspect`: what is in an archive, for people and for programs.
//!
//! Reads packages for any machine without checking them; `verify` checks. As JSON, manifest, metadata and
//! descriptor are as the archive has them.

use std::path::Path;

use cloacina_packager::{Digest, Manifest, Metadata, Package, ReadOptions, Target, library};
use cloacina_workflow::descriptor::{Descriptor, Workflow};
use serde::Serialize;
use utoipa::ToSchema;

use super::{describe, place};
use crate::cli::InspectArgs;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint, Warning, size};
use crate::table::few;

/// What is in an archive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Inspected<'a> {
    /// The file itself.
    archive: ArchiveFacts<'a>,
    /// The digest of what the package does: the identity of the version.
    content_digest: String,
    /// The files in the archive.
    files: Vec<FileFacts<'a>>,
    /// The content of [`manifest.toml`](../manifest.md).
    #[schema(value_type = Object)]
    manifest: &'a Manifest,
    /// The content of [`metadata.json`](../archive.md).
    #[schema(value_type = Object)]
    metadata: &'a Metadata,
    /// What the loader of the system will find in each library.
    libraries: Vec<LibraryFacts<'a>>,
    /// [The description](../abi.md) that the libraries hold.
    #[schema(value_type = Object)]
    descriptor: &'a Descriptor,
    /// Warnings about the package, which is valid nevertheless.
    warnings: Vec<Warning>,
}

impl Document for Inspected<'_> {}

/// The file of an archive.
#[derive(Debug, Serialize, ToSchema)]
struct ArchiveFacts<'a> {
    /// The path, as it was given.
    #[schema(value_type = String)]
    path: &'a Path,
    /// The size, in bytes.
    size: u64,
    /// The digest of the bytes.
    digest: String,
}

/// A file in the archive.
#[derive(Debug, Serialize, ToSchema)]
struct FileFacts<'a> {
    /// The path in the archive.
    path: &'a str,
    /// The size, in bytes.
    size: u64,
    /// The digest of the bytes.
    digest: String,
}

/// What the system's loader will make of a library.
#[derive(Debug, Serialize, ToSchema)]
struct LibraryFacts<'a> {
    /// The target triple.
    target: &'a str,
    /// The kind of machine, as the file says.
    machine: String,
    /// The libraries of the system that it needs.
    needed: &'a [String],
    /// The oldest version of glibc that has what it needs. Absent if it needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    glibc: Option<String>,
    /// The paths in which the loader searches for its libraries.
    search_paths: &'a [String],
    /// Whether the library requests an executable stack.
    executable_stack: bool,
    /// The functions that the library exports.
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
