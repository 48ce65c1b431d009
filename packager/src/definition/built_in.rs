//! The built-ins that a task of a definition can use, and their parameters.
//!
//! Reading is all: what a built-in does is the engine's. A parameter that a built-in does not have is refused, so that a
//! misspelled one cannot be lost.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::mistake::{MistakeKind, similar};

/// The names of all built-ins.
const NAMES: [&str; 2] = ["noop", "sleep"];

/// The longest sleep: a year.
const SLEEP_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1_000;

/// A task that the engine itself brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Does nothing.
    Noop,
    /// Waits.
    Sleep {
        /// For how many milliseconds.
        ms: u64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoopWith {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SleepWith {
    ms: u64,
}

impl BuiltIn {
    /// The built-in of that name with those parameters.
    pub(super) fn read(name: &str, with: &BTreeMap<String, Value>) -> Result<Self, MistakeKind> {
        match name {
            "noop" => parameters("noop", with).map(|NoopWith {}| Self::Noop),
            "sleep" => {
                let SleepWith { ms } = parameters("sleep", with)?;
                let (attribute, allowed) = ("with.ms", "0 to 31536000000");
                match ms <= SLEEP_MS_MAX {
                    true => Ok(Self::Sleep { ms }),
                    false => Err(MistakeKind::OutOfRange { attribute, found: ms.to_string(), allowed }),
                }
            }
            _ => {
                let reason = format!("the built-ins are {}", NAMES.join(", "));
                let similar = similar(name, NAMES.into_iter());
                Err(MistakeKind::UnknownFunction { uses: name.to_owned(), reason, similar })
            }
        }
    }
}

fn parameters<T: DeserializeOwned>(built_in: &'static str, with: &BTreeMap<String, Value>) -> Result<T, MistakeKind> {
    let values = Value::Object(with.clone().into_iter().collect());
    serde_json::from_value(values)
        .map_err(|error| MistakeKind::BadParameters { uses: built_in.to_owned(), reason: error.to_string() })
}
