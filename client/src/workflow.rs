//! Workflows: what can be run.

use serde::Deserialize;

use crate::{
    client::{BASE, Client},
    error::Error,
};

/// A workflow that new runs can be made of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Runnable {
    /// The full name: `tenant::package::workflow`, or the bare name of one that is compiled in.
    pub name: String,
}

impl Client {
    /// The workflows that new runs can be made of, by name.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn workflows(&self) -> Result<Vec<Runnable>, Error> {
        self.get(&format!("{BASE}/workflows")).await
    }
}
