//! The address of a server: the scheme, the host, and the path below which the server answers.
//!
//! Read once. Requests put their paths behind it, with every part encoded.

use std::fmt;

use hyper::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Error;

/// What is written as itself in a path and a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Without a slash at the end.
    text: String,
    is_encrypted: bool,
}

impl Address {
    /// Reads an address such as `http://127.0.0.1:8080`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let refused = |reason: &str| Error::Address { text: text.to_owned(), reason: reason.to_owned() };
        let uri: Uri = text.parse().map_err(|_| refused("it has no form of a URL"))?;
        let is_encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(refused("it begins neither with http:// nor with https://")),
        };
        let authority = uri.authority().ok_or_else(|| refused("it has no host"))?;
        if authority.host().is_empty() {
            return Err(refused("it has no host"));
        }
        if authority.as_str().contains('@') {
            return Err(refused("it has a name or a password, which belong into a credential"));
        }
        if uri.query().is_some() {
            return Err(refused("it has a query"));
        }
        Ok(Self { text: text.trim_end_matches('/').to_owned(), is_encrypted })
    }

    /// Whether connections to it are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// The address of a path below the server.
    pub(crate) fn of(&self, path: &str) -> Result<Uri, Error> {
        let text = format!("{}{path}", self.text);
        text.parse().map_err(|_| Error::Address { text, reason: "it has no form of a URL".to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A text as a part of a path or of a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}
