//! Moments on the command line: RFC 3339, a time ago, or a time from now on.

use std::time::SystemTime;

use cloacina::Timestamp;
use cloacina_workflow::NotATimestamp;

use crate::error::Error;

/// Reads a moment such as `2026-01-31T12:00:00+02:00`, or a span of time such as `15m` or `24h` before `now`.
pub(crate) fn parse(option: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let ago = humantime::parse_duration(text).map_err(|error| bad(option, text, &error.to_string()))?;
    let moment = SystemTime::from(now).checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
    Ok(moment.into())
}

/// Reads a moment such as `2026-01-31T12:00:00+02:00`.
pub(super) fn at(option: &'static str, text: &str) -> Result<Timestamp, Error> {
    text.parse().map_err(|error: NotATimestamp| bad(option, text, &error.to_string()))
}

/// Reads a span of time such as `15m`, from `now` on.
pub(super) fn after(option: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    let wait = humantime::parse_duration(text).map_err(|error| bad(option, text, &error.to_string()))?;
    let moment = SystemTime::from(now).checked_add(wait);
    moment.map(Timestamp::from).ok_or_else(|| bad(option, text, "it is too far away"))
}

/// Reads a day, a moment, or a span of time from `now` on.
pub(crate) fn until(option: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    let day = format!("{text}T00:00:00Z").parse::<Timestamp>();
    day.or_else(|_| at(option, text)).or_else(|_| after(option, text, now))
}

fn bad(option: &'static str, text: &str, reason: &str) -> Error {
    Error::BadMoment { option, text: text.to_owned(), reason: reason.to_owned() }
}

/// How long ago that was, in one unit, as `--since` takes it.
pub(super) fn age(moment: Timestamp, now: Timestamp) -> String {
    let seconds = now.unix_seconds().saturating_sub(moment.unix_seconds());
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The same in a sentence.
pub(super) fn ago(moment: Timestamp, now: Timestamp) -> String {
    format!("{} ago", age(moment, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_absolute_or_ago() {
        let now = Timestamp::from_unix_micros(1_700_000_000_000_000);
        for (text, expected) in [
            ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20.000000Z"),
            ("2023-11-14 22:13:20", "2023-11-14T22:13:20.000000Z"),
            ("2023-11-15T00:13:20+02:00", "2023-11-14T22:13:20.000000Z"),
            ("90s", "2023-11-14T22:11:50.000000Z"),
            ("7d", "2023-11-07T22:13:20.000000Z"),
            ("1000years", "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(parse("--since", text, now).unwrap().to_string(), expected, "{text}");
        }
        assert!(matches!(parse("--since", "yesterday", now), Err(Error::BadMoment { .. })));
    }

    #[test]
    fn moments_to_come_are_absolute_or_a_wait() {
        let now = Timestamp::from_unix_micros(1_700_000_000_000_000);
        assert_eq!(after("--after", "90s", now).unwrap().to_string(), "2023-11-14T22:14:50.000000Z");
        assert_eq!(at("--at", "2030-01-31T12:00:00Z").unwrap().to_string(), "2030-01-31T12:00:00.000000Z");
        assert_eq!(at("--at", "2030-01-31T12:00:00+02:00").unwrap().to_string(), "2030-01-31T10:00:00.000000Z");
        assert!(matches!(at("--at", "15m"), Err(Error::BadMoment { option: "--at", .. })));
        assert!(matches!(after("--after", "soon", now), Err(Error::BadMoment { .. })));
        assert!(after("--after", "1000000000000years", now).is_err());
    }

    #[test]
    fn times_ago_are_short() {
        let at = |seconds: u64| Timestamp::from_unix_micros(seconds * 1_000_000);
        for (seconds, expected) in [(0, "0s ago"), (61, "1m ago"), (7_200, "2h ago"), (90_000, "1d ago")] {
            assert_eq!(ago(at(0), at(seconds)), expected);
        }
        assert_eq!(ago(at(9), at(3)), "0s ago");
    }
}
