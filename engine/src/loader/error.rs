//! Why a package's library was not loaded, each reason with its stable code.
//!
//! A refusal names both sides: what this engine has or expected, and what the library says. Everything that a
//! library does wrong after it was loaded is data of a call ([`super::CallResult`]) and never an error of this type.

use std::{io, path::PathBuf};

use cloacina_packager::{Class, Digest};
use cloacina_workflow::abi;

/// Why a library cannot be used. Nothing of it stays visible; what was mapped stays mapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("cannot read the library {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the library {} is not the file that was registered: its digest is {found}, expected {expected}", path.display())]
    Changed { path: PathBuf, expected: Digest, found: Digest },
    #[error("the dynamic loader refused {}", path.display())]
    Open { path: PathBuf, source: libloading::Error },
    #[error("the library {} exports no function `{symbol}`", path.display())]
    Symbol { path: PathBuf, symbol: &'static str, source: libloading::Error },
    #[error("the table of functions that the library returned is damaged: {problem}")]
    Table { problem: TableProblem },
    #[error(
        "the package speaks version {package} of the C ABI, this engine speaks {}.0 to {}.{}",
        abi::ABI_MAJOR,
        abi::ABI_MAJOR,
        abi::ABI_MINOR
    )]
    Version { package: String },
    #[error("the metadata inside the loaded library cannot be read: {reason}")]
    Metadata { reason: String },
    #[error(
        "the loaded library describes itself differently from the archive: {field} is {library} in the library, {archive} in the archive"
    )]
    Differs { field: String, library: String, archive: String },
    #[error("the package was built with panic = \"abort\", so a panic in it would end the engine")]
    PanicAborts,
    #[error("the package refused to start: init answered {status}")]
    Init { status: String },
    /// The package is for other machines.
    #[error(transparent)]
    OtherTarget(Box<cloacina_packager::Error>),
    /// The check that is asked before a library is loaded said no, with a code of its own.
    #[error("the library {} is not ready to be loaded", path.display())]
    NotReady {
        path: PathBuf,
        code: &'static str,
        class: Class,
        hints: Vec<String>,
        /// Whether that lasts until a user corrects it.
        is_withheld: bool,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What is wrong with the table that `cloacina_package_v1` returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableProblem {
    #[error("the pointer is null")]
    Null,
    #[error("the address is not a multiple of {align}")]
    Misaligned { align: usize },
    #[error("its size is {found} bytes, version {}.0 has {expected}", abi::ABI_MAJOR)]
    Size { found: u32, expected: usize },
    #[error("the function `{name}` is missing")]
    Function { name: &'static str },
    #[error("{name} has no address but a length of {len}, or is longer than {max} bytes")]
    Bytes { name: &'static str, len: usize, max: usize },
}

impl Error {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Read { .. } => Class::Unavailable,
            Self::Changed { .. } => Class::Denied,
            Self::Open { .. }
            | Self::Symbol { .. }
            | Self::Table { .. }
            | Self::Version { .. }
            | Self::Metadata { .. }
            | Self::Differs { .. }
            | Self::PanicAborts
            | Self::Init { .. } => Class::Invalid,
            Self::OtherTarget(source) => source.class(),
            Self::NotReady { class, .. } => *class,
        }
    }

    /// The stable code, with a page `docs/errors/<code>.md`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "LIB0001",
            Self::Changed { .. } => "LIB0002",
            Self::Open { .. } => "LIB0003",
            Self::Symbol { .. } => "LIB0004",
            Self::Table { .. } => "LIB0005",
            Self::Version { .. } => "LIB0006",
            Self::Metadata { .. } => "LIB0007",
            Self::Differs { .. } => "LIB0008",
            Self::PanicAborts => "LIB0009",
            Self::Init { .. } => "LIB0010",
            Self::OtherTarget(source) => source.code(),
            Self::NotReady { code, .. } => code,
        }
    }

    /// Whether the library must not be loaded until a user corrects the cause, although nothing is wrong with the
    /// package: it is not trusted, or its file or archive was changed.
    pub(crate) fn is_withheld(&self) -> bool {
        matches!(self, Self::Changed { .. } | Self::NotReady { is_withheld: true, .. })
    }

    /// What the reader may do about it, one line each.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Read { .. } => vec!["register the package again: its file is restored from the archive".to_owned()],
            Self::Changed { .. } => vec![
                "nothing of the file was run; register the package again to restore it".to_owned(),
                "the engine never changes a file in the packages folder: find out what changed it".to_owned(),
            ],
            Self::Open { .. } => vec!["build the package on this system, or for its libc and its processor".to_owned()],
            Self::Symbol { symbol, .. } => {
                vec![format!("a package exports exactly one function, `{symbol}`; see cloacina.h")]
            }
            Self::Table { .. } => vec!["compile the package against the cloacina.h of a released version".to_owned()],
            Self::Version { .. } => {
                vec!["rebuild the package with the sdk of this engine, or update the engine".to_owned()]
            }
            Self::Metadata { .. } => {
                vec!["the records must be those that the section `cloacina` of the file holds".to_owned()]
            }
            Self::Differs { .. } => vec!["build the archive again from the library".to_owned()],
            Self::PanicAborts => {
                vec![
                    "remove `panic = \"abort\"` from the profile that the package is built with".to_owned(),
                    "or let it run in processes of its own: `--isolation process`, which is the default of the command line"
                        .to_owned(),
                ]
            }
            Self::Init { .. } => vec!["the log of the package may tell why".to_owned()],
            Self::OtherTarget(source) => source.hints(),
            Self::NotReady { hints, .. } => hints.clone(),
        }
    }
}

/// An error in one line, with what caused it.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let (mut message, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    message
}
