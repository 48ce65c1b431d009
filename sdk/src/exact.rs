//! Finds values that JSON allows but readers do not keep: whole numbers beyond 64 bits, and duplicate members.
//!
//! A reader silently rounds such a number, and drops all but one of the members. So a text with either is refused at each
//! place where foreign text enters. Numbers with a point or an exponent are read as the nearest 64-bit floating-point
//! number, as in every language. One pass, which allocates only for the names of open objects.

use std::{borrow::Cow, fmt};

/// A part of a JSON text that cannot be stored exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inexact {
    /// A whole number that neither `i64` nor `u64` holds.
    Number {
        /// As it is written; the beginning of a long one.
        text: String,
    },
    /// One object has two members of that name.
    Duplicate {
        /// The name.
        key: String,
    },
}

/// How much of a number or a name is shown.
const SHOWN_CHARS: usize = 64;

/// Searches for numbers and names that readers would not keep, at any depth.
///
/// The text must have been read as JSON before; of another text the answer may be either.
///
/// # Errors
/// The first [`Inexact`] part.
pub fn check_exact(json: &str) -> Result<(), Inexact> {
    let bytes = json.as_bytes();
    // For each open object the names so far; nothing for an array.
    let mut open: Vec<Option<Vec<Cow<'_, str>>>> = Vec::new();
    let (mut at, mut expects_name) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = end_of_text(bytes, at);
                if expects_name && let Some(Some(names)) = open.last_mut() {
                    names.push(name(&json[at..end]));
                }
                expects_name = false;
                at = end;
                continue;
            }
            b'{' => open.push(Some(Vec::new())),
            b'[' => open.push(None),
            b'}' | b']' => check_names(open.pop().flatten().unwrap_or_default())?,
            b'-' | b'0'..=b'9' => {
                let end = end_of_number(bytes, at);
                check_number(&json[at..end])?;
                at = end;
                continue;
            }
            _ => {}
        }
        match byte {
            b'{' | b',' => expects_name = matches!(open.last(), Some(Some(_))),
            _ if byte.is_ascii_whitespace() => {}
            _ => expects_name = false,
        }
        at += 1;
    }
    Ok(())
}

/// The place after a text that begins at `at`.
fn end_of_text(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// The place after a number that begins at `at`.
fn end_of_number(bytes: &[u8], at: usize) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    bytes[at + 1..].iter().position(|byte| !is_part(byte)).map_or(bytes.len(), |length| at + 1 + length)
}

fn check_number(text: &str) -> Result<(), Inexact> {
    let is_whole = !text.contains(['.', 'e', 'E']);
    match is_whole && text.parse::<i64>().is_err() && text.parse::<u64>().is_err() {
        true => Err(Inexact::Number { text: text.chars().take(SHOWN_CHARS).collect() }),
        false => Ok(()),
    }
}

fn check_names(mut names: Vec<Cow<'_, str>>) -> Result<(), Inexact> {
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Inexact::Duplicate { key: pair[0].chars().take(SHOWN_CHARS).collect() }),
        None => Ok(()),
    }
}

/// A name without its quotes, and with what its escapes stand for: `"a"` and `"\u0061"` are one name.
fn name(quoted: &str) -> Cow<'_, str> {
    match quoted.contains('\\') {
        true => serde_json::from_str::<String>(quoted).map_or(Cow::Borrowed(quoted), Cow::Owned),
        false => Cow::Borrowed(quoted.trim_matches('"')),
    }
}

impl fmt::Display for Inexact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { text } => write!(
                formatter,
                "the whole number {text} does not fit into 64 bits; write it as a string, or with an exponent if it may be rounded"
            ),
            Self::Duplicate { key } => write!(formatter, "an object has the key {key:?} more than once"),
        }
    }
}

impl std::error::Error for Inexact {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_would_change_is_found_at_any_depth() {
        let number = |text: &str| Err(Inexact::Number { text: text.to_owned() });
        let twice = |key: &str| Err(Inexact::Duplicate { key: key.to_owned() });
        let cases = [
            (r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":[0,-0]}"#, Ok(())),
            (r#"{"a":18446744073709551616}"#, number("18446744073709551616")),
            ("[-9223372036854775809]", number("-9223372036854775809")),
            ("{ \"a\" : [ { \"b\" : 99999999999999999999 } ] }", number("99999999999999999999")),
            ("99999999999999999999", number("99999999999999999999")),
            (r#"{"a":99999999999999999999.0,"b":1e30,"c":1E+2,"d":-1.5e-3}"#, Ok(())),
            (r#"{"99999999999999999999":"99999999999999999999, \"99999999999999999999"}"#, Ok(())),
            (r#"{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}"#, Ok(())),
            (r#"{"a":1,"b":2,"a":1}"#, twice("a")),
            ("{\"x\": [[{\"a\" :1 ,\n \"a\": 2}]]}", twice("a")),
            (r#"{"a":1,"\u0061":2}"#, twice("a")),
            (r#"{"\\":1,"\"":2,"\\\"":3}"#, Ok(())),
            (r#"{"a":"b","b":"a","c":["a","a","b"]}"#, Ok(())),
            (r#"{"":1,"":2}"#, twice("")),
            (r#"{"a":{},"b":[],"c":{"a":{}}}"#, Ok(())),
        ];
        for (json, expected) in cases {
            serde_json::from_str::<serde_json::Value>(json).unwrap();
            assert_eq!(check_exact(json), expected, "{json}");
        }
    }

    #[test]
    fn texts_other_than_json_do_no_harm() {
        for json in ["", "\"", "\"\\", "{\"a", "}]", "-", "{{{{", "\\\"", "ä\"ä"] {
            check_exact(json).ok();
        }
    }
}
