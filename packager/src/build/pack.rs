//! The two ways to an archive: build a crate, or pack a library that is there.
//!
//! Both end in the same place: the library's descriptor says everything, the archive is read again before anybody
//! gets it, and the file appears whole or not at all. Nothing else is written but what cargo writes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::compile::{Progress, compile};
use super::error::Error;
use super::locate::Located;
use super::source::revision;
use crate::metadata::Origin;
use crate::package::{Input, InputLibrary, Package, ReadOptions, read_with, write};
use crate::warning::{Warning, warnings};

/// What to build, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the crate, or its `Cargo.toml`.
    pub path: PathBuf,
    /// Which package of the workspace, where the path is not that of one.
    pub package: Option<String>,
    /// The cargo profile; `release` with thin LTO and strip if absent.
    pub profile: Option<String>,
    /// Features of the crate.
    pub features: Vec<String>,
    /// All features of the crate.
    pub all_features: bool,
    /// No default features of the crate.
    pub no_default_features: bool,
    /// Where cargo keeps what it builds; cargo's own choice if absent.
    pub target_dir: Option<PathBuf>,
    /// The triple to build for; this machine's if absent.
    pub target: Option<String>,
    /// Cargo.lock must not change.
    pub locked: bool,
    /// The network must not be used.
    pub offline: bool,
    /// Where the archive goes: a file, or a folder that exists; the crate's folder if absent.
    pub output: Option<PathBuf>,
    /// Whether cargo may colour what it says.
    pub color: bool,
    /// The program to run.
    pub cargo: PathBuf,
}

impl Options {
    pub(super) const DEFAULT_PROFILE: &str = "release";

    /// The crate in that folder with all defaults.
    pub fn new(path: impl Into<PathBuf>) -> Options {
        Options {
            path: path.into(),
            package: None,
            profile: None,
            features: Vec::new(),
            all_features: false,
            no_default_features: false,
            target_dir: None,
            target: None,
            locked: false,
            offline: false,
            output: None,
            color: false,
            cargo: PathBuf::from("cargo"),
        }
    }

    pub(super) fn lock_arguments(&self) -> impl Iterator<Item = &'static str> {
        [(self.locked, "--locked"), (self.offline, "--offline")]
            .into_iter()
            .filter_map(|(set, flag)| set.then_some(flag))
    }
}

/// What was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// Where the archive is.
    pub archive: PathBuf,
    /// How large the archive is.
    pub archive_bytes: usize,
    /// The library that went into it.
    pub library: PathBuf,
    /// The archive, as read again.
    pub package: Package,
    /// What to know about it.
    pub warnings: Vec<Warning>,
}

/// Builds the crate and writes its archive.
pub fn build(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Built, Error> {
    let located = Located::find(options)?;
    let folder = located.folder().to_owned();
    let target_dir = options.target_dir.as_deref().unwrap_or(located.metadata.target_directory.as_std_path());
    // Before compiling, as a build script may write into its folder.
    let source_revision = revision(&folder, target_dir);
    let library = compile(&located, options, progress)?;
    progress(Progress::Packing);
    let package = &located.package;
    let origin = Origin {
        authors: package.authors.clone(),
        description: package.description.clone(),
        license: package.license.clone(),
        profile: Some(options.profile.clone().unwrap_or_else(|| Options::DEFAULT_PROFILE.to_owned())),
        source_revision,
    };
    pack(&library, origin, options.output.as_deref(), &folder)
}

/// Packs a library that another compiler made; everything comes from its descriptor.
///
/// Without `output` the archive goes into the library's folder.
pub fn pack_library(library: &Path, output: Option<&Path>) -> Result<Built, Error> {
    let folder = match library.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    pack(library, Origin::default(), output, folder)
}

fn pack(library: &Path, origin: Origin, output: Option<&Path>, folder: &Path) -> Result<Built, Error> {
    let bytes = fs::read(library).map_err(failed("read", library))?;
    let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let input = Input { libraries: vec![InputLibrary { name, bytes }], origin, sbom: None };
    let archive = write(&input)?;
    let package = read_with(&archive, &ReadOptions::default())?;
    let file_name = format!("{}.cloacina", package.manifest().package.name);
    let path = match output {
        None => folder.join(file_name),
        Some(output) if output.is_dir() => output.join(file_name),
        Some(output) => output.to_owned(),
    };
    replace(&path, &archive)?;
    Ok(Built {
        archive: path,
        archive_bytes: archive.len(),
        library: library.to_owned(),
        warnings: warnings(package.descriptor()),
        package,
    })
}

/// Writes the file whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new();
    file.prefix(".packing-");
    #[cfg(unix)]
    file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = file.tempfile_in(folder).map_err(failed("create a file in", folder))?;
    file.write_all(bytes).map_err(failed("write", file.path()))?;
    file.as_file().sync_all().map_err(failed("sync", file.path()))?;
    file.persist(path).map_err(|error| failed("rename a file to", path)(error.error))?;
    Ok(())
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
