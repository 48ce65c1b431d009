//! A package: files of a canonical archive that fit together, held in memory.
//!
//! ```text
//! bytes ── read ──> Package ── Verified::trust_unsigned ──> Verified<Package> ── unpack_into ──> a file to load
//! ```
//! A `Package` exists only if its manifest, its metadata and its libraries say the same, and its descriptor makes
//! sense. Only `unpack_into` touches the disk, and only a `Verified` package has it.

use std::collections::{BTreeMap, BTreeSet};

use cloacina_workflow::descriptor::Descriptor;

use crate::archive::{Files, Limits, check_file_name, read_files, repack_files, write_files};
use crate::digest::Digest;
use crate::error::{Difference, Error};
use crate::library::{GlibcVersion, LibraryFacts, Policy, inspect};
use crate::manifest::{Described, Manifest, TargetFacts};
use crate::merge::descriptors_differ;
use crate::metadata::{Metadata, Origin};
use crate::target::Target;

pub(crate) const MANIFEST: &str = "manifest.toml";
pub(crate) const METADATA: &str = "metadata.json";
pub(crate) const SBOM: &str = "sbom.cdx.json";
const LIBRARIES: &str = "lib/";

/// A package that was read from an archive.
#[derive(Debug, Clone)]
pub struct Package {
    files: Files,
    manifest: Manifest,
    metadata: Metadata,
    libraries: Vec<Library>,
    selected: usize,
    content_digest: Digest,
    archive_digest: Digest,
}

#[derive(Debug, Clone)]
struct Library {
    target: Target,
    path: String,
    /// Of its bytes, which are never changed.
    digest: Digest,
    facts: LibraryFacts,
}

/// How to read an archive.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// How large the archive may be.
    pub limits: Limits,
    /// The target of the library to select; without one, any package is read and its first library is selected.
    pub target: Option<Target>,
    /// Libraries that the package may need besides those of the system.
    pub allowed_libraries: Vec<String>,
    /// The version of the GNU C library that there is; not checked if absent.
    pub glibc_available: Option<GlibcVersion>,
}

/// What goes into an archive; everything else is written from the descriptors of the libraries.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// The libraries, one for each target.
    pub libraries: Vec<InputLibrary>,
    /// What only the builder knows.
    pub origin: Origin,
    /// An inventory of what is inside, as CycloneDX JSON.
    pub sbom: Option<Vec<u8>>,
}

/// One library that goes into an archive.
#[derive(Debug, Clone)]
pub struct InputLibrary {
    /// The name of the file.
    pub name: String,
    /// The bytes of the file.
    pub bytes: Vec<u8>,
}

/// One library that goes into an archive, and what it is for.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) target: Target,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptor: Descriptor,
}

/// Reads a package for this machine: canonical and consistent, or refused.
///
/// Never touches the disk, never runs anything.
pub fn read(archive: &[u8], limits: &Limits) -> Result<Package, Error> {
    let host = Target::host().ok_or_else(|| Error::UnknownTarget { triple: "of this machine".to_owned() })?;
    read_with(archive, &ReadOptions { limits: limits.clone(), target: Some(host), ..ReadOptions::default() })
}

/// Reads a package for another machine or any.
pub fn read_with(archive: &[u8], options: &ReadOptions) -> Result<Package, Error> {
    let archive_digest = Digest::of(archive);
    let files = read_files(archive, &options.limits)?;
    Package::assemble(files, archive_digest, options)
}

/// Writes the archive of some libraries.
pub fn write(input: &Input) -> Result<Vec<u8>, Error> {
    let place = |library: &InputLibrary| {
        let facts = inspect(&library.name, &library.bytes)?;
        check_file_name(&library.name)?;
        let target = facts.target().ok_or_else(|| Error::UnknownTarget { triple: facts.machine() })?;
        let (name, bytes) = (library.name.clone(), library.bytes.clone());
        Ok(Placed { target, name, bytes, descriptor: facts.descriptor })
    };
    let libraries = input.libraries.iter().map(place).collect::<Result<Vec<_>, Error>>()?;
    write_placed(libraries, &input.origin, input.sbom.clone())
}

/// Writes the archive of libraries with known targets.
pub(crate) fn write_placed(
    mut libraries: Vec<Placed>,
    origin: &Origin,
    sbom: Option<Vec<u8>>,
) -> Result<Vec<u8>, Error> {
    // The first one's compiler is named in the metadata, so the first library must not depend on the packing machine.
    libraries.sort_by_key(|library| library.target.triple());
    let paths: Vec<String> = match libraries.as_slice() {
        [one] => vec![format!("{LIBRARIES}{}", one.name)],
        several => {
            several.iter().map(|library| format!("{LIBRARIES}{}/{}", library.target.triple(), library.name)).collect()
        }
    };
    if let Some(twice) = libraries.windows(2).find(|pair| pair[0].target == pair[1].target) {
        return Err(Error::TargetTwice { target: twice[0].target.to_string() });
    }
    let described: Vec<_> = libraries
        .iter()
        .zip(&paths)
        .map(|(library, path)| Described {
            target: library.target,
            path,
            bytes: &library.bytes,
            descriptor: &library.descriptor,
        })
        .collect();
    let manifest = Manifest::describe(&described)?;
    let metadata = Metadata::describe(described[0].descriptor, origin);
    let mut files: BTreeMap<String, Vec<u8>> =
        paths.iter().cloned().zip(libraries.into_iter().map(|library| library.bytes)).collect();
    files.insert(MANIFEST.to_owned(), manifest.render().into_bytes());
    files.insert(METADATA.to_owned(), metadata.render().into_bytes());
    if let Some(sbom) = sbom {
        files.insert(SBOM.to_owned(), sbom);
    }
    let archive = write_files(&files)?;
    // What is written can be read: libraries that disagree with each other end here and not at a reader.
    read_with(&archive, &ReadOptions::default())?;
    Ok(archive)
}

/// Writes an archive that stock tar made again, canonically.
pub fn repack(archive: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let archive = write_files(&repack_files(archive, limits)?)?;
    read_with(&archive, &ReadOptions { limits: limits.clone(), ..ReadOptions::default() })?;
    Ok(archive)
}

impl Package {
    fn assemble(files: Files, archive_digest: Digest, options: &ReadOptions) -> Result<Package, Error> {
        let file = |name: &str| files.get(name).ok_or_else(|| Error::MissingFile { entry: name.to_owned() });
        let manifest = Manifest::parse(file(MANIFEST)?)?;
        let metadata = Metadata::parse(file(METADATA)?)?;
        check_names(&files, &manifest)?;
        let mut libraries = Vec::new();
        for facts in &manifest.targets {
            libraries.push(Library::read(facts, file(&facts.library)?)?);
        }
        check_agreement(&files, &manifest, &libraries)?;
        for (field, in_metadata, in_manifest) in [
            ("name", &metadata.name, &manifest.package.name),
            ("version", &metadata.version, &manifest.package.version),
        ] {
            if in_metadata != in_manifest {
                let (metadata, manifest) = (in_metadata.clone(), in_manifest.clone());
                return Err(Error::MetadataDisagrees { field, metadata, manifest });
            }
        }
        let selected = match options.target {
            None => 0,
            Some(wanted) => place_of(&libraries, wanted)?,
        };
        // Libraries are large, and their digests are known.
        let known = |name: &str| Some(libraries.iter().find(|library| library.path == name)?.digest);
        let digest = |(name, content)| (name, known(name).unwrap_or_else(|| Digest::of(content)));
        let content_digest = Digest::of_content(files.iter().map(digest));
        let package = Package { files, manifest, metadata, libraries, selected, content_digest, archive_digest };
        match options.target {
            None => Ok(package),
            Some(_) => match package.problems(options).into_iter().next() {
                None => Ok(package),
                Some(problem) => Err(problem),
            },
        }
    }

    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the metadata says.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The digest of the content: the package's identity.
    pub fn content_digest(&self) -> Digest {
        self.content_digest
    }

    /// The digest of the archive's bytes, as sent.
    pub fn archive_digest(&self) -> Digest {
        self.archive_digest
    }

    /// What is known of each library, sorted by target.
    pub fn libraries(&self) -> impl Iterator<Item = (Target, &LibraryFacts)> {
        self.libraries.iter().map(|library| (library.target, &library.facts))
    }

    /// What is known of each library with its digest, and where it is unpacked below the folder of the content: by its
    /// name, and below that of its target if there are several.
    pub fn places(&self) -> impl Iterator<Item = (String, Digest, Target, &LibraryFacts)> {
        self.libraries.iter().map(|library| (self.place(library), library.digest, library.target, &library.facts))
    }

    /// Where the library is unpacked, below the folder of the content.
    pub fn library_place(&self) -> String {
        self.place(self.selected())
    }

    fn place(&self, library: &Library) -> String {
        match self.libraries.len() {
            1 => library.name().to_owned(),
            _ => format!("{}/{}", library.target.triple(), library.name()),
        }
    }

    /// Chooses the library for a target, from which on the package is the one for that target.
    ///
    /// Whether that library may be loaded is not checked here; see [`Package::problems`].
    pub fn select(&mut self, target: Target) -> Result<(), Error> {
        self.selected = place_of(&self.libraries, target)?;
        Ok(())
    }

    /// The library for the target that was asked for; the first one, if none was.
    pub fn library(&self) -> &[u8] {
        self.files.get(&self.selected().path).unwrap_or_default()
    }

    /// The digest of that library's bytes.
    pub fn library_digest(&self) -> Digest {
        self.selected().digest
    }

    /// The target of that library.
    pub fn target(&self) -> Target {
        self.selected().target
    }

    /// The name of that library's file.
    pub fn library_name(&self) -> &str {
        self.selected().name()
    }

    /// What is known of that library.
    pub fn library_facts(&self) -> &LibraryFacts {
        &self.selected().facts
    }

    /// What that library says of itself.
    pub fn descriptor(&self) -> &Descriptor {
        &self.selected().facts.descriptor
    }

    /// All files of the archive.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Everything that speaks against loading the package with those options.
    pub fn problems(&self, options: &ReadOptions) -> Vec<Error> {
        let policy = Policy {
            target: options.target,
            allowed_libraries: options.allowed_libraries.clone(),
            glibc_available: options.glibc_available,
        };
        self.selected().facts.problems(&self.selected().path, &policy)
    }

    /// The libraries as they would be written into another archive.
    pub(crate) fn placed(&self) -> impl Iterator<Item = Placed> + '_ {
        self.libraries.iter().map(|library| Placed {
            target: library.target,
            name: library.name().to_owned(),
            bytes: self.files.get(&library.path).unwrap_or_default().to_vec(),
            descriptor: library.facts.descriptor.clone(),
        })
    }

    fn selected(&self) -> &Library {
        &self.libraries[self.selected]
    }
}

/// The path of the library for a target; the error lists the targets of the package.
fn place_of(libraries: &[Library], wanted: Target) -> Result<usize, Error> {
    libraries.iter().position(|library| library.target == wanted).ok_or_else(|| {
        let available = libraries.iter().map(|library| library.target.to_string()).collect();
        Error::NoLibraryForTarget { wanted: wanted.to_string(), available }
    })
}

impl Library {
    /// The name of its file.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Reads the library that the manifest describes, after its size and digest were checked.
    fn read(facts: &TargetFacts, bytes: &[u8]) -> Result<Library, Error> {
        let entry = || facts.library.clone();
        let target =
            Target::find(&facts.triple).ok_or_else(|| Error::UnknownTarget { triple: facts.triple.clone() })?;
        let size = bytes.len() as u64;
        if size != facts.size {
            return Err(Error::SizeMismatch { entry: entry(), stated: facts.size, found: size });
        }
        let stated = Digest::from_hex(&facts.sha256).map_err(|error| Error::ManifestUnreadable {
            reason: format!("the sha256 of `{}`: {error}", facts.library),
        })?;
        let found = Digest::of(bytes);
        if found != stated {
            return Err(Error::DigestMismatch { entry: entry(), stated, found });
        }
        let library = Library { target, path: entry(), digest: found, facts: inspect(&facts.library, bytes)? };
        let policy = Policy { target: Some(target), ..Policy::default() };
        let problems = library.facts.problems(&library.path, &policy);
        match problems.into_iter().find(|problem| matches!(problem, Error::OtherMachine { .. })) {
            Some(problem) => Err(problem),
            None => Ok(library),
        }
    }
}

/// Exactly the format's files are there.
fn check_names(files: &Files, manifest: &Manifest) -> Result<(), Error> {
    let mut expected = BTreeSet::from([MANIFEST, METADATA, SBOM]);
    for target in &manifest.targets {
        let library = target.library.as_str();
        let name = library.strip_prefix(LIBRARIES).map(|rest| match manifest.targets.len() {
            1 => rest,
            _ => rest.strip_prefix(&format!("{}/", target.triple)).unwrap_or(rest),
        });
        if name.is_none_or(|name| name.is_empty() || name.contains('/')) || !expected.insert(library) {
            let expected = match manifest.targets.len() {
                1 => "lib/<file>",
                _ => "lib/<triple>/<file>, once each",
            };
            let reason = format!("the library of {} is at `{library}`, expected {expected}", target.triple);
            return Err(Error::ManifestUnreadable { reason });
        }
    }
    match files.iter().find(|(name, _)| !expected.contains(name)) {
        Some((name, _)) => Err(Error::UnexpectedFile { entry: name.to_owned() }),
        None => Ok(()),
    }
}

/// The manifest is the one that each library asks for.
fn check_agreement(files: &Files, manifest: &Manifest, libraries: &[Library]) -> Result<(), Error> {
    if libraries.is_empty() {
        return Err(Error::MissingFile { entry: LIBRARIES.to_owned() });
    }
    let mut described: Vec<_> = libraries
        .iter()
        .map(|library| Described {
            target: library.target,
            path: &library.path,
            bytes: files.get(&library.path).unwrap_or_default(),
            descriptor: &library.facts.descriptor,
        })
        .collect();
    // Each library speaks for all once, so every one of them agrees with the manifest.
    for turn in 0..described.len() {
        described.rotate_left(usize::from(turn > 0));
        let expected = Manifest::describe(&described)?;
        if let Some((field, in_manifest, in_library)) = manifest.first_difference(&expected) {
            let library = described[0].path.to_owned();
            return Err(Error::ManifestDisagrees { library, field, manifest: in_manifest, descriptor: in_library });
        }
    }
    // Much of a descriptor is not in the manifest: how a task is tried again, for one.
    for pair in libraries.windows(2) {
        let [one, other] = [&pair[0], &pair[1]];
        if let Some((field, in_first, in_other)) = descriptors_differ(&one.facts.descriptor, &other.facts.descriptor) {
            let (first, other) = (one.path.clone(), other.path.clone());
            return Err(Error::LibrariesDisagree(Box::new(Difference { first, other, field, in_first, in_other })));
        }
    }
    Ok(())
}
