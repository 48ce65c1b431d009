//! The package that is measured: tasks that do nothing, in an archive that is given or built.
//!
//! What cannot be built is no error of the benchmark: it is named, and its figures are null.

use std::path::Path;

use cloacina_packager::{Limits, Package};

use super::cell::Shape;
use crate::cli::CargoArgs;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;
use crate::package::{build_crate, place};

/// What is run of the package: its workflow, and the shape that it has.
const WORKFLOWS: [(&str, Shape); 2] = [("single", Shape::Chain(1)), ("chain", Shape::Chain(3))];

/// An archive whose tasks do nothing.
#[derive(Debug)]
pub(super) struct Packaged {
    pub(super) archive: Vec<u8>,
    tenant: String,
    package: String,
}

impl Packaged {
    /// Reads the archive.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let archive = place::read(path)?;
        let package = cloacina_packager::read(&archive, &Limits::default()).map_err(Error::of_file(path))?;
        for (workflow, shape) in WORKFLOWS {
            if !has(&package, workflow, shape.n_tasks() as usize) {
                return Err(Error::NothingToMeasure { path: path.to_owned(), workflow });
            }
        }
        let manifest = &package.manifest().package;
        let tenant = manifest.tenant.clone().unwrap_or_else(|| cloacina::TENANT_DEFAULT.to_owned());
        Ok(Self { archive, tenant, package: manifest.name.clone() })
    }

    /// Builds the package of the checkout that built this program; `Err` says why there is none.
    pub(super) fn build(folder: &Path, output: &Output, config: &Config) -> Result<Self, String> {
        let source = Config::built_in_fixture();
        if !source.join("Cargo.toml").is_file() {
            return Err("the checkout that built this program is gone; --package names an archive".to_owned());
        }
        let built = build_crate(&source, &CargoArgs::default(), Some(folder), output, config);
        built.and_then(|built| Self::read(&built.archive)).map_err(|error| format!("{}: {error}", error.code()))
    }

    /// The full name of its workflow of that shape.
    pub(super) fn workflow(&self, shape: Shape) -> Option<String> {
        let (name, _) = WORKFLOWS.iter().find(|(_, known)| *known == shape)?;
        Some(format!("{}::{}::{name}", self.tenant, self.package))
    }
}

fn has(package: &Package, workflow: &str, n_tasks: usize) -> bool {
    let mut workflows = package.descriptor().workflows.iter();
    workflows.any(|found| found.name == workflow && found.tasks.len() == n_tasks)
}
