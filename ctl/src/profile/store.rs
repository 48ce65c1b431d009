//! The file with the profiles of a user: servers, and what shows who the user is there.
//!
//! It is in the user's folder of settings, with mode 0600. Each change writes a new file beside it and renames that one, so that
//! no reader sees half of it. Two programs that renew one session at the same time are given the same tokens by the server.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cloacina_client::{Credential, Session, Tokens};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::Error;
use crate::key::new_secret;

/// The file, below the user's folder of settings.
const FILE: &str = "cloacina/profiles.json";

/// The profiles of a user.
#[derive(Debug, Clone)]
pub(crate) struct Profiles {
    path: PathBuf,
    stored: Stored,
}

/// What is in the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The profile that counts where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<String>,
    profiles: BTreeMap<String, Profile>,
}

/// A server, and what shows who the user is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) url: String,
    /// The authorities to trust, instead of those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<Kept>,
}

/// A credential as it is kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kept {
    ApiKey(String),
    Session(Tokens),
}

impl Profiles {
    /// Reads the profiles; there are none if there is no file.
    ///
    /// # Errors
    /// [`Error::NoConfigFolder`] if the user has no folder of settings, [`Error::BadProfiles`] if the file cannot be understood.
    pub(crate) fn load(config: &Config) -> Result<Self, Error> {
        Self::read(config.config_home.as_deref().ok_or(Error::NoConfigFolder)?.join(FILE))
    }

    fn read(path: PathBuf) -> Result<Self, Error> {
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, stored: Stored::default() });
            }
            Err(source) => return Err(Error::Io { action: "read", path, source }),
            Ok(text) => text,
        };
        match serde_json::from_str(&text) {
            Ok(stored) => Ok(Self { path, stored }),
            Err(error) => Err(Error::BadProfiles { path, reason: error.to_string() }),
        }
    }

    /// All profiles by their names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.stored.profiles.iter().map(|(name, profile)| (name.as_str(), profile))
    }

    /// The name of the profile that counts where none is named.
    pub(crate) fn active(&self) -> Option<&str> {
        self.stored.active.as_deref()
    }

    /// The profile of that name.
    ///
    /// # Errors
    /// [`Error::UnknownProfile`]
    pub(crate) fn named(&self, name: &str) -> Result<&Profile, Error> {
        let available = || self.stored.profiles.keys().cloned().collect();
        let found = self.stored.profiles.get(name);
        found.ok_or_else(|| Error::UnknownProfile { name: name.to_owned(), available: available() })
    }

    /// The profile with that address: the active one, else the first by its name.
    pub(crate) fn of_url(&self, url: &str) -> Option<(&str, &Profile)> {
        let fits = |profile: &Profile| profile.url.trim_end_matches('/') == url.trim_end_matches('/');
        let mut fitting: Vec<(&str, &Profile)> = self.all().filter(|(_, profile)| fits(profile)).collect();
        fitting.sort_by_key(|(name, _)| Some(*name) != self.active());
        fitting.first().copied()
    }

    /// Keeps a profile under that name, which counts from now on.
    pub(crate) fn put(&mut self, name: &str, profile: Profile) -> Result<(), Error> {
        self.stored.profiles.insert(name.to_owned(), profile);
        self.stored.active = Some(name.to_owned());
        self.save()
    }

    /// Keeps another credential, or none, in a profile that is there.
    pub(crate) fn keep(&mut self, name: &str, kept: Option<Kept>) -> Result<(), Error> {
        if let Some(profile) = self.stored.profiles.get_mut(name) {
            profile.kept = kept;
        }
        self.save()
    }

    /// Lets another profile, or none, count where none is named.
    pub(crate) fn activate(&mut self, name: Option<&str>) -> Result<(), Error> {
        if let Some(name) = name {
            self.named(name)?;
        }
        self.stored.active = name.map(str::to_owned);
        self.save()
    }

    /// What requests show for that profile. A session that is renewed is kept in the file.
    pub(crate) fn credential(&self, name: &str, profile: &Profile) -> Credential {
        match &profile.kept {
            None => Credential::None,
            Some(Kept::ApiKey(key)) => Credential::Bearer(key.clone()),
            Some(Kept::Session(tokens)) => {
                let (path, name) = (self.path.clone(), name.to_owned());
                Credential::Session(Session::new(tokens.clone(), move |tokens| renewed(&path, &name, tokens)))
            }
        }
    }

    fn save(&self) -> Result<(), Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| Error::Io { action: "write", path, source }
        };
        let folder = self.path.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let beside = folder.join(format!("profiles.{}.new", std::process::id()));
        // What another process of this number left behind.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&beside)(error)),
            Ok(()) | Err(_) => {}
        }
        let mut text = serde_json::to_vec_pretty(&self.stored).expect("invariant: profiles are texts");
        text.push(b'\n');
        let mut file = new_secret(&beside).map_err(failed(&beside))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed(&beside))?;
        fs::rename(&beside, &self.path).map_err(failed(&self.path))
    }
}

/// Keeps the tokens of a session that was renewed. The command goes on without: its own tokens are good.
fn renewed(path: &Path, name: &str, tokens: &Tokens) {
    let kept = Profiles::read(path.to_owned())
        .and_then(|mut profiles| profiles.keep(name, Some(Kept::Session(tokens.clone()))));
    if let Err(error) = kept {
        tracing::warn!(code = error.code(), %error, profile = name, "the session was renewed and could not be kept: log in again");
    }
}

/// Without the secret.
impl std::fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Kept {
    /// The word for it.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::ApiKey(_) => "api_key",
            Self::Session(_) => "session",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(url: &str, key: &str) -> Profile {
        Profile { url: url.to_owned(), ca_file: None, kept: Some(Kept::ApiKey(key.to_owned())) }
    }

    #[test]
    fn profiles_are_kept_for_their_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { config_home: Some(folder.path().to_owned()), ..Config::default() };
        let mut profiles = Profiles::load(&config).unwrap();
        assert!(profiles.all().next().is_none() && profiles.active().is_none());
        profiles.put("one", profile("http://one", "TopSecret99")).unwrap();
        profiles.put("two", profile("http://two/", "other")).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let mut profiles = Profiles::load(&config).unwrap();
        assert_eq!(profiles.active(), Some("two"), "the last one counts");
        assert_eq!(profiles.of_url("http://two").unwrap().0, "two");
        assert!(profiles.of_url("http://three").is_none());
        profiles.activate(Some("one")).unwrap();
        assert_eq!(profiles.activate(Some("three")).unwrap_err().code(), "CTL0067");
        profiles.keep("one", None).unwrap();
        let profiles = Profiles::load(&config).unwrap();
        assert!(profiles.named("one").unwrap().kept.is_none());
        assert!(!format!("{profiles:?}").contains("TopSecret99"));
    }

    #[test]
    fn a_file_that_is_not_understood_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("cloacina")).unwrap();
        fs::write(folder.path().join(FILE), "{\"profiles\": {}, \"more\": 1}").unwrap();
        let config = Config { config_home: Some(folder.path().to_owned()), ..Config::default() };
        let refused = Profiles::load(&config).unwrap_err();
        assert!(refused.code() == "CTL0066" && refused.to_string().contains("profiles.json"), "{refused}");
    }
}
