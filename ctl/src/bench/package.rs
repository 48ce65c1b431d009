//! The packages that are measured: tasks that do nothing, and chains whose tasks write, in archives given or built.
//!
//! A package that cannot be built is not an error of the benchmark: the report names it, and its figures are absent.

use std::path::Path;

use cloacina_packager::{Limits, Package};

use super::cell::Shape;
use crate::cli::CargoArgs;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;
use crate::package::{build_crate, place};

/// What is run of a package: its workflows, and the shapes that they have.
pub(super) type Workflows = Vec<(String, Shape)>;

/// An archive with workflows to measure.
#[derive(Debug)]
pub(super) struct Packaged {
    pub(super) archive: Vec<u8>,
    workflows: Workflows,
    tenant: String,
    package: String,
}

/// The workflows of `tests/fixtures/noop` that are measured.
pub(super) fn noop() -> Workflows {
    [("single", Shape::Chain(1)), ("chain", Shape::Chain(3))].map(|(name, shape)| (name.to_owned(), shape)).to_vec()
}

/// The workflows of `tests/fixtures/writers` with so many tasks.
pub(super) fn writers(sizes: [u32; 2]) -> Workflows {
    sizes.map(Shape::Writers).map(|shape| (shape.to_string(), shape)).to_vec()
}

impl Packaged {
    /// Reads the archive, which must have those workflows.
    pub(super) fn read(path: &Path, workflows: Workflows) -> Result<Self, Error> {
        let archive = place::read(path)?;
        let package = cloacina_packager::read(&archive, &Limits::default()).map_err(Error::of_file(path))?;
        for (workflow, shape) in &workflows {
            if !has(&package, workflow, shape.n_tasks() as usize) {
                return Err(Error::NothingToMeasure { path: path.to_owned(), workflow: workflow.clone() });
            }
        }
        let manifest = &package.manifest().package;
        let tenant = manifest.tenant.clone().unwrap_or_else(|| cloacina::TENANT_DEFAULT.to_owned());
        let package = manifest.name.clone();
        Ok(Self { archive, workflows, tenant, package })
    }

    /// Builds a fixture of the checkout that built this program; `Err` says why there is none.
    pub(super) fn build(
        fixture: &str,
        workflows: Workflows,
        folder: &Path,
        output: &Output,
        config: &Config,
    ) -> Result<Self, String> {
        let source = Config::built_in_fixture(fixture);
        if !source.join("Cargo.toml").is_file() {
            return Err(
                "the checkout that built this program is gone; --package and --writers name archives".to_owned()
            );
        }
        let built = build_crate(&source, &CargoArgs::default(), Some(folder), output, config);
        built
            .and_then(|built| Self::read(&built.archive, workflows))
            .map_err(|error| format!("{}: {error}", error.code()))
    }

    /// The full name of its workflow of that shape.
    pub(super) fn workflow(&self, shape: Shape) -> Option<String> {
        let (name, _) = self.workflows.iter().find(|(_, known)| *known == shape)?;
        Some(format!("{}::{}::{name}", self.tenant, self.package))
    }
}

fn has(package: &Package, workflow: &str, n_tasks: usize) -> bool {
    let mut workflows = package.descriptor().workflows.iter();
    workflows.any(|found| found.name == workflow && found.tasks.len() == n_tasks)
}
