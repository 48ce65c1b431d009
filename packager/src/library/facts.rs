//! What is known of a library file, and whether it may be loaded.
//!
//! Facts are read without checking them, so that files for other machines and invalid files can be shown; a policy checks
//! them.

use cloacina_workflow::descriptor::Descriptor;
use object::{Architecture, BinaryFormat};

use super::glibc::GlibcVersion;
use crate::error::Error;
use crate::target::Target;

/// What is known of a library without having run any of it.
#[derive(Debug, Clone)]
pub struct LibraryFacts {
    pub(super) architecture: Architecture,
    pub(super) format: BinaryFormat,
    /// Libraries that the system's loader loads along with it.
    pub needed: Vec<String>,
    /// Search paths that it brings (RPATH, RUNPATH).
    pub search_paths: Vec<String>,
    /// Whether it asks for an executable stack.
    pub executable_stack: bool,
    /// The highest version of the GNU C library that it needs.
    pub glibc: Option<GlibcVersion>,
    /// The names that it exports.
    pub exports: Vec<String>,
    /// What it says of itself.
    pub descriptor: Descriptor,
}

/// What a library may be and need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The target that it has to be for; any if absent.
    pub target: Option<Target>,
    /// Libraries that it may need besides those of the system.
    pub allowed_libraries: Vec<String>,
    /// The version of the GNU C library that there is; not checked if absent.
    pub glibc_available: Option<GlibcVersion>,
}

/// What every system of the known targets has, by name up to the version.
const SYSTEM_LIBRARIES: &[&str] = &["libc", "libm", "libgcc_s", "libpthread", "libdl", "librt", "libstdc++"];

impl LibraryFacts {
    /// The machine and the kind of file, for people.
    pub fn machine(&self) -> String {
        format!("{:?} ({:?})", self.architecture, self.format)
    }

    /// The target that the library is for: the one its descriptor names if the file is such a one, else the first
    /// that such files are for.
    pub fn target(&self) -> Option<Target> {
        let named = self.descriptor.build.as_ref().and_then(|build| Target::find(&build.target));
        let named = named.filter(|target| target.fits(self.architecture, self.format));
        named.or_else(|| Target::of_file(self.architecture, self.format))
    }

    /// Everything that the policy has against the library; `library` is its name in the errors.
    pub fn problems(&self, library: &str, policy: &Policy) -> Vec<Error> {
        let library = || library.to_owned();
        let mut problems = Vec::new();
        if let Some(target) = policy.target
            && !target.fits(self.architecture, self.format)
        {
            let expected = target.triple().to_owned();
            problems.push(Error::OtherMachine { library: library(), found: self.machine(), expected });
        }
        for needed in self.needed.iter().filter(|needed| !self.is_allowed(needed, policy)) {
            problems.push(Error::DependencyNotAllowed { library: library(), needed: needed.clone() });
        }
        for path in &self.search_paths {
            problems.push(Error::SearchPath { library: library(), path: path.clone() });
        }
        if self.executable_stack {
            problems.push(Error::ExecutableStack { library: library() });
        }
        if let (Some(needed), Some(available)) = (self.glibc, policy.glibc_available)
            && needed > available
        {
            problems.push(Error::GlibcTooNew { library: library(), needed, available });
        }
        problems
    }

    fn is_allowed(&self, needed: &str, policy: &Policy) -> bool {
        if policy.allowed_libraries.iter().any(|allowed| allowed == needed) {
            return true;
        }
        // The libraries that Mach-O and PE files need are checked when packages run on those systems.
        if self.format != BinaryFormat::Elf {
            return true;
        }
        // A name with a slash is a path, whatever it begins with.
        let is_version = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match needed.split_once(".so") {
            Some((stem, version)) if is_version(version) && !stem.contains('/') => {
                SYSTEM_LIBRARIES.contains(&stem) || stem.starts_with("ld-linux") || stem == "ld64"
            }
            _ => false,
        }
    }
}
