//! What the program takes from its surroundings: environment variables, `cloacina.toml`, and the checkout that it was
//! built from.
//!
//! The only place that reads the environment. Variables are read once, at the start; the file only when a command
//! needs what may stand in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;
use crate::retention::{RetentionSection, SETTINGS};

/// The settings of a project; looked for in the working folder.
const FILE: &str = "cloacina.toml";

/// The surroundings of one invocation.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// `NO_COLOR` is set to anything: <https://no-color.org>.
    pub(crate) no_color: bool,
    /// The terminal can only print lines: `TERM` is `dumb`, or not set.
    pub(crate) is_dumb: bool,
    /// The cargo to run; `CARGO` where cargo itself started this program.
    pub(crate) cargo: PathBuf,
    /// `CLOACINA_KEY_PASSWORD`: that of the secret key that is made or used.
    pub(crate) key_password: Option<String>,
    /// `CLOACINA__DATABASE__URL`.
    pub(crate) database_url: Option<String>,
    /// The folders in which programs are looked for: `PATH`.
    pub(crate) path: Vec<PathBuf>,
    /// The name of the user: `USER`, else `LOGNAME`.
    pub(crate) user: Option<String>,
    /// The folder for data of the user: `XDG_DATA_HOME`, else `~/.local/share`.
    pub(crate) data_home: Option<PathBuf>,
    /// `CLOACINA__RETENTION__…`, by the name of the setting.
    pub(crate) retention: BTreeMap<&'static str, String>,
}

/// The content of `cloacina.toml`. A misspelled name must not silently become a default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) database: DatabaseSection,
    #[serde(default)]
    pub(crate) retention: RetentionSection,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseSection {
    pub(crate) url: Option<String>,
}

impl Config {
    pub(crate) fn from_env() -> Self {
        let folder = |name: &str| variable(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        Self {
            no_color: variable("NO_COLOR").is_some_and(|value| !value.is_empty()),
            is_dumb: variable("TERM").is_none_or(|terminal| terminal.is_empty() || terminal == "dumb"),
            cargo: variable("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from),
            key_password: variable("CLOACINA_KEY_PASSWORD")
                .map(|value| value.to_string_lossy().into_owned())
                .filter(|value| !value.is_empty()),
            database_url: variable("CLOACINA__DATABASE__URL")
                .map(|value| value.to_string_lossy().into_owned())
                .filter(|value| !value.is_empty()),
            path: variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
            retention: SETTINGS.into_iter().filter_map(|name| Some((name, retention_variable(name)?))).collect(),
            user: variable("USER")
                .or_else(|| variable("LOGNAME"))
                .map(|name| name.to_string_lossy().into_owned())
                .filter(|name| !name.is_empty()),
            data_home: folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share"))),
        }
    }

    /// A variable that holds a secret value, under whatever name; read when it is asked for, and kept nowhere.
    pub(crate) fn secret_variable(name: &str) -> Option<String> {
        variable(name)?.into_string().ok()
    }

    /// The settings in the working folder; empty ones without a file.
    pub(crate) fn file() -> Result<File, Error> {
        let path = Path::new(FILE);
        if !path.exists() {
            return Ok(File::default());
        }
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| Error::Io { action: "read", path: path.into(), source })?;
        // Some editors put a byte order mark in front.
        toml::from_str(text.strip_prefix('\u{feff}').unwrap_or(&text))
            .map_err(|error| Error::BadConfig { path: path.into(), reason: error.to_string().trim().to_owned() })
    }

    /// The sdk of the checkout that built this program, whether or not it still exists.
    pub(crate) fn built_in_sdk() -> PathBuf {
        checkout().join("sdk")
    }

    /// A package that is measured, of the checkout that built this program, whether or not it still exists.
    pub(crate) fn built_in_fixture(name: &str) -> PathBuf {
        checkout().join("tests/fixtures").join(name)
    }

    /// The lock file of the checkout that built this program, whether or not it still exists.
    pub(crate) fn built_in_lock() -> PathBuf {
        checkout().join("Cargo.lock")
    }

    /// The target folder of the checkout that built this program, whether or not it exists.
    pub(crate) fn built_in_target() -> PathBuf {
        checkout().join("target")
    }
}

fn checkout() -> &'static Path {
    let ctl = Path::new(env!("CARGO_MANIFEST_DIR"));
    ctl.parent().unwrap_or(ctl)
}

fn retention_variable(setting: &str) -> Option<String> {
    let value = variable(&format!("CLOACINA__RETENTION__{}", setting.to_uppercase()))?;
    Some(value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "this file is the one place that reads the environment")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
