//! The two ways to an archive: build a crate, or pack libraries that are there.
//!
//! Both end in the same place: the libraries' descriptors say everything, the archive is read again before anybody
//! gets it, and the file appears whole or not at all. Nothing else is written but what cargo writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::compile::{Progress, compile};
use super::error::Error;
use super::locate::Located;
use super::source::revision;
use crate::metadata::Origin;
use crate::package::{Input, InputLibrary, Package, ReadOptions, read_with, write};
use crate::target::Target;
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
    /// The triples to build for; without any, this machine's alone.
    pub targets: Vec<String>,
    /// Cargo.lock must not change.
    pub locked: bool,
    /// The network must not be used.
    pub offline: bool,
    /// Where the archive goes: a file, or a folder that exists; the crate's folder if absent.
    pub output: Option<PathBuf>,
    /// Whether cargo may color what it says.
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
            targets: Vec::new(),
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
    /// The libraries that went into it.
    pub libraries: Vec<PathBuf>,
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
    let targets = wanted(options, &folder)?;
    let mut libraries = Vec::new();
    for target in targets {
        if let Some(target) = target.filter(|_| options.targets.len() > 1) {
            progress(Progress::Target { triple: target.triple().to_owned() });
        }
        let path = compile(&located, options, target, progress)?;
        // The next target may be built into the same place.
        libraries.push(Read::new(&path)?);
    }
    progress(Progress::Packing);
    let package = &located.package;
    let origin = Origin {
        authors: package.authors.clone(),
        description: package.description.clone(),
        license: package.license.clone(),
        profile: Some(options.profile.clone().unwrap_or_else(|| Options::DEFAULT_PROFILE.to_owned())),
        source_revision,
    };
    pack(libraries, origin, options.output.as_deref(), &folder)
}

/// The targets to build for, each of which can be; nothing stands for this machine.
fn wanted(options: &Options, folder: &Path) -> Result<Vec<Option<Target>>, Error> {
    if options.targets.is_empty() {
        return Ok(vec![None]);
    }
    let mut targets: Vec<Target> = Vec::new();
    for triple in &options.targets {
        let unknown = || crate::Error::UnknownTarget { triple: triple.clone() };
        let target = Target::find(triple).ok_or_else(unknown)?;
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    let missing = targets.iter().filter(|target| !has_standard_library(target.triple(), folder));
    let missing: Vec<String> = missing.map(ToString::to_string).collect();
    match missing.is_empty() {
        true => Ok(targets.into_iter().map(Some).collect()),
        false => Err(Error::NoStandardLibrary { targets: missing }),
    }
}

/// Whether the compiler that is used in that folder has what it needs for the target.
fn has_standard_library(triple: &str, folder: &Path) -> bool {
    let mut compiler = Command::new("rustc");
    compiler.args(["--print", "target-libdir", "--target", triple]).current_dir(folder);
    // Without a compiler to ask, cargo will say what is wrong.
    let Ok(output) = compiler.output() else { return true };
    let printed = String::from_utf8_lossy(&output.stdout);
    output.status.success() && Path::new(printed.trim()).is_dir()
}

/// Packs libraries that other compilers made, one for each target; everything comes from their descriptors.
///
/// Without `output` the archive goes into the first library's folder.
pub fn pack_libraries(libraries: &[PathBuf], output: Option<&Path>) -> Result<Built, Error> {
    let folder = match libraries.first().and_then(|library| library.parent()) {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let libraries = libraries.iter().map(|library| Read::new(library)).collect::<Result<_, Error>>()?;
    pack(libraries, Origin::default(), output, folder)
}

/// A library that was read.
struct Read {
    path: PathBuf,
    library: InputLibrary,
}

impl Read {
    fn new(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(failed("read", path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path: path.to_owned(), library: InputLibrary { name, bytes } })
    }
}

fn pack(libraries: Vec<Read>, origin: Origin, output: Option<&Path>, folder: &Path) -> Result<Built, Error> {
    let (paths, libraries) = libraries.into_iter().map(|read| (read.path, read.library)).unzip();
    let archive = write(&Input { libraries, origin, sbom: None })?;
    let package = read_with(&archive, &ReadOptions::default())?;
    let file_name = format!("{}.cloacina", package.manifest().package.name);
    let path = match output {
        None => folder.join(file_name),
        Some(output) if output.is_dir() => output.join(file_name),
        Some(output) => output.to_owned(),
    };
    crate::replace(&path, &archive).map_err(failed("write", &path))?;
    Ok(Built {
        archive: path,
        archive_bytes: archive.len(),
        libraries: paths,
        warnings: warnings(package.descriptor()),
        package,
    })
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
