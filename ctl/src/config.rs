//! What the program takes from its surroundings: environment variables, and the checkout that it was built from.
//!
//! The only place that reads the environment. Everything here is read once, at the start.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The surroundings of one invocation.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// `NO_COLOR` is set to anything: <https://no-color.org>.
    pub(crate) no_color: bool,
    /// The cargo to run; `CARGO` where cargo itself started this program.
    pub(crate) cargo: PathBuf,
}

impl Config {
    pub(crate) fn from_env() -> Self {
        Self {
            no_color: variable("NO_COLOR").is_some_and(|value| !value.is_empty()),
            cargo: variable("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from),
        }
    }

    /// The sdk of the checkout that built this program, whether or not it still exists.
    pub(crate) fn built_in_sdk() -> PathBuf {
        let ctl = Path::new(env!("CARGO_MANIFEST_DIR"));
        ctl.parent().unwrap_or(ctl).join("sdk")
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is the one place that reads the environment")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
