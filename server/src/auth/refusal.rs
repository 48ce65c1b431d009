//! Why somebody was not let in. None of these says whether an account or a key exists.
//!
//! Texts are fixed: a name or a credential that was sent does not come back in an answer.

use std::time::Duration;

use axum::http::StatusCode;

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The request has no credential.
    #[error("the request has no credential")]
    NoCredential,
    /// The credential does not hold.
    #[error("the credential is not valid, or is not valid any longer")]
    BadCredential,
    /// The name or the password is wrong.
    #[error("the name or the password is wrong")]
    BadPassword,
    /// The refresh token does not hold.
    #[error("the refresh token is unknown, was used, or its session has ended")]
    BadRefreshToken,
    /// There were too many tries.
    #[error("there were too many logins for this account or from this address")]
    TooMany {
        /// How long to wait.
        wait: Duration,
    },
    /// There were too many requests.
    #[error("there were too many requests of this {who} in the last seconds")]
    TooFast {
        /// What was counted: `credential` or `tenant`.
        who: &'static str,
        /// How long to wait.
        wait: Duration,
    },
    /// The server has no login.
    #[error("the server asks nobody for a login")]
    NoLogin,
}

impl Refusal {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoCredential => "SRV0016",
            Self::BadCredential => "SRV0017",
            Self::BadPassword => "SRV0018",
            Self::BadRefreshToken => "SRV0019",
            Self::TooMany { .. } => "SRV0020",
            Self::NoLogin => "SRV0021",
            Self::TooFast { .. } => "SRV0023",
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoCredential | Self::BadCredential | Self::BadPassword | Self::BadRefreshToken => {
                StatusCode::UNAUTHORIZED
            }
            Self::TooMany { .. } | Self::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NoLogin => StatusCode::CONFLICT,
        }
    }

    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NoCredential => {
                "send the header `authorization: Bearer` with an API key, or with the access token of POST /auth/login"
            }
            Self::BadCredential => {
                "refresh the access token by POST /auth/refresh, or ask an admin for another API key"
            }
            Self::BadPassword => "an admin of the tenant can set another password",
            Self::BadRefreshToken => "log in again: POST /auth/login",
            Self::TooMany { .. } | Self::TooFast { .. } => "wait for the seconds that the header `retry-after` names",
            Self::NoLogin => "ask without a credential; start the server without `--no-login` to have a login",
        }
    }
}
