//! A point in time for users and records: microseconds since the Unix epoch, shown as RFC 3339 in UTC.
//!
//! The engine's own decisions never read the clock through this type; it is for task bodies and for errors.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A point in time in UTC with a resolution of one microsecond, between the years 1970 and 9999.
///
/// ```
/// use cloacina_workflow::Timestamp;
///
/// let moment = Timestamp::from_unix_micros(1_700_000_000_123_456);
/// assert_eq!(moment.to_string(), "2023-11-14T22:13:20.123456Z");
/// assert_eq!(moment.unix_seconds(), 1_700_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    unix_micros: u64,
}

/// The last microsecond of the year 9999, the end of what RFC 3339 can write.
const UNIX_MICROS_MAX: u64 = 253_402_300_799_999_999;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Timestamp {
    /// The present time of the system's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "task bodies ask for the real time here")]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The time that many microseconds after 1970-01-01T00:00:00Z; a time after the year 9999 becomes the end of that year.
    #[must_use]
    pub fn from_unix_micros(unix_micros: u64) -> Self {
        Self { unix_micros: unix_micros.min(UNIX_MICROS_MAX) }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_micros(self) -> u64 {
        self.unix_micros
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_seconds(self) -> u64 {
        self.unix_micros / 1_000_000
    }
}

impl From<SystemTime> for Timestamp {
    /// A time before 1970 becomes 1970-01-01T00:00:00Z.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self::from_unix_micros(u64::try_from(since.as_micros()).unwrap_or(UNIX_MICROS_MAX))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_micros(timestamp.unix_micros)
    }
}

#[cfg(feature = "chrono")]
impl<Tz: chrono::TimeZone> From<chrono::DateTime<Tz>> for Timestamp {
    /// A time before 1970 becomes 1970-01-01T00:00:00Z. Fractions of a microsecond are cut off.
    fn from(time: chrono::DateTime<Tz>) -> Self {
        Self::from_unix_micros(u64::try_from(time.timestamp_micros()).unwrap_or(0))
    }
}

#[cfg(feature = "chrono")]
impl From<Timestamp> for chrono::DateTime<chrono::Utc> {
    fn from(timestamp: Timestamp) -> Self {
        let micros = i64::try_from(timestamp.unix_micros).unwrap_or(i64::MAX);
        Self::from_timestamp_micros(micros).expect("invariant: a timestamp is at most the end of the year 9999")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", humantime::format_rfc3339_micros((*self).into()))
    }
}

/// A text is not a time of RFC 3339 from the year 1970 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotATimestamp {
    reason: String,
}

impl fmt::Display for NotATimestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for NotATimestamp {}

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    /// Reads RFC 3339 with any offset from UTC, such as `2026-01-31T12:00:00+02:00`; without one it is UTC, and a blank may
    /// stand in the place of the `T`. Fractions of a microsecond are cut off.
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let (local, east) = split_offset(text)?;
        let failed = |reason: &dyn fmt::Display| NotATimestamp { reason: reason.to_string() };
        // Only this day may be the last of 1969 there and in 1970 here; the parser begins with 1970.
        let (local, too_late) = match local.strip_prefix("1969-12-31") {
            Some(time) if matches!(east, Offset::West(_)) => (format!("1970-01-01{time}"), DAY),
            Some(_) | None => (local, Duration::ZERO),
        };
        let local = humantime::parse_rfc3339_weak(&cut_fraction(&local)).map_err(|error| failed(&error))?;
        let moved = match east {
            Offset::East(offset) => local.checked_sub(offset),
            Offset::West(offset) => local.checked_add(offset).and_then(|moved| moved.checked_sub(too_late)),
        };
        let moment =
            moved.filter(|moment| *moment >= UNIX_EPOCH).ok_or_else(|| failed(&"it is before the year 1970"))?;
        Ok(moment.into())
    }
}

enum Offset {
    East(Duration),
    West(Duration),
}

/// The local time in capitals and without its offset, and the offset.
fn split_offset(text: &str) -> Result<(String, Offset), NotATimestamp> {
    let utc = Offset::East(Duration::ZERO);
    let local = text.to_ascii_uppercase();
    if let Some(local) = local.strip_suffix('Z') {
        return Ok((local.to_owned(), utc));
    }
    // A date has dashes too, and the shortest one with a time has sixteen letters.
    let Some(place) = local.rfind(['+', '-']).filter(|place| *place >= "2026-01-31T12:00".len()) else {
        return Ok((local, utc));
    };
    let bad = || NotATimestamp { reason: "it has no offset from UTC, such as Z or +02:00".to_owned() };
    let (hours, minutes) = local[place + 1..].split_once(':').ok_or_else(bad)?;
    let number = |digits: &str, below: u64| {
        let is_pair = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse().ok().filter(|number: &u64| is_pair && *number < below).ok_or_else(bad)
    };
    let offset = Duration::from_secs(60 * (60 * number(hours, 24)? + number(minutes, 60)?));
    let is_east = local.as_bytes()[place] == b'+';
    Ok((local[..place].to_owned(), if is_east { Offset::East(offset) } else { Offset::West(offset) }))
}

/// The text without what is finer than a microsecond.
fn cut_fraction(local: &str) -> String {
    match local.split_once('.') {
        Some((whole, fraction)) if fraction.len() > 6 && fraction.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("{whole}.{}", &fraction[..6])
        }
        Some(_) | None => local.to_owned(),
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_survives_json() {
        let moment = Timestamp::from_unix_micros(1_234_567_890_000_001);
        let json = serde_json::to_string(&moment).unwrap();
        assert_eq!(json, "\"2009-02-13T23:31:30.000001Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), moment);
    }

    #[test]
    fn a_moment_is_read_with_any_offset() {
        for (text, expected) in [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"),
            ("2026-01-31t12:00:00z", "2026-01-31T12:00:00.000000Z"),
            ("2026-01-31 12:00:00", "2026-01-31T12:00:00.000000Z"),
            ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000000Z"),
            ("2026-01-01T00:30:00.25+05:45", "2025-12-31T18:45:00.250000Z"),
            ("2026-12-31 23:59:59-00:01", "2027-01-01T00:00:59.000000Z"),
            ("2026-01-31T12:00:00-00:00", "2026-01-31T12:00:00.000000Z"),
            ("2024-02-28T20:00:00.1234567890123-08:00", "2024-02-29T04:00:00.123456Z"),
            ("1970-01-01T00:00:00-01:00", "1970-01-01T01:00:00.000000Z"),
            ("1969-12-31T23:30:00.5-01:00", "1970-01-01T00:30:00.500000Z"),
            ("1969-12-31 16:00:00-08:00", "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().map(|moment| moment.to_string()), Ok(expected.to_owned()), "{text}");
        }
        for text in [
            "",
            "soon",
            "2026-01-31",
            "2026-01-31T12:00:00+2:00",
            "2026-01-31T12:00:00+0200",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00+02:60",
            "2026-01-31T12:00:00+02:00Z",
            "2026-02-30T12:00:00+02:00",
            "2026-01-31T12:00:00+ü:00",
            "1970-01-01T00:59:59+01:00",
            "1969-12-31T22:59:59-01:00",
            "1969-12-31T23:30:00Z",
            "1969-12-31T23:30:00+01:00",
            "1969-12-30T23:30:00-23:59",
            "12:00:00+02:00",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[cfg(feature = "chrono")]
    #[test]
    fn a_moment_of_chrono_is_the_same_moment() {
        use chrono::{DateTime, FixedOffset, Utc};

        let there: DateTime<FixedOffset> = "2026-01-31T12:00:00.123456789+02:00".parse().unwrap();
        let moment = Timestamp::from(there);
        assert_eq!(moment.to_string(), "2026-01-31T10:00:00.123456Z");
        assert_eq!(DateTime::<Utc>::from(moment).timestamp_micros(), there.timestamp_micros());
        assert_eq!(Timestamp::from(DateTime::<Utc>::MIN_UTC).unix_micros(), 0);
        let last = Timestamp::from(DateTime::<Utc>::MAX_UTC);
        assert_eq!(last, Timestamp::from_unix_micros(u64::MAX));
        assert_eq!(Timestamp::from(DateTime::<Utc>::from(last)), last);
    }

    #[test]
    fn moments_out_of_range_are_clamped_instead_of_wrapping() {
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_secs(5)).unix_micros(), 0);
        assert_eq!(Timestamp::from_unix_micros(u64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
    }
}
