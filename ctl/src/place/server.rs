//! A server that a command asks: its address, and what shows who asks.
//!
//! The credential comes from a file or a variable, and never from an argument, which every program of the machine could see.

use std::path::Path;

use cloacina_client::{Client, Credential, Options};

use super::remote::Remote;
use super::source::Source;
use crate::cli::DatabaseArgs;
use crate::config::Config;
use crate::error::Error;

/// A server, and where its name comes from.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    url: String,
    options: Options,
    /// Whether an argument names it, so that a command in a hint has to.
    is_argument: bool,
}

impl Server {
    /// The server that the arguments or the surroundings name; none if they name none, or a database.
    pub(super) fn choose(arguments: &DatabaseArgs, config: &Config) -> Result<Option<Self>, Error> {
        let named = match (&arguments.server, &arguments.database) {
            (Some(server), _) => Some((server, true)),
            (None, Some(_)) => None,
            (None, None) => config.server.as_ref().map(|server| (server, false)),
        };
        let Some((url, is_argument)) = named else { return Ok(None) };
        let options = Options { credential: credential(arguments, config)?, tenant: None };
        Ok(Some(Self { url: url.clone(), options, is_argument }))
    }

    /// A client of the server, for the runtime in which it is made.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        Ok(Client::new(&self.url, self.options.clone())?)
    }

    /// What a verb reads from.
    pub(super) fn source(&self) -> Result<Source, Error> {
        Ok(Source::Server(Box::new(Remote::new(self.client()?)?)))
    }

    /// The refusal of what only a database can be asked.
    pub(crate) fn cannot(&self, what: &'static str) -> Error {
        Error::NotOnServer { what, server: self.url.clone() }
    }

    #[cfg(test)]
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// `--server URL` for a command in a hint, where it is needed.
    pub(super) fn option(&self) -> String {
        match self.is_argument {
            true => format!(" --server {}", self.url),
            false => String::new(),
        }
    }
}

fn credential(arguments: &DatabaseArgs, config: &Config) -> Result<Credential, Error> {
    match (&arguments.api_key_file, &config.api_key, &config.api_key_file) {
        (Some(path), _, _) | (None, None, Some(path)) => read(path).map(Credential::Bearer),
        (None, Some(key), _) => Ok(Credential::Bearer(key.clone())),
        (None, None, None) => Ok(Credential::None),
    }
}

/// The key in that file, without the end of its last line.
fn read(path: &Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| Error::Io { action: "read the API key in", path: path.to_owned(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
