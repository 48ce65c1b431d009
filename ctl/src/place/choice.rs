//! Database or server: the one place that decides.
//!
//! What is nearer to the command wins: `--server` or `--database`; `CLOACINA_SERVER`; the setting `database.url`; the profile in
//! use; else the default database. `docs/guide/server.md` tells it to people.

use super::server::Server;
use super::source::Source;
use crate::actor;
use crate::cli::{ActorArgs, DatabaseArgs};
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::output::Output;

/// Where a command works.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Database(Database),
    Server(Server),
}

impl Place {
    /// What the arguments and the surroundings name.
    pub(crate) fn choose(arguments: &DatabaseArgs, config: &Config) -> Result<Self, Error> {
        match Server::choose(arguments, config)? {
            Some(server) => Ok(Self::Server(server)),
            None => Database::choose(arguments.database.as_deref(), config).map(Self::Database),
        }
    }

    /// The database, for a command that works on no server.
    ///
    /// # Errors
    /// [`Error::NotOnServer`] if a server is named.
    pub(crate) fn database(arguments: &DatabaseArgs, config: &Config) -> Result<Database, Error> {
        match Self::choose(arguments, config)? {
            Self::Database(database) => Ok(database),
            Self::Server(server) => Err(server.cannot("this command")),
        }
    }

    /// What is read from. None, and a note how to begin, if there is no such database yet.
    pub(crate) fn source(&self, output: &Output) -> Result<Option<Source>, Error> {
        match self {
            Self::Database(database) => Ok(database.records(output)?.map(Source::database)),
            Self::Server(server) => server.source().map(Some),
        }
    }

    /// What is read from; none if there is no such database.
    pub(crate) fn source_if_any(&self) -> Result<Option<Source>, Error> {
        match self {
            Self::Database(database) => Ok(database.records_if_any()?.map(Source::database)),
            Self::Server(server) => server.source().map(Some),
        }
    }

    /// What is read from, for a search for a run.
    pub(crate) fn source_needed(&self) -> Result<Source, Error> {
        match self {
            Self::Database(database) => database.records_needed().map(Source::database),
            Self::Server(server) => server.source(),
        }
    }

    /// The actor that histories record: on a database the one of the arguments, or the user and the machine; on a server the one of
    /// the credential.
    ///
    /// # Errors
    /// [`Error::NotOnServer`] if an actor is named for a server.
    pub(crate) fn actor(&self, arguments: &ActorArgs, config: &Config) -> Result<String, Error> {
        match self {
            Self::Server(server) if arguments.actor.is_some() => Err(server.cannot("--actor")),
            Self::Server(_) | Self::Database(_) => Ok(actor::name(arguments, config)),
        }
    }

    /// The option for a command in a hint, where it is needed.
    pub(crate) fn option(&self) -> String {
        match self {
            Self::Database(database) => database.option(),
            Self::Server(server) => server.option(),
        }
    }
}

impl From<Database> for Place {
    fn from(database: Database) -> Self {
        Self::Database(database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(database: Option<&str>, server: Option<&str>, config: &Config) -> String {
        let [database, server] = [database, server].map(|text| text.map(str::to_owned));
        match Place::choose(&DatabaseArgs { database, server, ..DatabaseArgs::default() }, config).unwrap() {
            Place::Database(database) => database.url,
            Place::Server(server) => server.url().to_owned(),
        }
    }

    #[test]
    fn what_is_nearer_to_the_command_wins() {
        let variables = [("CLOACINA__DATABASE__URL".to_owned(), "variable.db".to_owned())].into();
        let config = Config { data_home: Some("/data".into()), variables, ..Config::default() };
        assert_eq!(chosen(None, None, &config), "variable.db");
        let config = Config { server: Some("http://variable".to_owned()), ..config };
        assert_eq!(chosen(None, None, &config), "http://variable");
        assert_eq!(chosen(Some("argument.db"), None, &config), "argument.db");
        assert_eq!(chosen(None, Some("http://argument"), &config), "http://argument");
    }

    #[test]
    fn a_command_that_needs_a_database_refuses_a_server() {
        let arguments = DatabaseArgs { server: Some("http://host".to_owned()), ..DatabaseArgs::default() };
        let refused = Place::database(&arguments, &Config::default()).unwrap_err();
        assert_eq!(refused.code(), "CTL0065");
        assert_eq!(refused.to_string(), "this command does not work on a server, and the server http://host is named");
    }
}
