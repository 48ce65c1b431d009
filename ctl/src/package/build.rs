//! `package build`: from a crate or a library to an archive, with progress while it compiles.
//!
//! The packager builds and writes; here is how that is shown: on a terminal in one line that changes, otherwise a line
//! for each step. What the compiler says is shown as it comes, in both cases.

use std::path::{Path, PathBuf};

use cloacina_packager::build::{self, Built, Options, Progress};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::{BuildArgs, CargoArgs};
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Live, Output, Paint, Warning, size};

/// Of larger workflows people see the number of tasks; `package inspect` lists them.
const TASKS_SHOWN_MAX: usize = 24;

/// An archive that was built.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary {
    /// The file of the archive.
    #[schema(value_type = String)]
    archive: PathBuf,
    /// The size of the archive, in bytes.
    size: u64,
    /// The name of the package.
    package: String,
    /// Its version.
    version: String,
    /// The digest of what the package does: the identity of the version.
    content_digest: String,
    /// The digest of the archive's bytes.
    archive_digest: String,
    /// The target triples for which it has libraries.
    targets: Vec<&'static str>,
    /// The libraries that were packed.
    #[schema(value_type = Vec<String>)]
    libraries: Vec<PathBuf>,
    /// Its workflows.
    workflows: Vec<WorkflowSummary>,
    /// Warnings about the archive, which is valid nevertheless.
    warnings: Vec<Warning>,
}

impl Document for Summary {}

/// A workflow of the package.
#[derive(Debug, Serialize, ToSchema)]
struct WorkflowSummary {
    /// The name of the workflow.
    name: String,
    /// The ids of its tasks, in the order of execution.
    tasks: Vec<String>,
}

/// Builds an archive.
pub(crate) fn build(arguments: &BuildArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let to = arguments.to.as_deref();
    let built = match arguments.library.as_slice() {
        [] => {
            let targets = arguments.target.clone();
            build_for(Options { targets, ..options(&arguments.path, &arguments.cargo, to, output, config) }, output)?
        }
        libraries => build::pack_libraries(libraries, to)?,
    };
    let summary = Summary::new(&built);
    summary.warnings.iter().for_each(|warning| output.warning(warning));
    output.answer(&summary, |paint| summary.text(paint))?;
    Ok(exit::SUCCESS)
}

/// Builds a crate for this machine, and shows how far cargo is and what it says.
pub(crate) fn build_crate(
    path: &Path,
    cargo: &CargoArgs,
    to: Option<&Path>,
    output: &Output,
    config: &Config,
) -> Result<Built, Error> {
    build_for(options(path, cargo, to, output, config), output)
}

fn options(path: &Path, cargo: &CargoArgs, to: Option<&Path>, output: &Output, config: &Config) -> Options {
    Options {
        package: cargo.package.clone(),
        profile: cargo.profile.clone(),
        features: cargo.features.clone(),
        all_features: cargo.all_features,
        no_default_features: cargo.no_default_features,
        locked: cargo.locked,
        offline: cargo.offline,
        output: to.map(Path::to_owned),
        color: output.paints_notes(),
        cargo: config.cargo.clone(),
        ..Options::new(path)
    }
}

fn build_for(options: Options, output: &Output) -> Result<Built, Error> {
    let display = Display { output, live: output.live("{spinner} {msg} [{bar:24}] {pos}/{len}") };
    Ok(build::build(&options, &mut |progress| display.show(progress))?)
}

/// Shows how far a build is: in one line that changes on a terminal, a line each otherwise.
struct Display<'a> {
    output: &'a Output,
    live: Live,
}

impl Display<'_> {
    fn show(&self, progress: Progress) {
        match progress {
            Progress::Target { triple } => self.step(format!("building for {triple}")),
            Progress::Compiling { name } => self.step(format!("compiling {name}")),
            Progress::Compiled { done, total, .. } => self.live.set_position(done as u64, total as u64),
            Progress::Status(line) => self.live.set(line),
            Progress::Diagnostic(line) => self.output.diagnostic(&line),
            Progress::Packing => self.step("packing".to_owned()),
        }
    }

    fn step(&self, step: String) {
        if self.output.is_live() {
            self.live.set(step);
        } else {
            self.output.note(&step);
        }
    }
}

impl Summary {
    fn new(built: &Built) -> Self {
        let package = &built.package;
        let manifest = package.manifest();
        let workflows = manifest.workflows.iter();
        Self {
            archive: built.archive.clone(),
            size: built.archive_bytes as u64,
            package: manifest.package.name.clone(),
            version: manifest.package.version.clone(),
            content_digest: package.content_digest().to_string(),
            archive_digest: package.archive_digest().to_string(),
            targets: package.libraries().map(|(target, _)| target.triple()).collect(),
            libraries: built.libraries.clone(),
            workflows: workflows
                .map(|workflow| WorkflowSummary { name: workflow.name.clone(), tasks: workflow.order.clone() })
                .collect(),
            warnings: built.warnings.iter().map(Warning::of_package).collect(),
        }
    }

    fn text(&self, paint: Paint) -> String {
        let mut text = format!(
            "{} {} {}: {}, {}\n  content digest  {}\n  archive digest  {}\n",
            paint.green("built"),
            self.package,
            self.version,
            self.archive.display(),
            size(self.size),
            self.content_digest,
            self.archive_digest
        );
        if self.targets.len() > 1 {
            text.push_str(&format!("  targets         {}\n", self.targets.join(", ")));
        }
        for workflow in &self.workflows {
            let name = paint.bold(&workflow.name);
            let tasks = match workflow.tasks.len() {
                ..=TASKS_SHOWN_MAX => workflow.tasks.join(", "),
                n_tasks => format!("{n_tasks} tasks"),
            };
            text.push_str(&format!("  workflow {name}: {tasks}\n"));
        }
        text
    }
}
