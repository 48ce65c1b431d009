//! Login: from a password to tokens, and on with them.
//!
//! A [`Session`] is renewed shortly before its access token expires, by the request that notices it; what is then to be kept is
//! passed on before the request is sent, as the token before it can be used only once.

use std::{fmt, sync::Arc};

use cloacina::Timestamp;
use hyper::{Method, header::HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{body, client::Client, error::Error};

/// How long before its end an access token is renewed, in microseconds: longer than a request is on its way.
const EARLY_US: u64 = 30_000_000;

/// What to ask with, and how to go on when it has expired.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// What requests show.
    pub access_token: String,
    /// What new tokens are made from. It can be used once.
    pub refresh_token: String,
    /// When the access token expires.
    pub expires_at: Timestamp,
}

/// Who the caller is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Whoami {
    /// The name that histories keep.
    pub actor: String,
    /// The tenant that the caller sees. Absent if it sees every tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// `worker`, `viewer`, `operator` or `admin`.
    pub role: String,
}

/// A login that lasts: tokens that are renewed while the client asks. Clones are the same session.
#[derive(Clone)]
pub struct Session {
    tokens: Arc<Mutex<Tokens>>,
    keep: Arc<dyn Fn(&Tokens) + Send + Sync>,
}

/// A name and a password, as the server reads them.
#[derive(Serialize)]
pub(crate) struct Credentials<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
}

/// A refresh token, as the server reads it.
#[derive(Serialize)]
pub(crate) struct Refresh<'a> {
    pub(crate) refresh_token: &'a str,
}

/// The tokens as the server sends them.
#[derive(Deserialize)]
struct Issued {
    access_token: String,
    refresh_token: String,
    expires_in: u64,
}

impl Client {
    /// Logs in with a name and a password.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn login(&self, username: &str, password: &str) -> Result<Tokens, Error> {
        self.issued("/auth/login", &Credentials { username, password }).await
    }

    /// Exchanges a refresh token for new tokens.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, Error> {
        self.issued("/auth/refresh", &Refresh { refresh_token }).await
    }

    /// Ends the session of a refresh token. An unknown token ends nothing.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn logout(&self, refresh_token: &str) -> Result<(), Error> {
        let request = self.with_json(Method::POST, "/auth/logout", &Refresh { refresh_token })?;
        self.send_as_nobody(request).await.map(drop)
    }

    /// Who the server takes the caller for.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn whoami(&self) -> Result<Whoami, Error> {
        self.send(self.request(Method::GET, "/auth/whoami", body::empty())?).await?.json().await
    }

    /// Such requests show no credential but the one in their body.
    async fn issued(&self, path: &str, shown: &impl Serialize) -> Result<Tokens, Error> {
        let request = self.with_json(Method::POST, path, shown)?;
        let issued: Issued = self.send_as_nobody(request).await?.json().await?;
        Ok(issued.into())
    }
}

impl Session {
    /// The session of these tokens. `keep` gets the tokens whenever there are new ones.
    #[must_use]
    pub fn new(tokens: Tokens, keep: impl Fn(&Tokens) + Send + Sync + 'static) -> Self {
        Self { tokens: Arc::new(Mutex::new(tokens)), keep: Arc::new(keep) }
    }

    /// The header that shows the access token, which is renewed before if it has to be.
    pub(crate) async fn authorization(&self, client: &Client) -> Result<HeaderValue, Error> {
        let mut tokens = self.tokens.lock().await;
        if tokens.is_due(Timestamp::now()) {
            *tokens = client.refresh(&tokens.refresh_token).await?;
            (self.keep)(&tokens);
        }
        bearer(&tokens.access_token)
    }
}

impl Tokens {
    fn is_due(&self, now: Timestamp) -> bool {
        now.unix_micros().saturating_add(EARLY_US) >= self.expires_at.unix_micros()
    }
}

impl From<Issued> for Tokens {
    fn from(issued: Issued) -> Self {
        let Issued { access_token, refresh_token, expires_in } = issued;
        let expires_at = Timestamp::now().unix_micros().saturating_add(expires_in.saturating_mul(1_000_000));
        Self { access_token, refresh_token, expires_at: Timestamp::from_unix_micros(expires_at) }
    }
}

/// The header that shows a secret.
pub(crate) fn bearer(secret: &str) -> Result<HeaderValue, Error> {
    let header = HeaderValue::from_str(&format!("Bearer {secret}"));
    let mut header = header.map_err(|_| Error::Header { what: "credential" })?;
    header.set_sensitive(true);
    Ok(header)
}

/// Without the secrets.
impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tokens").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}
