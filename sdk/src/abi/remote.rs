//! The values of a call on the package's side: those in the call, and others that are fetched from the host.
//!
//! A call contains small values. Others stay in the host until a task reads them: large values, the keys of large contexts,
//! and values that a later writer hid. Small answers are kept for the life of the call, so that a value that is read twice
//! is fetched once. A host that does not answer has abandoned the call; the task ends there.

use std::{
    panic::resume_unwind,
    sync::{Arc, OnceLock},
};

use serde_json::{json, value::RawValue};

use super::{
    call::HostLink,
    table::{FETCH_KEYS, FETCH_TOO_LARGE, FETCH_VALUE, FETCH_WRITER},
};
use crate::{
    TaskError,
    payload::View,
    source::{Grown, Source},
};

/// Longer answers are not kept: a task may read many large values one after the other.
const KEPT_BYTES_MAX: usize = 4 << 10;

/// The answer of the host.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) value: Vec<u8>,
    /// The task that wrote it; empty for the run's input.
    pub(super) writer: String,
}

/// The values of one call.
#[derive(Debug)]
pub(super) struct Remote {
    /// The values in the call.
    view: View,
    link: Arc<HostLink>,
    call_id: u64,
    /// Whether there is a value, and the task that wrote it.
    writers: Grown<Option<Box<str>>>,
    /// Short values, by the task that wrote them where the caller named one.
    values: Grown<Option<Box<RawValue>>>,
    keys: OnceLock<Vec<Box<str>>>,
    keys_from: Grown<Vec<Box<str>>>,
}

impl Remote {
    /// The values of a call: the payload alone if nothing was left out of it.
    pub(super) fn over(view: View, link: Arc<HostLink>, call_id: u64) -> Arc<dyn Source> {
        if !view.partial && !view.hidden {
            return Arc::new(view);
        }
        let (writers, values, keys, keys_from) = (Grown::new(), Grown::new(), OnceLock::new(), Grown::new());
        Arc::new(Self { view, link, call_id, writers, values, keys, keys_from })
    }

    /// Asks the host. Ends the task if it does not answer.
    fn ask(&self, what: u32, task: &str, key: &str) -> Option<Fetched> {
        match self.link.fetch(self.call_id, what, task, key) {
            Ok(fetched) => fetched,
            Err(status) => resume_unwind(Box::new(unanswered(status, what))),
        }
    }

    /// Asks for a value and shows it.
    fn show(&self, task: &str, key: &str, take: &mut dyn FnMut(&RawValue)) -> bool {
        if let Some(known) = self.values.find(task, key) {
            return known.as_deref().map(take).is_some();
        }
        let Some(fetched) = self.ask(FETCH_VALUE, task, key) else {
            self.values.insert(task, key, None);
            return false;
        };
        let raw: &RawValue = match serde_json::from_slice(&fetched.value) {
            Ok(raw) => raw,
            Err(error) => resume_unwind(Box::new(unreadable(&error))),
        };
        if fetched.value.len() <= KEPT_BYTES_MAX {
            self.values.insert(task, key, Some(raw.to_owned()));
        }
        take(raw);
        true
    }

    fn list(&self, task: &str) -> Vec<Box<str>> {
        let fetched = self.ask(FETCH_KEYS, task, "").map_or_else(|| b"[]".to_vec(), |fetched| fetched.value);
        match serde_json::from_slice(&fetched) {
            Ok(keys) => keys,
            Err(error) => resume_unwind(Box::new(unreadable(&error))),
        }
    }
}

impl Source for Remote {
    fn writer(&self, key: &str) -> Option<Option<&str>> {
        if self.view.values.contains_key(key) || !self.view.partial {
            return self.view.writer(key);
        }
        let known = self.writers.find("", key).unwrap_or_else(|| {
            let fetched = self.ask(FETCH_WRITER, "", key);
            self.writers.insert("", key, fetched.map(|fetched| fetched.writer.into()))
        });
        known.as_deref().map(|writer| Some(writer).filter(|writer| !writer.is_empty()))
    }

    fn read(&self, key: &str, take: &mut dyn FnMut(&RawValue)) -> bool {
        match self.view.values.get(key) {
            Some(raw) => {
                take(raw);
                true
            }
            None => self.view.partial && self.show("", key, take),
        }
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        if !self.view.partial {
            return self.view.keys();
        }
        Box::new(self.keys.get_or_init(|| self.list("")).iter().map(AsRef::as_ref))
    }

    fn read_from(&self, task: &str, key: &str, take: &mut dyn FnMut(&RawValue)) -> bool {
        match self.view.producer.get(key).is_some_and(|producer| **producer == *task) {
            true => self.read(key, take),
            false => !task.is_empty() && self.show(task, key, take),
        }
    }

    fn keys_from<'a>(&'a self, task: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        if task.is_empty() {
            return Box::new(std::iter::empty());
        }
        let known = self.keys_from.find(task, "");
        let known = known.unwrap_or_else(|| self.keys_from.insert(task, "", self.list(task)));
        Box::new(known.iter().map(AsRef::as_ref))
    }
}

/// Why the host did not answer, as the end of the task.
fn unanswered(status: i32, what: u32) -> TaskError {
    if status != FETCH_TOO_LARGE {
        return TaskError::Cancelled { message: "the host has abandoned the call".to_owned() };
    }
    let what = if what == FETCH_KEYS { "list of keys" } else { "value" };
    TaskError::Custom {
        kind: "refused".to_owned(),
        message: format!("LIB0015: the {what} that the task requested is too large for a call"),
        details: json!({ "code": "LIB0015" }),
        retryable: false,
    }
}

fn unreadable(error: &serde_json::Error) -> TaskError {
    TaskError::ValidationFailed { message: format!("the answer of the host cannot be read: {error}") }
}
