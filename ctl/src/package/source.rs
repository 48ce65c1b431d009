//! What a path means: an archive, or a crate that becomes one.
//!
//! An archive that is built on the way to something else stays in a temporary folder: a command leaves behind only
//! what it was asked for.

use std::path::{Path, PathBuf};

use cloacina_packager::{Limits, Package};
use cloacina_workflow::descriptor::Workflow;

use super::{build_crate, place, signature::read_beside};
use crate::cli::CargoArgs;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;

/// An archive that is for this machine.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) archive: Vec<u8>,
    pub(crate) package: Package,
    /// The signatures beside it, not checked yet.
    pub(crate) signatures: Vec<Vec<u8>>,
}

impl Source {
    /// Reads the archive, or builds the crate.
    pub(crate) fn open(path: &Path, cargo: &CargoArgs, output: &Output, config: &Config) -> Result<Self, Error> {
        let Some(folder) = crate_folder(path)? else { return Self::read(path) };
        let to = place::temporary_folder()?;
        Self::read(&build_crate(&folder, cargo, Some(to.path()), output, config)?.archive)
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let archive = place::read(path)?;
        let package = cloacina_packager::read(&archive, &Limits::default()).map_err(Error::of_file(path))?;
        Ok(Self { archive, package, signatures: read_beside(path)? })
    }

    /// The name that is this workflow's alone.
    pub(crate) fn full_name(&self, workflow: &Workflow) -> String {
        let package = &self.package.manifest().package;
        let tenant = package.tenant.as_deref().unwrap_or(cloacina::TENANT_DEFAULT);
        format!("{tenant}::{}::{}", package.name, workflow.name)
    }

    /// The workflow of that name; without a name, the only one.
    pub(crate) fn workflow(&self, name: Option<&str>) -> Result<&Workflow, Error> {
        let workflows = &self.package.descriptor().workflows;
        let package = || self.package.manifest().package.name.clone();
        let available = || workflows.iter().map(|workflow| workflow.name.clone()).collect();
        match (name, workflows.as_slice()) {
            (None, [workflow]) => Ok(workflow),
            (None, _) => Err(Error::ChooseWorkflow { package: package(), available: available() }),
            (Some(name), _) => workflows.iter().find(|workflow| workflow.name == name).ok_or_else(|| {
                Error::UnknownWorkflow { package: package(), workflow: name.to_owned(), available: available() }
            }),
        }
    }
}

/// The folder of the crate, if the path is that of one.
fn crate_folder(path: &Path) -> Result<Option<PathBuf>, Error> {
    if path.is_dir() {
        return match path.join("Cargo.toml").is_file() {
            true => Ok(Some(path.to_owned())),
            false => Err(Error::NeitherCrateNorArchive { path: path.to_owned() }),
        };
    }
    Ok((path.file_name() == Some("Cargo.toml".as_ref())).then(|| place::folder(path).to_owned()))
}
