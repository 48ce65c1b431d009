//! The JSON documents that commands print, as a contract.
//!
//! A command prints a [`Document`] and nothing else. Each document has a page in `docs/reference/json`, written from
//! the type and its comments, and a schema beside the page. Two rules hold for all of them: a field without a value is
//! absent, never null, and a list or a map is always there, be it empty. What users put into contexts, inputs and
//! errors is shown as they wrote it.

mod contract;

#[cfg(test)]
mod tests;

pub(crate) use cloacina::Moment;

pub(crate) use self::contract::Document;
