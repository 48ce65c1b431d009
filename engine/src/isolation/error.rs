//! Why a package's library does not run in a process of its own, each reason with its stable code.
//!
//! What the loader refuses, here or in the process, keeps the loader's code. What a package does after its library was
//! loaded is the end of a call and never an error of this type.

use std::{io, path::PathBuf};

use cloacina_packager::Class;

use super::{death::Death, incident::Cause, setup::NotReady};
use crate::loader;

/// Why the library of a package cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library was refused, in this process.
    #[error(transparent)]
    Library(#[from] loader::Error),
    /// The program of package hosts could not be started.
    #[error("cannot start {} as a package host", program.display())]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no folder in which the process may write.
    #[error("cannot create the scratch folder of a package")]
    Scratch {
        /// What the system said.
        source: io::Error,
    },
    /// In the sandbox of a server the package may not have what it needs.
    #[error("the package {package} has needs that are not allowed: {}", needs.join(", "))]
    NotAllowed {
        /// The package's name.
        package: String,
        /// What it needs and may not have, each in the words in which it is allowed.
        needs: Vec<String>,
    },
    /// The process ended while it loaded the library.
    #[error("the library could not be loaded: {death}")]
    Crashed {
        /// How it ended.
        death: String,
        /// Whether another process than the package and the engine killed it.
        is_outside: bool,
    },
    /// The process refused the library.
    #[error("{message}")]
    Refused {
        /// The code of the reason, one of the loader's.
        code: &'static str,
        /// What kind of trouble it is.
        class: Class,
        /// The reason, with what caused it.
        message: String,
        /// What may be done.
        hints: Vec<String>,
    },
    /// The program is not a package host, or not of this version.
    #[error("{} does not answer as a package host", program.display())]
    NoHost {
        /// What was started.
        program: PathBuf,
    },
    /// The engine no longer uses the package.
    #[error("the engine has unloaded the package")]
    Closed,
}

impl Error {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Library(source) => source.class(),
            Self::NotAllowed { .. } => Class::Denied,
            Self::Crashed { .. } => Class::Invalid,
            Self::Refused { class, .. } => *class,
            Self::Start { .. } | Self::Scratch { .. } | Self::NoHost { .. } | Self::Closed => Class::Unavailable,
        }
    }

    /// The stable code, with a page `docs/errors/<code>.md`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Library(source) => source.code(),
            Self::Start { .. } => "ISO0001",
            Self::Scratch { .. } => "ISO0007",
            Self::NotAllowed { .. } => "ISO0008",
            Self::Crashed { .. } => "ISO0002",
            Self::Refused { code, .. } => code,
            Self::NoHost { .. } => "ISO0003",
            Self::Closed => "LIB0016",
        }
    }

    /// What the reader may do about it, one line each.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Library(source) => source.hints(),
            Self::Start { .. } => {
                vec!["the program must be there and executable by the engine's user".to_owned()]
            }
            Self::Scratch { .. } => {
                vec![
                    "it is below `scratch` in the engine's data folder, where the engine's user must be able to write"
                        .to_owned(),
                ]
            }
            Self::NotAllowed { package, needs } => {
                let flags: Vec<String> = needs.iter().map(|need| format!("--allow-need '{package}={need}'")).collect();
                vec![
                    format!("to allow it: {}", flags.join(" ")),
                    "for packages that you wrote, `--sandbox dev` needs no permissions".to_owned(),
                ]
            }
            Self::Crashed { .. } => {
                vec!["code of the package ran while it was loaded: constructors, or its `init`".to_owned()]
            }
            Self::Refused { hints, .. } => hints.clone(),
            Self::NoHost { .. } => {
                vec![
                    "started in that role, the program must call `cloacina::package_host()` and nothing else"
                        .to_owned(),
                ]
            }
            Self::Closed => Vec::new(),
        }
    }

    /// In one line: the code, what is wrong and what caused it, and what may be done.
    pub(crate) fn advice(&self) -> String {
        let mut advice = format!("{}: {}", self.code(), loader::with_causes(self));
        for hint in self.hints() {
            advice.push_str("; ");
            advice.push_str(&hint);
        }
        advice
    }

    /// As [`loader::Error::is_withheld`].
    pub(crate) fn is_withheld(&self) -> bool {
        match self {
            Self::Library(source) => source.is_withheld(),
            // Changed after this process had read the file.
            Self::Refused { code: "LIB0002", .. } => true,
            error => error.lasting().is_some(),
        }
    }

    /// The same again, if this engine refuses the package for as long as it lives: because of its own options, and of what
    /// the system has for it.
    pub(super) fn lasting(&self) -> Option<Self> {
        match self {
            Self::NotAllowed { package, needs } => {
                Some(Self::NotAllowed { package: package.clone(), needs: needs.clone() })
            }
            Self::Refused { code: UNCONFINED, class, message, hints } => {
                let (message, hints) = (message.clone(), hints.clone());
                Some(Self::Refused { code: UNCONFINED, class: *class, message, hints })
            }
            Self::Library(_)
            | Self::Start { .. }
            | Self::Scratch { .. }
            | Self::Crashed { .. }
            | Self::Refused { .. }
            | Self::NoHost { .. }
            | Self::Closed => None,
        }
    }

    pub(super) fn crashed(death: &Death) -> Self {
        Self::Crashed { death: death.to_string(), is_outside: death.cause() == Cause::Outside }
    }

    /// What a host said, whose word is not taken for a code that there is not.
    pub(super) fn refused(answer: NotReady) -> Self {
        let known = CODES.iter().find(|code| **code == answer.code);
        let NotReady { code: _, class, message, hints } = answer;
        Self::Refused { code: known.copied().unwrap_or(CODES[0]), class, message, hints }
    }
}

/// The sandbox is not what is required.
pub(super) const UNCONFINED: &str = "ISO0006";

/// What a host may answer.
const CODES: [&str; 10] =
    ["LIB0003", UNCONFINED, "LIB0001", "LIB0002", "LIB0004", "LIB0005", "LIB0006", "LIB0007", "LIB0008", "LIB0010"];
