//! What a server answered: a status, a head, and a body that is read when somebody wants it.
//!
//! Every status but success is a refusal.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde::de::DeserializeOwned;

use crate::error::{Error, Problem, Source};

/// Bytes of an answer at most: a page of a thousand runs has half a megabyte, a run with large values more.
const BYTES_MAX: usize = 1 << 30;

/// The media type of a refusal.
const PROBLEM: &str = "application/problem+json";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    url: String,
    response: Response<Incoming>,
}

impl Answer {
    pub(crate) fn new(url: String, response: Response<Incoming>) -> Self {
        Self { url, response }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The same, if it is a success.
    pub(crate) async fn success(self) -> Result<Self, Error> {
        let status = self.status();
        if status.is_success() {
            return Ok(self);
        }
        let is_problem = self.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM);
        if !is_problem {
            let reason = format!("the status is {status}, and the body is of another kind than {PROBLEM}");
            return Err(Error::Answer { url: self.url, reason });
        }
        let problem = self.json::<Problem>().await?;
        Err(Error::Refused(Box::new(problem)))
    }

    /// The body, read as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let (url, bytes) = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Answer { url, reason: error.to_string() })
    }

    /// The body, as it comes.
    pub(crate) fn into_body(self) -> (String, Incoming) {
        (self.url, self.response.into_body())
    }

    async fn bytes(self) -> Result<(String, Bytes), Error> {
        let Self { url, response } = self;
        match Limited::new(response.into_body(), BYTES_MAX).collect().await {
            Ok(body) => Ok((url, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(Error::Answer { url, reason: format!("it has more than {BYTES_MAX} bytes") })
            }
            Err(source) => Err(lost(url, source)),
        }
    }
}

/// The connection ended before the answer was whole.
pub(crate) fn lost(url: String, source: impl Into<Source>) -> Error {
    Error::Lost { url, source: source.into() }
}
