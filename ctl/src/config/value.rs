//! From the text of a setting to its value, and why a text means nothing.
//!
//! A reason says what to write instead. It does not repeat the text, which may be secret.

use std::net::SocketAddr;
use std::time::Duration;

/// The word for keeping everything of a kind.
const OFF: &str = "off";

/// An address to listen on.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "use an IP address and a port, such as `127.0.0.1:8080` or `[::1]:8080`".to_owned())
}

/// True or false.
pub(crate) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "on" => Ok(true),
        "false" | OFF => Ok(false),
        _ => Err("use `true` or `false`".to_owned()),
    }
}

/// A time.
pub(crate) fn wait(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; use a duration such as `30s`"))
}

/// An age, or none for `off`.
pub(crate) fn age_or_off(text: &str) -> Result<Option<Duration>, String> {
    if text == OFF {
        return Ok(None);
    }
    let age = humantime::parse_duration(text);
    age.map(Some).map_err(|error| format!("{error}; use a duration such as `30d`, or `off`"))
}

/// A number, or none for `off`.
pub(crate) fn number_or_off(text: &str) -> Result<Option<u64>, String> {
    if text == OFF {
        return Ok(None);
    }
    text.replace('_', "").parse().map(Some).map_err(|_| "use a number or `off`".to_owned())
}

/// A number that is not smaller than the least one.
pub(super) fn number(text: &str, least: u64) -> Result<u64, String> {
    let number = text.replace('_', "").parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("use a whole number from {least}"))
}
