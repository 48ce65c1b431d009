//! `login`: shows a server who the user is, and keeps what the server gave for it.
//!
//! The password or the key comes from a file or from stdin. Nothing is kept before the server has accepted it.

use std::path::PathBuf;

use cloacina_client::{Client, Credential, Options};

use super::store::{Kept, Profile, Profiles};
use super::whoami::Me;
use crate::cli::LoginArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::runs::runtime;
use crate::secret_file::{read_key, read_password};

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
                Kept::Session(client.login(user, &read_password(file)?).await?)
            }
            (Some(file), _, _) => Kept::ApiKey(read_key(file)?),
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
