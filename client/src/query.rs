//! The query of a request: names and values, in the order in which they were added.
//!
//! Absent values are left out, as the server has a default for each.

use std::fmt::{self, Display};

use crate::address::encoded;

/// A query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    text: String,
}

impl Query {
    /// Adds a value, if there is one.
    pub(crate) fn with(mut self, name: &str, value: Option<impl Display>) -> Self {
        if let Some(value) = value {
            let between = if self.text.is_empty() { '?' } else { '&' };
            self.text.push(between);
            self.text.push_str(&format!("{name}={}", encoded(&value.to_string())));
        }
        self
    }

    /// Adds a value that is true, and nothing otherwise.
    pub(crate) fn with_mark(self, name: &str, is_set: bool) -> Self {
        self.with(name, is_set.then_some(true))
    }
}

/// With its question mark, so that it can be put behind a path as it is.
impl Display for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
