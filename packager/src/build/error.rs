//! Why a build failed: codes `BLD…`; what is wrong with the built library keeps its own code.
//!
//! What the compiler said is a part of the error, as it may have been shown on a terminal that is gone.

use std::path::PathBuf;

use crate::class::Class;

/// Why a package could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no crate at that place.
    #[error("there is no Cargo.toml in `{}`", .path.display())]
    NoManifest { path: PathBuf },
    /// Cargo cannot be started.
    #[error("cannot start `{}`", .program.display())]
    CargoNotFound { program: PathBuf, source: std::io::Error },
    /// The manifest is a workspace's alone.
    #[error("`{}` is the manifest of a workspace, not of a package", .path.display())]
    Workspace { path: PathBuf, members: Vec<String> },
    /// The workspace has no such member.
    #[error("the workspace has no package `{package}`")]
    UnknownMember { package: String, similar: Vec<String>, members: Vec<String> },
    /// The crate has no library.
    #[error("the package `{package}` has no library target")]
    NoLibraryTarget { package: String },
    /// Cargo cannot make sense of the manifest or its dependencies.
    #[error("cargo cannot read the package:\n{message}")]
    Metadata { message: String },
    /// The crate does not compile; what the compiler says was shown while it ran, and is here again.
    #[error("the package `{package}` does not compile{}", .status.map(|status| format!(" (cargo ended with {status})")).unwrap_or_default())]
    Compile { package: String, status: Option<i32>, diagnostics: String },
    /// Cargo succeeded but named no shared library.
    #[error("cargo built no shared library of the package `{package}`")]
    NoArtifact { package: String },
    /// The compiler cannot build for a target.
    #[error("the standard library for {} is not installed", .targets.join(" and "))]
    NoStandardLibrary { targets: Vec<String> },
    /// The file system refused.
    #[error("cannot {action} `{}`", .path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// The library was built but cannot be a package.
    #[error(transparent)]
    Package(#[from] crate::Error),
}

impl Error {
    /// What kind of trouble it is.
    pub fn class(&self) -> Class {
        match self {
            Error::NoManifest { .. } | Error::UnknownMember { .. } => Class::NotFound,
            Error::Workspace { .. }
            | Error::NoLibraryTarget { .. }
            | Error::Metadata { .. }
            | Error::Compile { .. }
            | Error::NoArtifact { .. } => Class::Invalid,
            Error::CargoNotFound { .. } | Error::NoStandardLibrary { .. } | Error::Io { .. } => Class::Unavailable,
            Error::Package(error) => error.class(),
        }
    }

    /// The stable code; `docs/errors/<code>.md` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Error::NoManifest { .. } => "BLD0001",
            Error::CargoNotFound { .. } => "BLD0002",
            Error::Workspace { .. } => "BLD0003",
            Error::UnknownMember { .. } => "BLD0004",
            Error::NoLibraryTarget { .. } => "BLD0005",
            Error::Metadata { .. } => "BLD0006",
            Error::Compile { .. } => "BLD0007",
            Error::NoArtifact { .. } => "BLD0008",
            Error::Io { .. } => "BLD0009",
            Error::NoStandardLibrary { .. } => "BLD0010",
            Error::Package(error) => error.code(),
        }
    }

    /// What the user can do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Error::NoManifest { .. } => vec![
                "name the folder of the crate: cloacina-ctl package build PATH".to_owned(),
                "or make a new one: cloacina-ctl package new NAME".to_owned(),
            ],
            Error::CargoNotFound { .. } => vec!["install Rust, and see that `cargo --version` works here".to_owned()],
            Error::Workspace { members, .. } => {
                vec![format!("name one of its packages: {}", members.join(", "))]
            }
            Error::UnknownMember { similar, members, .. } => match similar.as_slice() {
                [] => vec![format!("it has {}", members.join(", "))],
                similar => similar.iter().map(|name| format!("did you mean `{name}`?")).collect(),
            },
            Error::NoLibraryTarget { .. } => {
                vec!["move the workflow to src/lib.rs, and give Cargo.toml a [lib] with crate-type = [\"cdylib\", \"rlib\"]".to_owned()]
            }
            Error::NoArtifact { .. } => {
                vec!["give the [lib] of Cargo.toml crate-type = [\"cdylib\", \"rlib\"]".to_owned()]
            }
            Error::NoStandardLibrary { targets } => vec![
                format!("rustup target add {}", targets.join(" ")),
                "or build on a machine of that target, and put the archives together: cloacina-ctl package merge"
                    .to_owned(),
            ],
            Error::Metadata { .. } | Error::Compile { .. } | Error::Io { .. } => Vec::new(),
            Error::Package(error) => error.hints(),
        }
    }
}
