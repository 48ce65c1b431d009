//! Pages of which other sites may read answers: those that the operator names, and none unless told otherwise.
//!
//! Browsers keep answers from pages of other sites unless the server names the site (cross-origin resource sharing). No answer
//! allows cookies: a page has to send its credential itself.

use std::{str::FromStr, time::Duration};

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::CorsLayer;

use crate::{
    auth::{LIMIT, POLICY, TENANT},
    body::IDEMPOTENCY_KEY,
    guard::REQUEST_ID,
    live::LAST_EVENT_ID,
};

/// How long a browser may remember what a site may do.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The origin of pages: a scheme, a host, and a port if it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// A text that is not the origin of pages.
#[derive(Debug, thiserror::Error)]
#[error("use a scheme, a host and, unless it is the usual one, a port, such as `https://ui.example.com`")]
pub struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(NotAnOrigin)?;
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
        if rest.is_empty() || !rest.bytes().all(is_part) {
            return Err(NotAnOrigin);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| NotAnOrigin)
    }
}

/// What lets pages of these origins read answers.
pub(crate) fn layer(origins: Vec<Origin>) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.into_iter().map(|Origin(origin)| origin).collect();
    let named = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            named(IDEMPOTENCY_KEY),
            named(TENANT),
            named(LAST_EVENT_ID),
            REQUEST_ID,
        ])
        .expose_headers([header::LINK, header::LOCATION, header::RETRY_AFTER, LIMIT, POLICY, REQUEST_ID])
        .max_age(REMEMBERED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_scheme_a_host_and_nothing_behind_the_port() {
        for text in ["https://ui.example.com", "http://localhost:3000", "http://[::1]:3000"] {
            assert!(text.parse::<Origin>().is_ok(), "{text}");
        }
        for text in [
            "",
            "*",
            "null",
            "ui.example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "https://A.example",
            "ftp://a",
            "https://a b",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
