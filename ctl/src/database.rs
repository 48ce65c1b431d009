//! Which database a command works on. The one place that decides.
//!
//! `--database`, else the setting `database.url`, else a SQLite file in the user's data folder. `docs/reference/config.md`
//! tells it to people.

use std::path::Path;

use cloacina::{Caller, Records, Retention};

use crate::config::Config;
use crate::error::Error;
use crate::output::Output;
use crate::retention::retention;

/// The default database, below the user's data folder.
const DEFAULT: &str = "cloacina/cloacina.db";

/// A database, and where its name comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Database {
    pub(crate) url: String,
    /// What an engine on it keeps.
    pub(crate) retention: Retention,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Given,
    Default,
}

impl Database {
    /// The database that the arguments and the surroundings name.
    pub(crate) fn choose(argument: Option<&str>, config: &Config) -> Result<Self, Error> {
        let settings = config.settings()?;
        let retention = retention(settings)?;
        let given = |url: &str| Self { url: url.to_owned(), retention: retention.clone(), origin: Origin::Given };
        if let Some(url) = argument.or(settings.text("database.url")) {
            return Ok(given(url));
        }
        let home = config.data_home.as_deref().ok_or(Error::NoDatabase)?;
        Ok(Self { url: home.join(DEFAULT).display().to_string(), retention, origin: Origin::Default })
    }

    /// Makes the folder of the default database, so that a new one can be made there.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        match (self.origin, Path::new(&self.url).parent()) {
            (Origin::Default, Some(folder)) => std::fs::create_dir_all(folder).map_err(|source| Error::Io {
                action: "make",
                path: folder.into(),
                source,
            }),
            _ => Ok(()),
        }
    }

    /// Whether it is on a server and not in a file.
    pub(crate) fn is_on_a_server(&self) -> bool {
        ["postgres://", "postgresql://"].iter().any(|scheme| self.url.starts_with(scheme))
    }

    /// The records of the database. None, and a note how to begin, if there is no such database yet.
    pub(crate) fn records(&self, output: &Output) -> Result<Option<Records>, Error> {
        let records = self.records_if_any()?;
        if records.is_none() {
            let option = self.option();
            output.note(&format!(
                "there is no database {} yet; `cloacina-ctl demo{option}` or `cloacina-ctl run PACKAGE{option}` makes it",
                self.shown()
            ));
        }
        Ok(records)
    }

    /// The records of every tenant in the database; none if there is no such database.
    pub(crate) fn records_if_any(&self) -> Result<Option<Records>, Error> {
        Ok(Records::find(&self.url)?.map(|records| records.on_behalf_of(Caller::owner())))
    }

    /// The records of the database, for a search for a run.
    pub(crate) fn records_needed(&self) -> Result<Records, Error> {
        self.records_if_any()?.ok_or_else(|| Error::NoDatabaseYet { database: self.shown() })
    }

    /// The database's name without a password.
    pub(crate) fn shown(&self) -> String {
        cloacina::database_shown(&self.url).to_string()
    }

    /// The folder in which an engine keeps what is not in the database; none where the engine decides.
    pub(crate) fn data_dir(&self) -> Option<&Path> {
        // The folder of the default database is there for nothing else.
        Path::new(&self.url).parent().filter(|_| self.origin == Origin::Default)
    }

    /// `--database URL` for a command in a hint, where it is needed; without the password, which is the reader's to fill in.
    pub(crate) fn option(&self) -> String {
        match self.origin {
            Origin::Given => format!(" --database {}", cloacina::database_shown(&self.url)),
            Origin::Default => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: Option<&str>) -> Config {
        let variables = url.map(|url| ("CLOACINA__DATABASE__URL".to_owned(), url.to_owned()));
        Config { variables: variables.into_iter().collect(), data_home: Some("/data".into()), ..Config::default() }
    }

    #[test]
    fn what_is_nearer_to_the_command_wins() {
        let url = |argument, config: &Config| Database::choose(argument, config).unwrap().url;
        assert_eq!(url(Some("argument.db"), &config(Some("variable.db"))), "argument.db");
        assert_eq!(url(None, &config(Some("variable.db"))), "variable.db");
        assert_eq!(url(None, &config(None)), "/data/cloacina/cloacina.db");
    }

    #[test]
    fn without_any_folder_the_database_must_be_named() {
        assert!(matches!(Database::choose(None, &Config::default()), Err(Error::NoDatabase)));
    }

    #[test]
    fn hints_name_a_database_that_was_given() {
        assert_eq!(Database::choose(Some("a.db"), &config(None)).unwrap().option(), " --database a.db");
        let secret = Database::choose(Some("postgres://me:secret@host/db"), &config(None)).unwrap();
        assert_eq!(secret.option(), " --database postgres://me:***@host/db");
        assert_eq!(Database::choose(None, &config(None)).unwrap().option(), "");
    }
}
