//! The JSON in which a context crosses the C ABI: the view that a task gets, and the delta that it returns.
//!
//! ```json
//! {"values":{"k":1},"producer":{"k":"collect"},"from":{"other":{"k":0}},"outcome":null}
//! {"set":{"k":2},"unset":["old"]}
//! ```
//! Values stay raw text per key, so that only the values that a task reads are decoded. `producer` names the task that wrote
//! a value (absent for the run's input), `from` holds only values that a later writer hid. Only callbacks have an
//! `outcome`. A package that can fetch values gets `"partial":true` in place of some of them, and
//! `"hidden":true` in place of `from`.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use crate::exact::{Inexact, check_exact};
use crate::{ContextError, task::OutcomeRecord};

/// How deep a value may nest. serde_json refuses to decode deeper than 128 levels, one of which is the object of
/// values itself. Every value is checked when it enters the engine, so that every value of a context can be decoded.
pub const DEPTH_MAX: usize = 120;

/// The beginning of the keys that mark a value as secret: `cloacina.secret.token` with `true` marks `token`.
pub const SECRET_MARK: &str = "cloacina.secret.";

/// The values that a task sees, as they cross the ABI.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct View {
    /// The visible values.
    #[serde(default)]
    pub values: BTreeMap<Arc<str>, Arc<RawValue>>,
    /// The task that wrote each value; a key of the run's input is absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub producer: BTreeMap<Arc<str>, Arc<str>>,
    /// The values of upstream tasks that a later writer hid: by task, then by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub from: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<RawValue>>>,
    /// Whether more values are visible than are included; the package fetches them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Whether later writers hid values that are not in `from`; the package fetches them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// For a callback: how its task ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeRecord>,
}

impl View {
    /// Refuses values that nest deeper than [`DEPTH_MAX`], so that reading one cannot fail later.
    ///
    /// # Errors
    /// [`ContextError::TooDeep`] names the first such key.
    pub fn check_depth(&self) -> Result<(), ContextError> {
        check_depths(&self.values)?;
        self.from.values().try_for_each(check_depths)
    }
}

/// The changes of a task.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delta {
    /// Keys written, with their values.
    #[serde(default)]
    pub set: BTreeMap<Arc<str>, Arc<RawValue>>,
    /// Keys removed.
    #[serde(default)]
    pub unset: Vec<Arc<str>>,
}

impl Delta {
    /// Whether the task changed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }

    /// Refuses values that nest deeper than [`DEPTH_MAX`].
    ///
    /// # Errors
    /// [`ContextError::TooDeep`] names the first such key.
    pub fn check_depth(&self) -> Result<(), ContextError> {
        check_depths(&self.set)
    }
}

/// Refuses values that nest deeper than [`DEPTH_MAX`].
///
/// # Errors
/// [`ContextError::TooDeep`] names the first such key.
pub fn check_depths(values: &BTreeMap<Arc<str>, Arc<RawValue>>) -> Result<(), ContextError> {
    match values.iter().find(|(_, value)| is_too_deep(value.get())) {
        Some((key, _)) => Err(ContextError::TooDeep { key: key.to_string() }),
        None => Ok(()),
    }
}

/// Most values have fewer brackets than the depth limit, and counting brackets is many times faster than following them.
fn is_too_deep(json: &str) -> bool {
    let n_brackets = json.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    n_brackets > DEPTH_MAX && depth(json) > DEPTH_MAX
}

/// How deep arrays and objects nest in a text that is known to be valid JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let cases = [("1", 0), ("[]", 1), (r#"{"a":[1,{"b":"[[[\"{{"}]}"#, 3), (r#""[[""#, 0), (r#"["\\",[]]"#, 2)];
        for (json, expected) in cases {
            assert_eq!(depth(json), expected, "{json}");
        }
    }

    #[test]
    fn many_brackets_side_by_side_are_not_deep() {
        let wide = format!("[{}]", vec!["[]"; 2 * DEPTH_MAX].join(","));
        assert!(!is_too_deep(&wide));
        assert!(!is_too_deep(&format!("{:?}", "[".repeat(2 * DEPTH_MAX))));
        assert!(is_too_deep(&"[".repeat(DEPTH_MAX + 1)));
    }

    #[test]
    fn the_deepest_allowed_value_can_be_decoded_inside_a_view() {
        let value = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        let view: View = serde_json::from_str(&format!("{{\"values\":{{\"k\":{value}}}}}")).unwrap();
        check_depths(&view.values).unwrap();
        serde_json::from_str::<serde_json::Value>(view.values["k"].get()).unwrap();
        let deeper: View = serde_json::from_str(&format!("{{\"values\":{{\"k\":[{value}]}}}}")).unwrap();
        assert_eq!(check_depths(&deeper.values), Err(ContextError::TooDeep { key: "k".to_owned() }));
    }
}
