//! Moments on the command line: RFC 3339, or a time ago.

use std::time::{Duration, SystemTime};

use cloacina::Timestamp;

use crate::error::Error;

/// Reads a moment such as `2026-01-31T12:00:00Z`, or a span of time such as `15m` or `24h` before `now`.
pub(super) fn parse(option: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    if let Ok(moment) = humantime::parse_rfc3339_weak(text) {
        return Ok(moment.into());
    }
    let ago: Duration = humantime::parse_duration(text).map_err(|error| Error::BadMoment {
        option,
        text: text.to_owned(),
        reason: error.to_string(),
    })?;
    let moment = SystemTime::from(now).checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
    Ok(moment.into())
}

/// How long ago that was, in one unit.
pub(super) fn ago(moment: Timestamp, now: Timestamp) -> String {
    let seconds = now.unix_seconds().saturating_sub(moment.unix_seconds());
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
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
            ("90s", "2023-11-14T22:11:50.000000Z"),
            ("7d", "2023-11-07T22:13:20.000000Z"),
            ("1000years", "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(parse("--since", text, now).unwrap().to_string(), expected, "{text}");
        }
        assert!(matches!(parse("--since", "yesterday", now), Err(Error::BadMoment { .. })));
    }

    #[test]
    fn times_ago_are_short() {
        let at = |seconds: u64| Timestamp::from_unix_micros(seconds * 1_000_000);
        for (seconds, expected) in [(0, "0 s ago"), (61, "1 min ago"), (7_200, "2 h ago"), (90_000, "1 d ago")] {
            assert_eq!(ago(at(0), at(seconds)), expected);
        }
        assert_eq!(ago(at(9), at(3)), "0 s ago");
    }
}
