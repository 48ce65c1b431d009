//! `logout`: ends a session, and forgets the credential of a profile.
//!
//! The credential is forgotten also if the server cannot be reached; the command then says that the session goes on there.

use cloacina_client::{Client, Options};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::{Kept, Profiles};
use crate::cli::LogoutArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::runs::runtime;

/// A credential that was forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoggedOut {
    /// The name of the profile.
    profile: String,
    /// The address of its server.
    server: String,
    /// Whether a session ended on the server. An API key goes on.
    session_ended: bool,
}

impl Document for LoggedOut {}

/// Logs out.
pub(crate) fn logout(arguments: &LogoutArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let mut profiles = Profiles::load(config)?;
    let name = arguments.profile.as_deref().or(profiles.active()).ok_or(Error::NoServer)?.to_owned();
    let profile = profiles.named(&name)?.clone();
    let ended = match &profile.kept {
        Some(Kept::Session(tokens)) => runtime()?.block_on(async {
            let options = Options { ca_file: profile.ca_file.clone(), ..Options::default() };
            let client = Client::new(&profile.url, options)?;
            client.logout(&tokens.refresh_token).await.map(|()| true)
        }),
        Some(Kept::ApiKey(_)) | None => Ok(false),
    };
    profiles.keep(&name, None)?;
    let session_ended = ended?;
    let logged_out = LoggedOut { profile: name, server: profile.url, session_ended };
    output.answer(&logged_out, |_| format!("logged out of {} ({})\n", logged_out.server, logged_out.profile))?;
    Ok(exit::SUCCESS)
}
