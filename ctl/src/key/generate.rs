//! `key generate`: a new key in the user's folder.
//!
//! The password comes from the environment, so that it is in no list of processes and in no history of a shell.

use std::path::PathBuf;

use cloacina_packager::sign::SecretKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::Ring;
use crate::cli::KeyGenerateArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// A pair of keys that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Generated {
    /// The name of the pair.
    name: String,
    /// The id of the pair, 16 hexadecimal digits.
    id: String,
    /// The public key, in one line.
    public_key: String,
    /// The file of the secret key.
    #[schema(value_type = String)]
    secret_file: PathBuf,
    /// The file of the public key.
    #[schema(value_type = String)]
    public_file: PathBuf,
    /// Whether a password protects the secret key.
    has_password: bool,
}

impl Document for Generated {}

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
        output.note("the key has no password; set CLOACINA_KEY_PASSWORD to protect a key with one");
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
