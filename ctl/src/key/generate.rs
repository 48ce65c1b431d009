//! `key generate`: a new key in the user's folder.
//!
//! The password comes from the environment, so that it is in no list of processes and in no history of a shell.

use std::path::PathBuf;

use cloacina_packager::sign::SecretKey;
use serde::Serialize;

use super::Ring;
use crate::cli::KeyGenerateArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

#[derive(Debug, Serialize)]
struct Generated {
    name: String,
    id: String,
    public_key: String,
    secret_file: PathBuf,
    public_file: PathBuf,
    has_password: bool,
}

/// Makes a key.
pub(crate) fn generate(arguments: &KeyGenerateArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let ring = Ring::choose(arguments.ring.keys.as_deref(), config)?;
    // Before the key is made, which takes a while with a password.
    let (secret_file, _) = ring.paths(&arguments.name)?;
    if secret_file.exists() {
        return Err(Error::KeyExists { name: arguments.name.clone(), path: secret_file });
    }
    let password = config.key_password.as_deref();
    let (key, text) = SecretKey::generate(password)?;
    let (secret_file, public_file) = ring.add(&arguments.name, &text, key.public())?;
    if password.is_none() {
        output.note("the key has no password; with CLOACINA_KEY_PASSWORD set it would have that one");
    }
    let generated = Generated {
        name: arguments.name.clone(),
        id: key.public().id().to_string(),
        public_key: key.public().line(),
        secret_file,
        public_file,
        has_password: password.is_some(),
    };
    output.answer(&generated, |paint| {
        let Generated { name, id, public_key, secret_file, public_file, .. } = &generated;
        let (secret, public) = (secret_file.display(), public_file.display());
        let done = paint.green("made the key");
        format!("{done} {name} ({id})\n  public key  {public_key}\n  public      {public}\n  secret      {secret}\n")
    })?;
    Ok(exit::SUCCESS)
}
