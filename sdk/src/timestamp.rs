//! A moment in time as users and records see it: microseconds since the Unix epoch, shown as RFC 3339 in UTC.
//!
//! The engine's own decisions never read the clock through this type; it is for task bodies and for errors.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A moment in UTC with a resolution of one microsecond, between the years 1970 and 9999.
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

impl Timestamp {
    /// The present moment by the system's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "task bodies ask for the real time here")]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The moment that many microseconds after 1970-01-01T00:00:00Z; later than the year 9999 becomes its end.
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

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", humantime::format_rfc3339_micros((*self).into()))
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
        humantime::parse_rfc3339(&text).map(Into::into).map_err(D::Error::custom)
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
    fn moments_out_of_range_are_clamped_instead_of_wrapping() {
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_secs(5)).unix_micros(), 0);
        assert_eq!(Timestamp::from_unix_micros(u64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
    }
}
