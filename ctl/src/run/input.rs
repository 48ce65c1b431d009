//! The input of a run: a JSON object, from the command line, a file or stdin.
//!
//! Every mistake names where the text came from, and where in it the mistake is.

use std::io::Read;
use std::path::Path;

use cloacina_workflow::{Value, payload::check_exact};
use serde_json::Map;

use super::secret;
use crate::cli::SecretArgs;
use crate::error::Error;
use crate::package::place;

/// Reads the input with its secrets; without any, it is empty.
pub(super) fn read(argument: Option<&str>, secrets: &SecretArgs) -> Result<Map<String, Value>, Error> {
    let mut values = read_object(argument)?;
    secret::add(secrets, &mut values)?;
    Ok(values)
}

/// Reads the input as it is.
pub(crate) fn read_object(argument: Option<&str>) -> Result<Map<String, Value>, Error> {
    read_value_of("--input", argument)
}

/// Reads the object that an option of that name gives; without one, it is empty.
pub(crate) fn read_value_of(option: &'static str, argument: Option<&str>) -> Result<Map<String, Value>, Error> {
    let Some(argument) = argument else { return Ok(Map::new()) };
    let (place, text) = match argument.strip_prefix('@') {
        _ if argument == "-" => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|source| Error::Io { action: "read", path: "stdin".into(), source })?;
            ("the text on stdin".to_owned(), bytes)
        }
        Some(file) => (format!("`{file}`"), place::read(Path::new(file))?),
        None => (format!("the value of {option}"), argument.as_bytes().to_owned()),
    };
    parse(option, place, without_mark(&text))
}

/// The text without the byte order mark that some editors put in front.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

fn parse(option: &'static str, place: String, text: &[u8]) -> Result<Map<String, Value>, Error> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(values)) => match str::from_utf8(text).map(check_exact) {
            Ok(Err(inexact)) => Err(Error::InputNotExact { option, place, inexact }),
            // What reads as JSON is UTF-8.
            Ok(Ok(())) | Err(_) => Ok(values),
        },
        Ok(value) => Err(Error::InputNotAnObject { option, place, found: kind(&value) }),
        Err(error) => Err(Error::InputNotJson { option, place, reason: error.to_string() }),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_becomes_the_input() {
        let input = read(Some(r#"{"a": 1, "b": [2]}"#), &SecretArgs::default()).unwrap();
        assert_eq!(input.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert!(read(None, &SecretArgs::default()).unwrap().is_empty());
    }

    #[test]
    fn a_byte_order_mark_in_front_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("input.json");
        std::fs::write(&file, "\u{feff}{\"a\": 1}").unwrap();
        for argument in [format!("@{}", file.display()), "\u{feff}{\"a\": 1}".to_owned()] {
            assert_eq!(read_object(Some(&argument)).unwrap()["a"], 1, "{argument}");
        }
        assert!(read_object(Some("\u{feff}\u{feff}{}")).is_err());
    }

    #[test]
    fn a_mistake_names_its_place() {
        for (text, expected) in [
            (r#"{"a": }"#, "the value of --input is not JSON: expected value at line 1 column 7"),
            ("", "the value of --input is not JSON: EOF while parsing a value at line 1 column 0"),
            ("[1]", "the value of --input is an array, where an object is needed"),
            ("3", "the value of --input is a number, where an object is needed"),
            (
                r#"{"a": [99999999999999999999]}"#,
                "the value of --input cannot be kept as it is written: the whole number 99999999999999999999 does not fit \
                 into 64 bits; write it as a string, or with an exponent if it may be rounded",
            ),
            (
                r#"{"a": {"b": 1, "b": 1}}"#,
                "the value of --input cannot be kept as it is written: an object has the key \"b\" more than once",
            ),
        ] {
            assert_eq!(read(Some(text), &SecretArgs::default()).unwrap_err().to_string(), expected);
        }
        let missing = read(Some("@no/such/file.json"), &SecretArgs::default()).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read `no/such/file.json`");
    }
}
