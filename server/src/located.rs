//! Answers that say where the thing is that was made.
//!
//! The place is the path of the thing, relative to the server, in the header `location`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// The thing as JSON, and its path.
pub(crate) fn located(status: StatusCode, path: &str, thing: impl Serialize) -> Response {
    let mut response = (status, Json(thing)).into_response();
    let location = HeaderValue::from_str(path).ok();
    response.headers_mut().extend(location.map(|location| (header::LOCATION, location)));
    response
}
