//! Ids: 16 bytes each, unique without asking anyone, and newer ones sort after older ones.
//!
//! An id is a UUID of version 7, so rows that are written together lie together in every index. Making one takes a
//! moment as argument and draws random bits, which is why the pure core is only ever handed ids and makes none.

use std::{fmt, str::FromStr, sync::Arc};

use cloacina_workflow::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::{NoContext, Uuid};

/// The tenant of whatever names none.
pub const TENANT_DEFAULT: &str = "public";

/// Whether a name means the workflow of that full name: `workflow`, `package::workflow` or `tenant::package::workflow`.
#[must_use]
pub fn is_name_of(name: &str, full_name: &str) -> bool {
    full_name.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with("::"))
}

/// The tenants that a caller can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Every,
    Tenant(Arc<str>),
}

/// The beginning of an id that holds its milliseconds, such as `0198a4c1-7c1e`.
const SHORT_CHARS_MIN: usize = 13;

/// The id of one run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Uuid);

/// The id of one version of a workflow, which runs are pinned to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkflowId(Uuid);

/// The id of one process of a package, in the accounts of what processes used up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostId(Uuid);

/// A text that is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a run id; a run id looks like 0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e")]
pub struct ParseRunIdError {
    /// The text.
    pub text: String,
}

impl Scope {
    pub(crate) fn has(&self, tenant: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Tenant(seen) => **seen == *tenant,
        }
    }
}

impl RunId {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(uuid_at(now))
    }

    /// The first and the last id that could begin with that text; none if no id can.
    #[must_use]
    pub fn range_of(prefix: &str) -> Option<(Self, Self)> {
        let digits: String = prefix.chars().filter(|one| *one != '-').collect();
        let hexadecimal = digits.chars().all(|one| one.is_ascii_hexdigit());
        if !hexadecimal || digits.is_empty() || digits.len() > 32 {
            return None;
        }
        let end = |fill: char| {
            let padding = std::iter::repeat_n(fill, 32 - digits.len());
            digits.chars().chain(padding).collect::<String>().parse().ok()
        };
        end('0').zip(end('f'))
    }

    /// The beginning of the id by which it can be told from those others, of which the nearest on both sides suffice. It is
    /// long enough not to mean an id that is made in a later millisecond, too.
    pub(crate) fn short(&self, others: &[Self]) -> String {
        let mut text = self.to_string();
        let common = others.iter().map(|other| {
            let other = other.to_string();
            text.bytes().zip(other.bytes()).take_while(|(one, two)| one == two).count()
        });
        let length = common.max().map_or(0, |common| common + 1).max(SHORT_CHARS_MIN);
        text.truncate(length);
        text
    }

    /// No id that is made at that moment or later is smaller.
    pub(crate) fn floor(at: Timestamp) -> Self {
        let mut bytes = [0; 16];
        let millis = (at.unix_micros() / 1_000).to_be_bytes();
        bytes[..6].copy_from_slice(&millis[2..]);
        Self(Uuid::from_bytes(bytes))
    }

    /// The moment at which the id was made, to the millisecond.
    pub(crate) fn made_at(&self) -> Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.as_bytes()[..6]);
        Timestamp::from_unix_micros(u64::from_be_bytes(millis).saturating_mul(1_000))
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl WorkflowId {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(uuid_at(now))
    }

    /// The millisecond at which the id was made.
    pub(crate) fn made_at(&self) -> Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.as_bytes()[..6]);
        Timestamp::from_unix_micros(u64::from_be_bytes(millis).saturating_mul(1_000))
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl HostId {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(uuid_at(now))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// A number that is drawn evenly from all values.
pub(crate) fn chance(now: Timestamp) -> u16 {
    let bytes = uuid_at(now).into_bytes();
    u16::from_be_bytes([bytes[14], bytes[15]])
}

fn uuid_at(now: Timestamp) -> Uuid {
    let nanoseconds = u32::try_from(now.unix_micros() % 1_000_000).unwrap_or(0) * 1_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, now.unix_seconds(), nanoseconds))
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.as_hyphenated(), formatter)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RunId({self})")
    }
}

impl fmt::Debug for WorkflowId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WorkflowId({})", self.0.as_hyphenated())
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HostId({})", self.0.as_hyphenated())
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for RunId {
    type Err = ParseRunIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self).map_err(|_| ParseRunIdError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_survive_text() {
        let early = RunId::new(Timestamp::from_unix_micros(1_700_000_000_000_000));
        let late = RunId::new(Timestamp::from_unix_micros(1_700_000_000_001_000));
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(RunId::from_bytes(*late.as_bytes()), late);
        assert!("today".parse::<RunId>().is_err());
    }

    #[test]
    fn a_name_means_the_workflow_whose_full_name_ends_with_it() {
        let full = "public::shop::order";
        for (name, expected) in [
            ("order", true),
            ("shop::order", true),
            (full, true),
            ("rder", false),
            ("op::order", false),
            ("shop", false),
        ] {
            assert_eq!(is_name_of(name, full), expected, "{name}");
        }
        assert!(is_name_of("compiled_in", "compiled_in") && !is_name_of("order", "reorder"));
    }

    #[test]
    fn what_is_made_later_is_above_the_floor() {
        let at = Timestamp::from_unix_micros;
        let id = RunId::new(at(1_700_000_000_000_900));
        assert!(RunId::floor(at(1_700_000_000_000_900)) <= id && RunId::floor(at(1_700_000_000_000_000)) <= id);
        assert!(id < RunId::floor(at(1_700_000_000_001_000)));
        assert_eq!(id.made_at(), at(1_700_000_000_000_000));
    }

    #[test]
    fn a_prefix_is_a_range_of_ids() {
        let id: RunId = "0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e".parse().unwrap();
        for prefix in ["0", "0198A4C1-7", "0198a4c17c1e7d429b7e3f0c5a6b1d2e", "0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e"] {
            let (first, last) = RunId::range_of(prefix).unwrap();
            assert!(first <= id && id <= last, "{prefix}");
        }
        let (first, last) = RunId::range_of("0198a4c2").unwrap();
        assert!(id < first && first < last);
        for text in ["", "-", "run", "0198a4c17c1e7d429b7e3f0c5a6b1d2e0"] {
            assert_eq!(RunId::range_of(text), None, "{text}");
        }
    }
}
