//! The value of each setting, and where it comes from.
//!
//! A variable counts before the file, and the file before the default; an argument counts before all of them. Every value is
//! checked when it is read, whether or not the command needs it: a mistake that waits is found when it is too late.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::file::{self, Content, Given};
use super::seal::SealKey;
use super::surroundings::Config;
use super::table::{self, SETTINGS, Setting, setting};
use crate::error::Error;

/// The values that are not defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    chosen: BTreeMap<&'static str, Chosen>,
    /// The file that was read.
    pub(super) file: Option<PathBuf>,
}

/// A value, and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    /// One text, or all of a list.
    pub(super) texts: Vec<String>,
    pub(super) origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File { path: PathBuf, line: usize },
    Variable { name: String },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(formatter, "{}, line {line}", path.display()),
            Self::Variable { name } => write!(formatter, "the variable {name}"),
        }
    }
}

impl Settings {
    /// Reads and checks what the surroundings say.
    ///
    /// # Errors
    /// [`Error::BadConfig`] for what no setting is, [`Error::BadSetting`] for a value that makes no sense, and what the system
    /// says of a file that cannot be read.
    pub(super) fn load(config: &Config) -> Result<Self, Error> {
        let mut settings = Self::default();
        if let Some((path, text)) = config.settings_file()? {
            for given in file::read(&path, &text)? {
                settings.take_from_file(&path, given, config)?;
            }
            settings.file = Some(path);
        }
        settings.take_variables(config)?;
        Ok(settings)
    }

    /// What a file says.
    #[cfg(test)]
    pub(crate) fn of_text(text: &str) -> Result<Self, Error> {
        let (path, mut settings) = (Path::new("cloacina.toml"), Self::default());
        for given in file::read(path, text)? {
            settings.take_from_file(path, given, &Config::default())?;
        }
        Ok(settings)
    }

    /// The text of a setting that is one text; none if it has its default.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(setting(name).is_some_and(|setting| !setting.kind.is_list()), "{name}");
        self.chosen.get(name)?.texts.first().map(String::as_str)
    }

    /// The value of a setting; none if it has its default.
    ///
    /// # Errors
    /// [`Error::BadSetting`] if the text has no such value.
    pub(crate) fn value<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Error> {
        let Some((text, Chosen { origin, .. })) = self.text(name).zip(self.chosen.get(name)) else { return Ok(None) };
        parse(text).map(Some).map_err(|reason| bad(name, text, origin, reason))
    }

    /// Where the values come from, in words.
    pub(crate) fn origin(&self) -> String {
        let of_file = |chosen: &&Chosen| matches!(chosen.origin, Origin::File { .. });
        let n_of_file = self.chosen.values().filter(of_file).count();
        let n_of_variables = self.chosen.len() - n_of_file;
        let file = match &self.file {
            Some(file) => format!("{n_of_file} from {}", file.display()),
            None => "no file".to_owned(),
        };
        format!("{file}, {n_of_variables} from variables")
    }

    pub(super) fn chosen(&self, name: &str) -> Option<&Chosen> {
        self.chosen.get(name)
    }

    fn take_from_file(&mut self, path: &Path, given: Given, config: &Config) -> Result<(), Error> {
        let Given { name, line, content } = given;
        let origin = Origin::File { path: path.to_owned(), line };
        let unusable = |reason: String| Error::BadConfig { place: origin.to_string(), reason, near: None };
        let texts = match content {
            Content::Texts(texts) => texts,
            Content::InFile(secret) => {
                // Beside the file of settings, wherever the program was started.
                let secret = path.parent().unwrap_or(Path::new("")).join(secret);
                vec![text_of(&secret)?]
            }
            Content::InVariable(variable) => {
                let text = Config::secret_variable(&variable);
                vec![text.ok_or_else(|| unusable(format!("`{name}` is in the variable {variable}, which is not set")))?]
            }
            Content::Encrypted(sealed) => {
                let opened = key(config)?.ok_or_else(|| Error::NoSettingsKey { place: origin.to_string() })?;
                let opened = opened.open(name, &sealed);
                vec![
                    opened.ok_or_else(|| {
                        unusable(format!("`{name}` was not encrypted for this setting with this key"))
                    })?,
                ]
            }
        };
        self.take(name, texts, origin)
    }

    fn take_variables(&mut self, config: &Config) -> Result<(), Error> {
        for setting in SETTINGS {
            let (variable, file_variable) = (setting.variable(), setting.file_variable());
            if let Some(text) = config.variables.get(&variable) {
                let texts = match setting.kind.is_list() {
                    true => text.split(',').map(|text| text.trim().to_owned()).collect(),
                    false => vec![text.clone()],
                };
                self.take(setting.name, texts, Origin::Variable { name: variable })?;
            } else if let Some(path) = config.variables.get(&file_variable) {
                let text = text_of(Path::new(path))?;
                self.take(setting.name, vec![text], Origin::Variable { name: file_variable })?;
            }
        }
        let is_known = |variable: &str| {
            SETTINGS
                .iter()
                .any(|setting| [setting.variable(), setting.file_variable()].iter().any(|name| name == variable))
        };
        let Some(unknown) = config.variables.keys().find(|variable| !is_known(variable)) else { return Ok(()) };
        let name = unknown[table::PREFIX.len()..].to_lowercase().replacen("__", ".", 1);
        Err(Error::BadConfig {
            place: format!("the variable {unknown}"),
            reason: format!("no setting has the name `{name}`"),
            near: table::nearest(&name).and_then(setting).map(Setting::variable),
        })
    }

    fn take(&mut self, name: &'static str, texts: Vec<String>, origin: Origin) -> Result<(), Error> {
        let kind = &setting(name).expect("invariant: names come from the table").kind;
        for text in &texts {
            kind.check(text).map_err(|reason| bad(name, text, &origin, reason))?;
        }
        self.chosen.insert(name, Chosen { texts, origin });
        Ok(())
    }
}

/// The key of encrypted values; none if none is named.
///
/// # Errors
/// If it cannot be read, or is not a key.
pub(super) fn key(config: &Config) -> Result<Option<SealKey>, Error> {
    let (text, place) = match (&config.settings_key, &config.settings_key_file) {
        (Some(text), _) => (text.clone(), "the variable CLOACINA_SETTINGS_KEY".to_owned()),
        (None, Some(path)) => (text_of(path)?, path.display().to_string()),
        (None, None) => return Ok(None),
    };
    let reason = "it has no key of `cloacina-ctl config new-key`".to_owned();
    SealKey::parse(&text).map(Some).ok_or(Error::BadConfig { place, reason, near: None })
}

/// The text of a file without the ends of its last line, which editors add.
fn text_of(path: &Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| Error::Io { action: "read", path: path.into(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn bad(name: &str, text: &str, origin: &Origin, reason: String) -> Error {
    Error::BadSetting { name: name.to_owned(), text: text.to_owned(), place: origin.to_string(), reason }
}
