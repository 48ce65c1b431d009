//! What happens to every request and every answer: an id, the check of host and origin, limits, and headers that keep
//! browsers careful.
//!
//! The guard writes the documents of problems, as it alone knows the id of the request.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, Predicate},
};
use uuid::Uuid;

use crate::{
    app::{Admission, Shared},
    cors::{self, Origin},
    pace::paced,
    problem::{self, Problem},
    refused::Refused,
};

/// Bytes of a JSON body at most.
pub(crate) const BODY_MAX: usize = 16 * 1024 * 1024;

/// The header with the id of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of an id of a request that a caller may give.
const REQUEST_ID_MAX: usize = 128;

/// Names by which a browser on this machine reaches it, and that no other site can have.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Puts the guard around the routes.
pub(crate) fn around(router: Router, app: Shared, cors_origins: Vec<Origin>) -> Router {
    // Logs and events are many small pieces, which have to arrive at once.
    let compressed = CompressionLayer::new().gzip(true).compress_when(DefaultPredicate::new().and(gains));
    let router = router
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(app, check_request))
        .layer(compressed)
        .layer(middleware::map_response(weaken_tag));
    let router = if cors_origins.is_empty() { router } else { router.layer(cors::layer(cors_origins)) };
    router.layer(middleware::from_fn(finish))
}

/// Whether an answer is worth being compressed: archives are compressed already.
fn gains(_: StatusCode, _: axum::http::Version, headers: &axum::http::HeaderMap, _: &axum::http::Extensions) -> bool {
    let kinds: [&[u8]; 2] = [b"text/event-stream", b"application/octet-stream"];
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    !kinds.iter().any(|as_it_is| kind.starts_with(as_it_is))
}

/// A strong tag is of the bytes as they are sent, and after compression they are others.
async fn weaken_tag(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(tag) = headers.get_mut(header::ETAG)
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
        && !tag.as_bytes().starts_with(b"W/")
    {
        *tag = weak;
    }
    response
}

/// Lets no request in that a page of another site could have sent.
async fn check_request(State(app): State<Shared>, request: Request, next: Next) -> Response {
    match check(&app.admission, &request) {
        Ok(()) => next.run(request.map(paced)).await,
        Err(refused) => Problem::from(refused).into_response(),
    }
}

/// A page of another site can make a browser send requests here, and by binding its own name to this address even read the
/// answers. The browser then tells that name as the host, and the site as the origin.
fn check(admission: &Admission, request: &Request) -> Result<(), Refused> {
    match admission {
        Admission::Loopback { .. } => {}
        // No browser sends the credential by itself.
        Admission::Login { .. } => return Ok(()),
    }
    let text = |name| request.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?").to_owned());
    let host = text(header::HOST).or_else(|| request.uri().authority().map(ToString::to_string)).unwrap_or_default();
    if !is_loopback(&host) {
        return Err(Refused::Host { host });
    }
    match text(header::ORIGIN) {
        Some(origin) if !is_own(&origin, &host) => Err(Refused::Origin { origin }),
        _ => Ok(()),
    }
}

/// Whether the origin is the server itself. What has its host and port is the server, with TLS or without.
fn is_own(origin: &str, host: &str) -> bool {
    let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    site == Some(host)
}

fn is_loopback(host: &str) -> bool {
    LOOPBACK_NAMES.iter().any(|name| {
        let rest =
            host.get(..name.len()).filter(|head| head.eq_ignore_ascii_case(name)).and_then(|_| host.get(name.len()..));
        rest.is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
        })
    })
}

/// Gives each request its id, and each answer its headers and, if it is a refusal, its document.
async fn finish(mut request: Request, next: Next) -> Response {
    let id = given(&request).unwrap_or_else(new_id);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() {
        let request_id = id.to_str().unwrap_or_default();
        // The server did not fail when a client asks for something that does not exist yet.
        if problem.status().is_server_error() && problem.status() != StatusCode::NOT_IMPLEMENTED {
            tracing::error!(%method, path, request_id, code = problem.code(), detail = problem.detail(), "a request failed");
        } else {
            tracing::debug!(%method, path, request_id, code = problem.code(), detail = problem.detail(), "a request was refused");
        }
        *response.body_mut() = Body::from(problem.document(request_id));
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::MEDIA_TYPE));
    }
    let headers = response.headers_mut();
    // A proxy that believed another length of the body would take what follows for the request of another client.
    if is_chunked {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert(REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    ));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn new_id() -> HeaderValue {
    HeaderValue::from_str(&Uuid::now_v7().to_string()).expect("invariant: an id has digits and hyphens")
}

/// The id that the caller gave, if it can be written into a log.
fn given(request: &Request) -> Option<HeaderValue> {
    let id = request.headers().get(REQUEST_ID)?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let bytes = id.as_bytes();
    (!bytes.is_empty() && bytes.len() <= REQUEST_ID_MAX && bytes.iter().all(is_plain)).then(|| id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str, origin: Option<&str>) -> Result<(), &'static str> {
        let mut request = Request::builder().uri("/health").header(header::HOST, host);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let admission = Admission::Loopback { actor: "dev".to_owned() };
        check(&admission, &request.body(Body::empty()).unwrap()).map_err(|refused| refused.code())
    }

    #[test]
    fn a_page_of_another_site_is_refused_however_it_names_the_server() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST:1"] {
            assert_eq!(asked(host, None), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8080",
            "localhost:x",
            "0.0.0.0:8080",
            "é",
        ] {
            assert!(asked(host, None).is_err(), "{host}");
        }
        for origin in ["http://localhost:8080", "https://localhost:8080"] {
            assert_eq!(asked("localhost:8080", Some(origin)), Ok(()), "{origin}");
        }
        for origin in ["http://evil.example", "http://localhost:3000", "https://localhost", "null", "localhost:8080"] {
            assert_eq!(asked("localhost:8080", Some(origin)), Err("SRV0011"), "{origin}");
        }
    }
}
