//! Secret values of a run's input: where they come from, and marking them.
//!
//! No error of this file shows a value, nor the text of an argument that may be one.

use std::path::Path;

use cloacina::{SECRET_BYTES_MIN, SECRET_KEYS};
use cloacina_workflow::Value;
use serde_json::Map;

use crate::cli::SecretArgs;
use crate::config::Config;
use crate::error::Error;
use crate::package::place;

/// Puts the secrets into an input, and the mark that they are.
pub(crate) fn add(arguments: &SecretArgs, input: &mut Map<String, Value>) -> Result<(), Error> {
    if arguments.secret.is_empty() {
        return Ok(());
    }
    let mut keys: Vec<Value> = match input.remove(SECRET_KEYS) {
        Some(Value::Array(keys)) => keys,
        Some(_) | None => Vec::new(),
    };
    for argument in &arguments.secret {
        let (key, value) = secret(argument)?;
        if input.contains_key(key) && !keys.contains(&key.into()) {
            return Err(bad(key, "the input has another value for it"));
        }
        if !keys.contains(&key.into()) {
            keys.push(key.into());
        }
        input.insert(key.to_owned(), Value::String(value));
    }
    input.insert(SECRET_KEYS.to_owned(), Value::Array(keys));
    Ok(())
}

fn secret(argument: &str) -> Result<(&str, String), Error> {
    let Some((key, source)) = argument.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        return Err(bad("KEY", "it looks like this: --secret KEY=@FILE, KEY=env:VARIABLE or KEY=VALUE"));
    };
    let value = match (source.strip_prefix('@'), source.strip_prefix("env:")) {
        (Some(file), _) => {
            let text = String::from_utf8(place::read(Path::new(file))?);
            let text = text.map_err(|_| bad(key, "the file is not UTF-8 text"))?;
            // Editors end a file with a line break that is not meant.
            text.strip_suffix('\n').unwrap_or(&text).to_owned()
        }
        (None, Some(name)) => Config::secret_variable(name)
            .ok_or_else(|| bad(key, "the variable is not set, or its value is not UTF-8"))?,
        (None, None) => source.to_owned(),
    };
    // A task may print it without the blanks around it.
    match value.trim().len() {
        n_bytes if n_bytes < SECRET_BYTES_MIN => {
            Err(bad(key, "the value must have at least 4 bytes: a shorter value cannot be redacted reliably"))
        }
        _ => Ok((key, value)),
    }
}

fn bad(key: &str, reason: &'static str) -> Error {
    Error::BadSecret { key: key.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(secrets: &[&str], input: Value) -> Result<Value, String> {
        let Value::Object(mut input) = input else { panic!("no object") };
        let arguments = SecretArgs { secret: secrets.iter().map(ToString::to_string).collect() };
        add(&arguments, &mut input).map(|()| Value::Object(input)).map_err(|error| error.to_string())
    }

    #[test]
    fn secrets_come_from_where_they_are_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "one\ntwo\n").unwrap();
        let from_file = format!("token=@{}", file.display());
        let input = with(&["password=a=b=c", &from_file, "path=env:PATH"], json!({"open": 1})).unwrap();
        assert_eq!(
            (&input["open"], &input["password"], &input["token"]),
            (&json!(1), &json!("a=b=c"), &json!("one\ntwo"))
        );
        assert_eq!(input[SECRET_KEYS], json!(["password", "token", "path"]));
        assert!(input["path"].as_str().unwrap().contains('/'));
        assert_eq!(with(&[], json!({"a": 1})).unwrap(), json!({"a": 1}));
    }

    #[test]
    fn no_refusal_tells_a_value() {
        for (argument, expected) in [
            ("hunter2", "the secret KEY cannot be used: it looks like this"),
            ("=hunter2", "the secret KEY cannot be used: it looks like this"),
            ("pin=hu2", "the secret pin cannot be used: the value must have at least 4 bytes"),
            ("pin=hu2  \r\n", "the secret pin cannot be used: the value must have at least 4 bytes"),
            (
                "pin=env:CLOACINA_HUNTER2",
                "the secret pin cannot be used: the variable is not set, or its value is not UTF-8",
            ),
            ("open=hunter2", "the secret open cannot be used: the input has another value"),
        ] {
            let error = with(&[argument], json!({"open": 1})).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("hu2") && !error.contains("hunter2"), "{error}");
        }
    }
}
