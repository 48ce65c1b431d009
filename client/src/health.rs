//! How a server is.
//!
//! The answer is the same whether everything can be used or not; only its status differs.

use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::{body, client::Client, error::Error};

/// How a server is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// `ok`, or `unavailable` if something that the server needs cannot be used.
    pub status: String,
    /// The version of the server.
    pub version: String,
    /// What the server needs.
    pub checks: Vec<Check>,
}

/// How something is that the server needs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// What it is.
    pub name: String,
    /// `ok` or `unavailable`.
    pub status: String,
    /// How long the check took, in milliseconds.
    pub ms: f64,
    /// Why it cannot be used. Absent if it can.
    pub reason: Option<String>,
}

impl Client {
    /// How the server and everything that it needs is.
    ///
    /// # Errors
    /// As [`Error`] says. A server of which something cannot be used answers nevertheless.
    pub async fn health(&self) -> Result<Health, Error> {
        let answer = self.exchange(self.request(Method::GET, "/health", body::empty())?).await?;
        match answer.status() {
            StatusCode::SERVICE_UNAVAILABLE => answer.json().await,
            _ => answer.success().await?.json().await,
        }
    }
}
