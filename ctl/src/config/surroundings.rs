//! What the program takes from its surroundings: environment variables, the file of settings, and the checkout that it
//! was built from.
//!
//! The only place that reads the environment. Variables are read once, at the start; the file only when a command
//! needs what may stand in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::settings::Settings;
use super::table::PREFIX;
use crate::error::Error;

/// The settings of a project; looked for in the working folder.
const FILE: &str = "cloacina.toml";

/// The surroundings of one invocation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    /// `NO_COLOR` is set to anything: <https://no-color.org>.
    pub(crate) no_color: bool,
    /// The terminal can only print lines: `TERM` is `dumb`, or not set.
    pub(crate) is_dumb: bool,
    /// The cargo to run; `CARGO` where cargo itself started this program.
    pub(crate) cargo: PathBuf,
    /// `CLOACINA_KEY_PASSWORD`: that of the secret key that is made or used.
    pub(crate) key_password: Option<String>,
    /// `CLOACINA__…`: settings, by the whole name of the variable.
    pub(crate) variables: BTreeMap<String, String>,
    /// `CLOACINA_SETTINGS_KEY`: the key of encrypted settings.
    pub(crate) settings_key: Option<String>,
    /// `CLOACINA_SETTINGS_KEY_FILE`: the file with that key.
    pub(crate) settings_key_file: Option<PathBuf>,
    /// The file of settings that `--config` names.
    pub(crate) file: Option<PathBuf>,
    /// What was read; [`Self::settings`] is the way to it.
    pub(crate) settings: OnceLock<Settings>,
    /// `CLOACINA_SERVER`: the server that is asked instead of a database.
    pub(crate) server: Option<String>,
    /// `CLOACINA_API_KEY`: the key for the server.
    pub(crate) api_key: Option<String>,
    /// `CLOACINA_API_KEY_FILE`: the file with that key.
    pub(crate) api_key_file: Option<PathBuf>,
    /// `CLOACINA_CA_FILE`: the certificate authorities to trust for that server.
    pub(crate) ca_file: Option<PathBuf>,
    /// The folders in which programs are looked for: `PATH`.
    pub(crate) path: Vec<PathBuf>,
    /// The name of the user: `USER`, else `LOGNAME`.
    pub(crate) user: Option<String>,
    /// The folder for settings of the user: `XDG_CONFIG_HOME`, else `~/.config`.
    pub(crate) config_home: Option<PathBuf>,
    /// The folder for data of the user: `XDG_DATA_HOME`, else `~/.local/share`.
    pub(crate) data_home: Option<PathBuf>,
}

impl Config {
    pub(crate) fn from_env() -> Self {
        let folder = |name: &str| variable(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        Self {
            no_color: variable("NO_COLOR").is_some_and(|value| !value.is_empty()),
            is_dumb: variable("TERM").is_none_or(|terminal| terminal.is_empty() || terminal == "dumb"),
            cargo: variable("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from),
            key_password: text("CLOACINA_KEY_PASSWORD"),
            variables: settings(),
            settings_key: text("CLOACINA_SETTINGS_KEY"),
            settings_key_file: text("CLOACINA_SETTINGS_KEY_FILE").map(PathBuf::from),
            file: None,
            settings: OnceLock::new(),
            server: text("CLOACINA_SERVER"),
            ca_file: text("CLOACINA_CA_FILE").map(PathBuf::from),
            api_key: text("CLOACINA_API_KEY"),
            api_key_file: text("CLOACINA_API_KEY_FILE").map(PathBuf::from),
            path: variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
            user: text("USER").or_else(|| text("LOGNAME")),
            config_home: folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config"))),
            data_home: folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share"))),
        }
    }

    /// A variable that holds a secret value, under whatever name; read when it is asked for, and kept nowhere.
    pub(crate) fn secret_variable(name: &str) -> Option<String> {
        variable(name)?.into_string().ok()
    }

    /// The same with the file of settings that was named, if one was.
    pub(crate) fn with_file(self, file: Option<PathBuf>) -> Self {
        Self { file, settings: OnceLock::new(), ..self }
    }

    /// The settings that the surroundings say, which are read once.
    ///
    /// # Errors
    /// If the file cannot be read, has an unknown name, or if a value makes no sense.
    pub(crate) fn settings(&self) -> Result<&Settings, Error> {
        match self.settings.get() {
            Some(settings) => Ok(settings),
            None => {
                let loaded = Settings::load(self)?;
                Ok(self.settings.get_or_init(|| loaded))
            }
        }
    }

    /// The file of settings and its text: the one that was named, else the one in the working folder if there is one.
    pub(super) fn settings_file(&self) -> Result<Option<(PathBuf, String)>, Error> {
        let path = match &self.file {
            Some(path) => path.clone(),
            None if Path::new(FILE).exists() => PathBuf::from(FILE),
            None => return Ok(None),
        };
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| Error::Io { action: "read", path: path.clone(), source })?;
        Ok(Some((path, text)))
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

/// A variable as text; none if it is empty.
fn text(name: &str) -> Option<String> {
    Some(variable(name)?.to_string_lossy().into_owned()).filter(|text| !text.is_empty())
}

/// The variables that mean settings, without the empty ones.
fn settings() -> BTreeMap<String, String> {
    let variables = std::env::vars_os().map(|(name, text)| (name.to_string_lossy().into_owned(), text));
    let variables = variables.filter(|(name, text)| name.starts_with(PREFIX) && !text.is_empty());
    variables.map(|(name, text)| (name, text.to_string_lossy().into_owned())).collect()
}

#[expect(clippy::disallowed_methods, reason = "this file is the one place that reads the environment")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
