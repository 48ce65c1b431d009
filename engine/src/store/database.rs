//! Which database a store is in: a SQLite file or a PostgreSQL server, as its address says.
//!
//! An address of a server may hold a password. It is given to the client and to nobody else: whatever is
//! shown or logged is the [`Database::name`], from which it is gone.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use tokio_postgres::Config;

use super::{Error, error::NotOpened, postgres::OpenTrouble};

/// How long opening a connection to a server may take, where the address does not say otherwise.
const CONNECT_SECONDS: u32 = 10;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// A database that a store can be in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(Server),
}

/// The address of a PostgreSQL server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Server {
    url: String,
}

impl Database {
    /// What an address names: `postgres://…` or `postgresql://…` a server, a path or `sqlite:` and a path a file.
    ///
    /// # Errors
    /// [`Error::Address`] for other databases, for a database in memory, for a URI of a file or one with parameters, which
    /// SQLite would take for a file of another name, and for an empty address.
    pub(crate) fn parse(address: &str) -> Result<Self, Error> {
        let unusable = || Error::Address { url: database_shown(address) };
        if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            return Ok(Self::Postgres(Server { url: address.to_owned() }));
        }
        let path = match address.strip_prefix("sqlite:") {
            Some(rest) if rest.contains('?') => return Err(unusable()),
            Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
            None if address.contains("://") || address.starts_with("postgres") && address.contains(':') => {
                return Err(unusable());
            }
            None => address,
        };
        let is_uri = path.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"));
        if path.is_empty() || path == ":memory:" || is_uri { Err(unusable()) } else { Ok(Self::Sqlite(path.into())) }
    }

    /// How it is shown: the path of the file, or the server's address without what is secret.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(server) => server.name(),
        }
    }

    /// The folder that the file is in.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => path.parent().filter(|parent| !parent.as_os_str().is_empty()),
            Self::Postgres(_) => None,
        }
    }
}

/// The variable that programs of PostgreSQL read, so that no password has to stand in an address.
#[expect(
    clippy::disallowed_methods,
    reason = "a convention of all clients of PostgreSQL, and no setting of this program"
)]
fn password_from_environment() -> Option<std::ffi::OsString> {
    std::env::var_os("PGPASSWORD")
}

impl Server {
    /// The address without what is secret.
    pub(crate) fn name(&self) -> String {
        database_shown(&self.url)
    }

    /// What the client needs to know.
    ///
    /// # Errors
    /// [`Error::Open`] if the address makes no sense, without what is secret in it.
    pub(crate) fn config(&self) -> Result<Config, Error> {
        let parsed: Result<Config, tokio_postgres::Error> = self.connection_url().parse();
        let mut config = parsed.map_err(|error| {
            // What is wrong may be a part of the password.
            let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            let reason = format!("its address is not valid: {}", self.scrub(&reason));
            let source = NotOpened::new(reason, OpenTrouble::Address);
            Error::Open { database: database_shown(&self.url), source }
        })?;
        if let (None, Some(password)) = (config.get_password(), password_from_environment()) {
            config.password(password.as_encoded_bytes());
        }
        Ok(config)
    }

    /// The address with what it needs besides.
    pub(crate) fn connection_url(&self) -> String {
        let mut url = self.url.clone();
        for (name, value) in [("connect_timeout", CONNECT_SECONDS.to_string()), ("application_name", "cloacina".into())]
        {
            let given = url.split_once('?').is_some_and(|(_, query)| parameters(query).any(|(key, _)| key == name));
            if !given {
                url.push(if url.contains('?') { '&' } else { '?' });
                url.push_str(&format!("{name}={value}"));
            }
        }
        url
    }

    /// Takes every secret out of what the client said, as it may repeat parts of an address that it does not understand.
    pub(crate) fn scrub(&self, message: &str) -> String {
        let mut secrets = vec![self.connection_url(), self.url.clone()];
        secrets.extend(self.secrets().map(str::to_owned));
        secrets.iter().fold(message.to_owned(), |message, secret| message.replace(secret, HIDDEN))
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        let hidden = parameters(query).filter(|(name, value)| is_secret(name) && !value.is_empty());
        password(&self.url).into_iter().chain(hidden.map(|(_, value)| value))
    }
}

/// The address of a database without what is secret, to be shown to people.
#[must_use]
pub fn database_shown(address: &str) -> String {
    let mut text = address.to_owned();
    if let Some((before, query)) = address.split_once('?') {
        let query: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
                _ => pair.to_owned(),
            })
            .collect();
        text = format!("{before}?{}", query.join("&"));
    }
    match password(&text) {
        Some(secret) => {
            let start = secret.as_ptr() as usize - text.as_ptr() as usize;
            format!("{}{HIDDEN}{}", &text[..start], &text[start + secret.len()..])
        }
        None => text,
    }
}

/// What stands between the name of the user and the last `@` before the path, as a password may itself hold one that
/// should have been written as `%40`.
fn password(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let authority = rest.split('?').next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    (!password.is_empty()).then_some(password)
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

fn is_secret(parameter: &str) -> bool {
    ["password", "passfile", "sslpassword"].contains(&parameter)
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Database").field(&self.name()).finish()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Server").field(&database_shown(&self.url)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_files() {
        for (address, path) in [
            ("runs.db", Some("runs.db")),
            ("sqlite:runs.db", Some("runs.db")),
            ("sqlite:///var/runs.db", Some("/var/runs.db")),
            ("sqlite://runs.db", Some("runs.db")),
            ("mysql://host/db", None),
            ("postgres:host", None),
            ("", None),
            ("sqlite:", None),
            (":memory:", None),
            ("sqlite::memory:", None),
            ("file:runs.db", None),
            ("FILE:runs.db", None),
            ("file:runs.db?mode=rwc", None),
            ("file:///var/runs.db", None),
            ("sqlite:file:runs.db", None),
            ("sqlite://runs.db?mode=rwc", None),
            ("./file:runs.db", Some("./file:runs.db")),
            ("runs.db?mode=ro", Some("runs.db?mode=ro")),
        ] {
            assert_eq!(Database::parse(address).ok(), path.map(|path| Database::Sqlite(path.into())), "{address}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for (address, expected) in [
            ("postgres://host/db", "postgres://host/db"),
            ("postgres://user@host/db", "postgres://user@host/db"),
            ("postgres://user:secret@host/db", "postgres://user:***@host/db"),
            ("postgresql://user:se:c@ret@host:5/db?a=b", "postgresql://user:***@host:5/db?a=b"),
            ("postgres://host/db?password=secret&a=b", "postgres://host/db?password=***&a=b"),
            ("postgres://user:secret@/db?host=/tmp/a@b", "postgres://user:***@/db?host=/tmp/a@b"),
        ] {
            let database = Database::parse(address).unwrap();
            assert_eq!(database.name(), expected);
            let Database::Postgres(server) = &database else { panic!("{address}") };
            let said = server.scrub(&format!("bad {address} or {} with secret", server.connection_url()));
            let debug = format!("{database:?} {server:?}");
            if address.contains("secret") {
                assert!(!said.contains("secret") && !debug.contains("secret"), "{said} {debug}");
            }
        }
        let error = Database::parse("mysql://user:secret@host").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn an_address_that_makes_no_sense_is_told_to_be_corrected() {
        for (address, expected) in [
            ("postgres://u:secret@h/d?sslrootcert=/x", "its address is not valid: unknown option `sslrootcert`"),
            ("postgres://u:secret@h:port/d", "its address is not valid: invalid value for option `port`"),
        ] {
            let Database::Postgres(server) = Database::parse(address).unwrap() else { panic!("{address}") };
            let error = server.config().unwrap_err();
            let reason = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!((error.code(), reason.as_str()), ("STO0003", expected));
            assert!(error.hints()[0].starts_with("correct the address"), "{:?}", error.hints());
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn a_server_gets_limits_that_the_address_does_not_set() {
        let url = |address: &str| match Database::parse(address).unwrap() {
            Database::Postgres(server) => server.connection_url(),
            Database::Sqlite(_) => String::new(),
        };
        assert_eq!(url("postgres://h/d"), "postgres://h/d?connect_timeout=10&application_name=cloacina");
        assert_eq!(
            url("postgres://h/d?connect_timeout=3"),
            "postgres://h/d?connect_timeout=3&application_name=cloacina"
        );
    }
}
