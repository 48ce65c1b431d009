//! The user's keys: a folder with `NAME.key` and `NAME.pub`, in minisign's format.
//!
//! The one place that decides where a key is, and that reads and writes one. A secret file has mode 0600 from the
//! moment at which it exists.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cloacina_packager::sign::{PublicKey, SecretKey};

use crate::config::Config;
use crate::error::Error;
use crate::package::place;

/// The default folder, below the user's data folder.
const DEFAULT: &str = "cloacina/keys";

const NAME_MAX: usize = 64;

/// A folder of keys.
pub(crate) struct Ring {
    folder: PathBuf,
}

impl Ring {
    /// The folder that the arguments or the surroundings name.
    pub(crate) fn choose(folder: Option<&Path>, config: &Config) -> Result<Self, Error> {
        let folder = match (folder, &config.data_home) {
            (Some(folder), _) => folder.to_owned(),
            (None, Some(home)) => home.join(DEFAULT),
            (None, None) => return Err(Error::NoKeyFolder),
        };
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the two halves of a key are.
    pub(crate) fn paths(&self, name: &str) -> Result<(PathBuf, PathBuf), Error> {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_letter) {
            return Err(Error::BadKeyName { name: name.to_owned() });
        }
        Ok((self.folder.join(format!("{name}.key")), self.folder.join(format!("{name}.pub"))))
    }

    /// Keeps a new key. Never writes over one that is there.
    pub(crate) fn add(&self, name: &str, secret: &str, public: &PublicKey) -> Result<(PathBuf, PathBuf), Error> {
        let (secret_path, public_path) = self.paths(name)?;
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { action, path, source }
        };
        fs::create_dir_all(&self.folder).map_err(failed("make", &self.folder))?;
        let mut file = match new_secret(&secret_path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::KeyExists { name: name.to_owned(), path: secret_path });
            }
            opened => opened.map_err(failed("write", &secret_path))?,
        };
        file.write_all(secret.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write", &secret_path))?;
        place::write(&public_path, public.text().as_bytes())?;
        Ok((secret_path, public_path))
    }

    /// The names of all keys, in order, with whether their secret half is there.
    pub(crate) fn names(&self) -> Result<Vec<(String, bool)>, Error> {
        let failed = |source| Error::Io { action: "read", path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if let (Some("pub"), Some(name)) =
                (path.extension().and_then(|end| end.to_str()), path.file_stem().and_then(|name| name.to_str()))
            {
                names.push((name.to_owned(), path.with_extension("key").exists()));
            }
        }
        names.sort();
        Ok(names)
    }

    /// A public key by its name, the path of its file, or its line.
    pub(crate) fn public(&self, key: &str) -> Result<PublicKey, Error> {
        let path = Path::new(key);
        if path.components().count() > 1 || key.ends_with(".pub") {
            return PublicKey::from_text(&text(path)?).map_err(Error::of_file(path));
        }
        if let Ok((_, path)) = self.paths(key)
            && path.exists()
        {
            return PublicKey::from_text(&text(&path)?).map_err(Error::of_file(&path));
        }
        PublicKey::from_text(key).map_err(|_| self.unknown(key))
    }

    /// A secret key by its name or the path of its file.
    pub(crate) fn secret(&self, key: &str, password: Option<&str>) -> Result<SecretKey, Error> {
        let path = Path::new(key);
        let path = match path.components().count() > 1 || key.ends_with(".key") {
            true => path.to_owned(),
            false => self.paths(key)?.0,
        };
        if !path.exists() {
            return Err(self.unknown(key));
        }
        SecretKey::from_text(&text(&path)?, password).map_err(Error::of_file(&path))
    }

    fn unknown(&self, key: &str) -> Error {
        let available = self.names().unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        Error::UnknownKeyName { name: key.to_owned(), folder: self.folder.clone(), available }
    }
}

fn text(path: &Path) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&place::read(path)?).into_owned())
}

/// Makes a file that its owner alone can read; fails if there is one.
#[cfg(unix)]
pub(crate) fn new_secret(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;

    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes a file that its owner alone can read; fails if there is one.
#[cfg(not(unix))]
pub(crate) fn new_secret(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}
