//! `login`: shows a server who the user is, and keeps what the server gave for it.
//!
//! The password or the key comes from a file or from stdin. Nothing is kept before the server has accepted it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use cloacina_client::{Client, Credential, Options};

use super::store::{Kept, Profile, Profiles};
use super::whoami::Me;
use crate::cli::LoginArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::runs::runtime;

/// Logs in.
pub(crate) fn login(arguments: &LoginArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let LoginArgs { url, user, password_file, api_key_file, ca_file, profile: name } = arguments;
    let mut profiles = Profiles::load(config)?;
    // The next command may run in another folder.
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).map_err(|source| Error::Io { action: "find", path: path.clone(), source })
    };
    let ca_file = ca_file.as_ref().or(config.ca_file.as_ref()).map(absolute).transpose()?;
    let options = Options { ca_file: ca_file.clone(), ..Options::default() };
    let (kept, who) = runtime()?.block_on(async {
        let kept = match (api_key_file, user, password_file) {
            (None, Some(user), Some(file)) => {
                let client = Client::new(url, options.clone())?;
                Kept::Session(client.login(user, &secret(file)?).await?)
            }
            (Some(file), _, _) => Kept::ApiKey(secret(file)?),
            // Clap asks for one of both.
            (None, _, _) => return Err(Error::NoServer),
        };
        let bearer = match &kept {
            Kept::ApiKey(key) => key.clone(),
            Kept::Session(tokens) => tokens.access_token.clone(),
        };
        let options = Options { credential: Credential::Bearer(bearer), ..options };
        let who = Client::new(url, options)?.whoami().await?;
        Ok((kept, who))
    })?;
    profiles.put(name, Profile { url: url.clone(), ca_file, kept: Some(kept) })?;
    let me = Me::new(url, Some(name), who);
    output.answer(&me, |_| me.text())?;
    output.note(&format!("the profile {name} is used where no database and no server is named"));
    Ok(exit::SUCCESS)
}

/// The text of that file, or of stdin, without the end of its last line.
fn secret(file: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let done = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(drop),
        _ => fs::read_to_string(file).map(|read| text = read),
    };
    done.map_err(|source| Error::Io { action: "read the secret in", path: file.to_owned(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
