//! How the errors of other crates become a [`TaskError`], and back.
//!
//! One conversion serves every error type, boxed errors, `anyhow::Error` and texts, because all of them convert into a
//! boxed error. The known types are recognized in the box. An error keeps its message, the messages of its sources, and
//! the name of its type as its kind.

use std::{any::type_name, error::Error as StdError, fmt, io, time::Duration};

use crate::{ContextError, ErrorRecord, TaskError};

/// The type that every error converts into.
type Boxed = Box<dyn StdError + Send + Sync>;

/// How many sources of an error are kept. A chain of errors usually has a handful; an error that is its own source would have no end.
const CAUSES_MAX: usize = 32;

/// The kind of an error with a type that tells nothing about it.
const KIND_DEFAULT: &str = "execution_failed";

impl<E: Into<Boxed>> From<E> for TaskError {
    /// Keeps the message, the sources and the type of the error.
    ///
    /// An error of the context stays one ([`TaskError::Context`]). An error of `serde_json` is
    /// [`TaskError::ValidationFailed`], and not retried. An error of input and output has the kind `transient`, because
    /// it may not occur the next time. Everything else is [`TaskError::Other`], and may be retried.
    fn from(error: E) -> Self {
        convert(error.into(), type_name::<E>())
    }
}

/// Marks any error as retryable or not, before `?` converts it.
///
/// ```
/// use std::time::Duration;
///
/// use cloacina_workflow::prelude::*;
///
/// fn count(text: &str) -> Result<u32, TaskError> {
///     // The text will be the same in the next attempt.
///     text.trim().parse().permanent()
/// }
///
/// fn ask(answer: Result<u32, String>) -> Result<u32, TaskError> {
///     answer.retry_after(Duration::from_secs(30))
/// }
///
/// let error = count("many").unwrap_err();
/// assert_eq!((error.kind(), error.is_retryable()), ("parse_int_error", false));
/// let error = ask(Err("503".to_owned())).unwrap_err();
/// assert_eq!((error.kind(), error.retry_after()), ("transient", Some(Duration::from_secs(30))));
/// ```
pub trait ResultExt<T> {
    /// The error is expected to pass: its kind becomes `transient`, and another attempt may follow.
    ///
    /// # Errors
    /// The error, with its message and causes.
    fn transient(self) -> Result<T, TaskError>;

    /// No further attempt can help. The error keeps its kind; a `transient` one becomes `permanent`.
    ///
    /// # Errors
    /// The error, with its message and causes.
    fn permanent(self) -> Result<T, TaskError>;

    /// Like [`ResultExt::transient`]; the next attempt starts after that time at the earliest.
    ///
    /// # Errors
    /// The error, with its message and causes.
    fn retry_after(self, wait: Duration) -> Result<T, TaskError>;
}

impl<T, E: Into<TaskError>> ResultExt<T> for Result<T, E> {
    fn transient(self) -> Result<T, TaskError> {
        self.map_err(|error| error.into().with(|record| passing(record, None)))
    }

    fn permanent(self) -> Result<T, TaskError> {
        self.map_err(|error| error.into().with(lasting))
    }

    fn retry_after(self, wait: Duration) -> Result<T, TaskError> {
        self.map_err(|error| error.into().with(|record| passing(record, Some(wait))))
    }
}

fn passing(record: &mut ErrorRecord, wait: Option<Duration>) {
    record.retryable = true;
    record.retry_after = wait.or(record.retry_after);
    "transient".clone_into(&mut record.kind);
}

fn lasting(record: &mut ErrorRecord) {
    record.retryable = false;
    record.retry_after = None;
    if record.kind == "transient" {
        "permanent".clone_into(&mut record.kind);
    }
}

impl TaskError {
    /// The same failure as a [`std::error::Error`], for functions that return one. `?` in a task makes the same
    /// `TaskError` of it again.
    #[must_use]
    pub fn into_error(self) -> impl StdError + Send + Sync + 'static {
        AsError(self)
    }

    fn with(self, change: impl FnOnce(&mut ErrorRecord)) -> Self {
        let mut record = self.to_record();
        change(&mut record);
        Self::from_record(record)
    }
}

impl From<TaskError> for Box<dyn StdError> {
    fn from(error: TaskError) -> Self {
        Box::new(error.into_error())
    }
}

/// The type that [`TaskError::into_error`] returns.
#[derive(Debug)]
struct AsError(TaskError);

impl fmt::Display for AsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl StdError for AsError {}

fn convert(error: Boxed, type_name: &str) -> TaskError {
    let error = match error.downcast::<AsError>() {
        Ok(ours) => return ours.0,
        Err(error) => error,
    };
    let error = match error.downcast::<ContextError>() {
        Ok(context) => return TaskError::Context(*context),
        Err(error) => error,
    };
    let message = error.to_string();
    if error.is::<serde_json::Error>() {
        return TaskError::ValidationFailed { message };
    }
    let causes = causes(&*error);
    let kind = if error.is::<io::Error>() { "transient".to_owned() } else { kind(type_name) };
    TaskError::Other { kind, message, causes, retryable: true, retry_after: None }
}

/// The messages of the sources, without one that only repeats the message before it.
fn causes(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut said = error.to_string();
    let sources = std::iter::successors(error.source(), |source| (*source).source());
    for source in sources.take(CAUSES_MAX) {
        let text = source.to_string();
        if text != said {
            causes.push(text.clone());
        }
        said = text;
    }
    causes
}

/// The name of an error's type as a kind: `core::num::error::ParseIntError` is `parse_int_error`, `reqwest::Error` is
/// `reqwest_error`.
fn kind(type_name: &str) -> String {
    let path = type_name.split('<').next().unwrap_or_default();
    let mut names = path.rsplit("::");
    let name = names.next().unwrap_or_default();
    let krate = path.split("::").next().unwrap_or_default();
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match (krate, name) {
        _ if !is_plain => KIND_DEFAULT.to_owned(),
        ("alloc" | "anyhow", "Box" | "String" | "Cow" | "Error") | (_, "str") => KIND_DEFAULT.to_owned(),
        (krate, "Error") if names.next().is_some() => format!("{}_error", snake_case(krate)),
        (_, name) => snake_case(name),
    }
}

fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    let mut before = '_';
    for character in name.chars() {
        if character.is_uppercase() && before != '_' && !before.is_uppercase() {
            text.push('_');
        }
        text.extend(character.to_lowercase());
        before = character;
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[derive(Debug)]
    struct Layered(io::Error);

    impl fmt::Display for Layered {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("the price list could not be loaded")
        }
    }

    impl StdError for Layered {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn failed<E: Into<TaskError>>(error: E) -> TaskError {
        let through = || -> Result<(), TaskError> { Err(error.into()) };
        through().unwrap_err()
    }

    fn check(error: TaskError, kind: &str, message: &str, causes: &[&str], retryable: bool) {
        let record = error.to_record();
        assert_eq!((&*record.kind, &*record.message, record.retryable), (kind, message, retryable), "{error:?}");
        let expected = if causes.is_empty() { None } else { Some(Value::from(causes.to_vec())) };
        let kept = record.details.get("causes").filter(|causes| *causes != &Value::Array(Vec::new()));
        assert_eq!(kept, expected.as_ref(), "{error:?}");
        assert_eq!(TaskError::from_record(record), error);
    }

    #[test]
    fn every_error_converts_and_keeps_kind_message_and_causes() {
        let parse = "x".parse::<u32>().unwrap_err();
        check(failed(parse), "parse_int_error", "invalid digit found in string", &[], true);
        let layered = Layered(io::Error::other("connection refused"));
        check(failed(layered), "layered", "the price list could not be loaded", &["connection refused"], true);
        check(failed("a text"), "execution_failed", "a text", &[], true);
        check(failed("a text".to_owned()), "execution_failed", "a text", &[], true);
        let boxed: Boxed = Box::new("x".parse::<u32>().unwrap_err());
        check(failed(boxed), "execution_failed", "invalid digit found in string", &[], true);
        check(failed(io::Error::other("no route")), "transient", "no route", &[], true);
        let json = serde_json::from_str::<Value>("{").unwrap_err();
        check(failed(json), "validation_failed", "EOF while parsing an object at line 1 column 1", &[], false);
        let missing = ContextError::KeyMissing { key: "k".to_owned() };
        assert_eq!(failed(missing.clone()), TaskError::Context(missing));
        let other = anyhow::anyhow!("connection refused").context("the price list could not be loaded");
        check(failed(other), "execution_failed", "the price list could not be loaded", &["connection refused"], true);
    }

    #[test]
    fn a_task_error_survives_a_box_of_another_error_type() {
        let error = TaskError::ValidationFailed { message: "m".to_owned() };
        let boxed: Boxed = error.clone().into_error().into();
        assert_eq!(failed(boxed), error);
        let boxed: Box<dyn StdError> = error.into();
        assert_eq!(boxed.to_string(), "validation failed: m");
    }

    #[test]
    fn what_is_said_of_an_error_holds_and_the_rest_stays() {
        let layered = || Err::<(), _>(Layered(io::Error::other("connection refused")));
        let (message, causes) = ("the price list could not be loaded", ["connection refused"]);
        check(layered().transient().unwrap_err(), "transient", message, &causes, true);
        check(layered().permanent().unwrap_err(), "layered", message, &causes, false);
        let error = layered().retry_after(Duration::from_secs(9)).unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
        check(error, "transient", message, &causes, true);
        // The last word counts.
        let error = layered().retry_after(Duration::from_secs(9)).permanent().unwrap_err();
        assert_eq!((error.retry_after(), error.is_retryable(), error.kind()), (None, false, "permanent"));
        let error = Err::<(), _>(TaskError::transient("m")).permanent().unwrap_err();
        assert_eq!(error, TaskError::permanent("m"));
        assert_eq!(Ok::<_, String>(7).permanent(), Ok(7));
    }

    #[test]
    fn the_kind_of_an_error_is_the_name_of_its_type() {
        for (type_name, expected) in [
            ("core::num::error::ParseIntError", "parse_int_error"),
            ("reqwest::error::Error", "reqwest_error"),
            ("my_crate::HTTPError<alloc::string::String>", "httperror"),
            ("alloc::boxed::Box<dyn core::error::Error>", "execution_failed"),
            ("alloc::string::String", "execution_failed"),
            ("&str", "execution_failed"),
            ("alloc::borrow::Cow<str>", "execution_failed"),
            ("anyhow::Error", "execution_failed"),
            ("(dyn core::error::Error + 'static)", "execution_failed"),
        ] {
            assert_eq!(kind(type_name), expected, "{type_name}");
        }
    }

    #[test]
    fn an_error_that_is_its_own_source_ends() {
        #[derive(Debug)]
        struct Endless(u32);
        impl fmt::Display for Endless {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "again {}", self.0)
            }
        }
        impl StdError for Endless {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(self)
            }
        }
        assert_eq!(causes(&Endless(1)), Vec::<String>::new());
    }
}
