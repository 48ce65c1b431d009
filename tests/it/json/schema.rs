//! Documents against their schemas, as far as the schemas go: types, fields that are there, fields that are not known.

use serde_json::Value;

/// What in a document its schema does not allow, with its place.
pub(super) fn faults(document: &Value, schema: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    compare(document, schema, schema, "document", &mut faults);
    faults
}

fn compare(found: &Value, schema: &Value, root: &Value, place: &str, faults: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        return compare(found, &root["$defs"][name], root, place, faults);
    }
    let is_as_said = match schema["type"].as_str() {
        // The user's own.
        None => return,
        Some("string") => found.is_string(),
        Some("boolean") => found.is_boolean(),
        Some("integer") => found.is_u64() || found.is_i64(),
        Some("number") => found.is_number(),
        Some("array") => found.is_array(),
        Some("object") => found.is_object(),
        Some(other) => panic!("{place}: a schema may not say {other}"),
    };
    if !is_as_said {
        faults.push(format!("{place}: {found} is no {}", schema["type"]));
        return;
    }
    if let Some(names) = schema["enum"].as_array()
        && !names.contains(found)
    {
        faults.push(format!("{place}: {found} is none of {names:?}"));
    }
    if schema["format"] == "date-time" && !found.as_str().is_some_and(is_moment) {
        faults.push(format!("{place}: {found} is not a timestamp"));
    }
    for (item, number) in found.as_array().into_iter().flatten().zip(0..) {
        compare(item, &schema["items"], root, &format!("{place}[{number}]"), faults);
    }
    let Some(fields) = found.as_object() else { return };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            faults.push(format!("{place}: `{required}` is absent"));
        }
    }
    for (name, value) in fields {
        let place = format!("{place}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(field), _) => compare(value, field, root, &place, faults),
            (None, Value::Bool(false)) => faults.push(format!("{place}: no such field")),
            (None, values) => compare(value, values, root, &place, faults),
        }
    }
}

/// Whether a text is a moment in UTC, to the microsecond.
pub(super) fn is_moment(text: &str) -> bool {
    const FORM: &str = "0000-00-00T00:00:00.000000Z";
    let fits = |(letter, form): (char, char)| if form == '0' { letter.is_ascii_digit() } else { letter == form };
    text.len() == FORM.len() && text.chars().zip(FORM.chars()).all(fits)
}

#[test]
fn what_a_schema_does_not_allow_is_found() {
    let schema = serde_json::json!({
        "type": "object", "required": ["at"], "additionalProperties": false,
        "properties": {"at": {"type": "string", "format": "date-time"}, "state": {"$ref": "#/$defs/State"}, "own": {}},
        "$defs": {"State": {"type": "string", "enum": ["running"]}},
    });
    let at = "2026-01-31T10:00:00.000000Z";
    for (document, fault) in [
        (serde_json::json!({"at": at, "state": "running", "own": {"any": null}}), None),
        (serde_json::json!({}), Some("document: `at` is absent")),
        (serde_json::json!({"at": "yesterday"}), Some("document.at: \"yesterday\" is not a timestamp")),
        (serde_json::json!({"at": at, "state": null}), Some("document.state: null is no \"string\"")),
        (serde_json::json!({"at": at, "state": "gone"}), Some("document.state: \"gone\" is none of")),
        (serde_json::json!({"at": at, "more": 1}), Some("document.more: no such field")),
    ] {
        let faults = faults(&document, &schema);
        assert_eq!(faults.len(), usize::from(fault.is_some()), "{faults:?}");
        assert!(faults.iter().zip(fault).all(|(found, fault)| found.starts_with(fault)), "{faults:?}");
    }
}
