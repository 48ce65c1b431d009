//! A server that a command asks: its address, and what shows who asks.
//!
//! A server is named by its address or by a profile. The credential comes from a file, a variable or the profile, and never from
//! an argument, which every program of the machine could see.

use std::path::PathBuf;

use cloacina_client::{Client, Credential, Options};

use super::remote::Remote;
use super::source::Source;
use crate::cli::DatabaseArgs;
use crate::config::Config;
use crate::error::Error;
use crate::profile::{Profile, Profiles};
use crate::secret_file::read_key;

/// A server, and where its name comes from.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// What names it, if a command in a hint has to name it, too.
    argument: Option<String>,
    url: String,
    profile: Option<String>,
    options: Options,
}

/// A server as it was found.
struct Found {
    url: String,
    profile: Option<String>,
    kept: Credential,
    ca_file: Option<PathBuf>,
}

impl Found {
    fn url(url: &str) -> Self {
        Self { url: url.to_owned(), profile: None, kept: Credential::None, ca_file: None }
    }

    fn of(profiles: &Profiles, name: &str, profile: &Profile) -> Self {
        let kept = profiles.credential(name, profile);
        Self { url: profile.url.clone(), profile: Some(name.to_owned()), kept, ca_file: profile.ca_file.clone() }
    }
}

impl Server {
    /// The server that the arguments or the surroundings name; none if they name none, or a database.
    pub(crate) fn choose(arguments: &DatabaseArgs, config: &Config) -> Result<Option<Self>, Error> {
        let argument = arguments.server.clone();
        let named = match (&argument, &arguments.database) {
            (None, Some(_)) => return Ok(None),
            (named, _) => named.as_ref().or(config.server.as_ref()),
        };
        let Found { url, profile, kept, ca_file } = match named {
            Some(url) if url.contains("://") => {
                let profiles = profiles(config)?;
                let known = profiles.as_ref().and_then(|profiles| Some((profiles, profiles.of_url(url)?)));
                known.map_or_else(|| Found::url(url), |(profiles, (name, profile))| Found::of(profiles, name, profile))
            }
            Some(name) => {
                let profiles = Profiles::load(config)?;
                Found::of(&profiles, name, profiles.named(name)?)
            }
            None => match active(config)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let credential = given(arguments, config)?.unwrap_or(kept);
        let ca_file = arguments.ca_file.clone().or_else(|| config.ca_file.clone()).or(ca_file);
        let options = Options { credential, tenant: None, ca_file };
        Ok(Some(Self { argument, url, profile, options }))
    }

    /// A client of the server, for the runtime in which it is made.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        Ok(Client::new(&self.url, self.options.clone())?)
    }

    /// What a verb reads from.
    pub(super) fn source(&self) -> Result<Source, Error> {
        Ok(Source::Server(Box::new(Remote::new(self.client()?)?)))
    }

    /// The same server, asked about that tenant.
    pub(crate) fn of_tenant(self, tenant: Option<&str>) -> Self {
        let options = Options { tenant: tenant.map(str::to_owned), ..self.options };
        Self { options, ..self }
    }

    /// The refusal of what only a database can be asked.
    pub(crate) fn cannot(&self, what: &'static str) -> Error {
        Error::NotOnServer { what, server: self.url.clone() }
    }

    /// The address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The profile that has the address.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// `--server NAME` for a command in a hint, where it is needed.
    pub(super) fn option(&self) -> String {
        self.argument.as_ref().map(|name| format!(" --server {name}")).unwrap_or_default()
    }
}

/// The profiles of the user, if the user has a folder for them.
fn profiles(config: &Config) -> Result<Option<Profiles>, Error> {
    config.config_home.is_some().then(|| Profiles::load(config)).transpose()
}

/// The profile that is used where nothing is named. A setting is nearer: it belongs to the folder in which the command works.
fn active(config: &Config) -> Result<Option<Found>, Error> {
    let Some(profiles) = profiles(config)? else { return Ok(None) };
    let Some(name) = profiles.active() else { return Ok(None) };
    if config.settings()?.text("database.url").is_some() {
        return Ok(None);
    }
    Ok(Some(Found::of(&profiles, name, profiles.named(name)?)))
}

/// The API key that the arguments or the variables give.
fn given(arguments: &DatabaseArgs, config: &Config) -> Result<Option<Credential>, Error> {
    match (&arguments.api_key_file, &config.api_key, &config.api_key_file) {
        (Some(path), _, _) | (None, None, Some(path)) => read_key(path).map(Credential::Bearer).map(Some),
        (None, Some(key), _) => Ok(Some(Credential::Bearer(key.clone()))),
        (None, None, None) => Ok(None),
    }
}
