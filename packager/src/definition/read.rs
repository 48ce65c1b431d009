//! From a text to a definition, and the lines of its tasks.
//!
//! A text whose first character is `{` is JSON, every other is TOML. What cannot be read is one mistake with its line; the
//! lines of tasks are kept for the mistakes that show later.

use std::collections::BTreeMap;

use cloacina_workflow::payload::check_exact;
use serde::Deserialize;
use serde_json::value::RawValue;
use toml::Spanned;

use super::schema::{DEFINITION_BYTES_MAX, Definition, FORMAT};
use crate::error::Error;
use crate::mistake::{Mistake, MistakeKind};

/// In which lines the tasks stand, by their ids.
pub(super) type Lines = BTreeMap<String, usize>;

#[derive(Deserialize)]
struct TomlTasks {
    tasks: Vec<TomlTask>,
}

#[derive(Deserialize)]
struct TomlTask {
    id: Spanned<String>,
}

#[derive(Deserialize)]
struct JsonTasks<'a> {
    #[serde(borrow)]
    tasks: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct JsonTask {
    id: String,
}

/// The definition in these bytes.
pub(super) fn read(bytes: &[u8]) -> Result<(Definition, Lines), Error> {
    if bytes.len() > DEFINITION_BYTES_MAX {
        return Err(unreadable(None, format!("it is larger than {DEFINITION_BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        unreadable(Some(line), "it is not UTF-8 text".to_owned())
    })?;
    let (definition, lines) = if text.trim_start().starts_with('{') { json(text) } else { toml(text) }?;
    match definition.format {
        FORMAT => Ok((definition, lines)),
        found => Err(unreadable(None, format!("its format is {found}, and this program reads format {FORMAT}"))),
    }
}

fn toml(text: &str) -> Result<(Definition, Lines), Error> {
    let definition: Definition = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        unreadable(line, error.message().to_owned())
    })?;
    let tasks = toml::from_str(text).map_or(Vec::new(), |TomlTasks { tasks }| tasks);
    let lines = tasks.into_iter().map(|TomlTask { id }| {
        let line = line_of(text, id.span().start);
        (id.into_inner(), line)
    });
    Ok((definition, first_of_each(lines)))
}

fn json(text: &str) -> Result<(Definition, Lines), Error> {
    let definition: Definition = serde_json::from_str(text).map_err(|error| {
        // The message ends with the line and the column.
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        unreadable(Some(error.line()).filter(|line| *line > 0), message.to_owned())
    })?;
    check_exact(text).map_err(|inexact| unreadable(None, inexact.to_string()))?;
    let tasks = serde_json::from_str(text).map_or(Vec::new(), |JsonTasks { tasks }| tasks);
    let lines = tasks.into_iter().filter_map(|task| {
        let JsonTask { id } = serde_json::from_str(task.get()).ok()?;
        // What is borrowed stands in the text.
        let offset = (task.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        Some((id, line_of(text, offset)))
    });
    Ok((definition, first_of_each(lines)))
}

fn first_of_each(lines: impl Iterator<Item = (String, usize)>) -> Lines {
    let mut first = Lines::new();
    for (id, line) in lines {
        first.entry(id).or_insert(line);
    }
    first
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// That a definition cannot be read, for that reason.
pub(super) fn unreadable(line: Option<usize>, reason: String) -> Error {
    let kind = MistakeKind::Unreadable { reason };
    Error::Mistakes { mistakes: vec![Mistake { workflow: None, task: None, line, kind }] }
}
