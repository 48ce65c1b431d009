//! The schema of a document: JSON Schema 2020-12, from what utoipa makes of its type.
//!
//! By the rules of all documents nothing is null and no field is unknown, so a schema says neither `null` nor that there
//! may be more fields. Parts without a name of their own stand where they are used.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::document::Document;

const REFERENCE: &str = "#/components/schemas/";

/// The schema of a document.
pub(super) fn of<D: Document>() -> Value {
    let mut parts = Vec::new();
    D::schemas(&mut parts);
    let mut named = BTreeMap::new();
    for (name, schema) in parts {
        let schema = serde_json::to_value(schema).unwrap();
        let before = named.insert(name.clone(), schema.clone());
        assert!(before.is_none_or(|before| before == schema), "two parts of one document are called {name}");
    }
    let mut root = serde_json::to_value(D::schema()).unwrap();
    simplify(&mut root, &named);
    let mut used = BTreeMap::new();
    collect(&root, &named, &mut used);
    let root = root.as_object_mut().unwrap();
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    if !used.is_empty() {
        root.insert("$defs".to_owned(), json!(used));
    }
    let mut root = Value::Object(root.clone());
    rename(&mut root);
    root
}

/// Brings a schema into the form that all have.
fn simplify(schema: &mut Value, named: &BTreeMap<String, Value>) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(|schema| simplify(schema, named)),
        Value::Object(object) => {
            if let Some(Value::Array(either)) = object.remove("oneOf") {
                let either: Vec<Value> = either.into_iter().filter(|schema| schema["type"] != "null").collect();
                match either.as_slice() {
                    [only] => object.extend(only.as_object().unwrap().clone()),
                    variants => merge_variants(object, variants),
                }
            }
            if let Some(Value::Array(parts)) = object.remove("allOf") {
                parts.into_iter().for_each(|part| merge(object, part, named));
            }
            if let Some(Value::Array(types)) = object.get("type") {
                let found = types.iter().find(|name| **name != "null").unwrap().clone();
                object.insert("type".to_owned(), found);
            }
            object.remove("propertyNames");
            if object.get("format").is_some_and(|format| format != "date-time") {
                object.remove("format");
            }
            // What has no meaning of its own is not worth a name.
            if let Some(target) = target(object, named).filter(|target| target.get("description").is_none()) {
                object.remove("$ref");
                for (key, value) in target.as_object().unwrap().clone() {
                    object.entry(key).or_insert(value);
                }
            }
            if object.contains_key("properties") {
                object.insert("additionalProperties".to_owned(), json!(false));
            }
            for (keyword, part) in object {
                match part {
                    // The names of fields are not keywords.
                    Value::Object(fields) if keyword == "properties" => {
                        fields.values_mut().for_each(|field| simplify(field, named));
                    }
                    part => simplify(part, named),
                }
            }
        }
        _ => {}
    }
}

/// Makes one object of the variants of a tagged enum: each has the tag, and the fields that all have are required. What a
/// field means is told for each variant that has it.
fn merge_variants(object: &mut Map<String, Value>, variants: &[Value]) {
    let (mut fields, mut required): (Map<String, Value>, Option<Vec<Value>>) = (Map::new(), None);
    let mut meanings: BTreeMap<String, Vec<(String, Vec<String>)>> = BTreeMap::new();
    let (mut tag, mut tags) = (String::new(), Vec::new());
    for variant in variants {
        let named = variant["required"].as_array().cloned().unwrap_or_default();
        required = Some(match required {
            Some(before) => before.into_iter().filter(|name| named.contains(name)).collect(),
            None => named,
        });
        let own = variant["properties"].as_object().unwrap_or_else(|| panic!("a field has one form: {variant}"));
        let (tagged, name) = own.iter().find_map(|(name, field)| Some((name, field["enum"][0].as_str()?))).unwrap();
        tag.clone_from(tagged);
        tags.push(json!(name));
        for (field, schema) in own.iter().filter(|(field, _)| *field != tagged) {
            let about = schema["description"].as_str().unwrap_or_default();
            let known = meanings.entry(field.clone()).or_default();
            match known.iter_mut().find(|(said, _)| said == about) {
                Some((_, of)) => of.push(format!("`{name}`")),
                None => known.push((about.to_owned(), vec![format!("`{name}`")])),
            }
            fields.entry(field.clone()).or_insert_with(|| schema.clone());
        }
    }
    for (field, meanings) in meanings {
        let told = meanings.iter().map(|(about, of)| format!("With {}: {about}", of.join(", ")));
        fields[&field]["description"] = json!(told.collect::<Vec<_>>().join(" "));
    }
    let about = object.get("description").cloned().unwrap_or_default();
    fields.insert(tag, json!({"type": "string", "enum": tags, "description": about}));
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), Value::Object(fields));
    object.insert("required".to_owned(), json!(required));
}

/// Puts the fields of a flattened part among those of the whole.
fn merge(object: &mut Map<String, Value>, mut part: Value, named: &BTreeMap<String, Value>) {
    if let Some(target) = part.as_object().and_then(|part| target(part, named)) {
        part = target.clone();
    }
    if let Value::Array(either) = &part["oneOf"] {
        let is_optional = either.iter().any(|schema| schema["type"] == "null");
        simplify(&mut part, named);
        if let Some(target) = part.as_object().and_then(|part| target(part, named)) {
            part = target.clone();
            simplify(&mut part, named);
        }
        if let (true, Value::Object(part)) = (is_optional, &mut part) {
            part.remove("required");
        }
    }
    let Value::Object(part) = part else { panic!("a part is an object: {part}") };
    if let Some(Value::Array(parts)) = part.get("allOf") {
        parts.iter().for_each(|part| merge(object, part.clone(), named));
    }
    object.insert("type".to_owned(), json!("object"));
    if let Some(Value::Object(properties)) = part.get("properties") {
        let all = object.entry("properties").or_insert_with(|| json!({}));
        all.as_object_mut().unwrap().extend(properties.clone());
    }
    if let Some(Value::Array(required)) = part.get("required") {
        let all = object.entry("required").or_insert_with(|| json!([]));
        all.as_array_mut().unwrap().extend(required.clone());
    }
}

fn target<'a>(object: &Map<String, Value>, named: &'a BTreeMap<String, Value>) -> Option<&'a Value> {
    let name = object.get("$ref")?.as_str()?.strip_prefix(REFERENCE)?;
    Some(named.get(name).unwrap_or_else(|| panic!("there is no {name}")))
}

/// The named parts that are used, each in its final form.
fn collect(schema: &Value, named: &BTreeMap<String, Value>, used: &mut BTreeMap<String, Value>) {
    match schema {
        Value::Array(schemas) => schemas.iter().for_each(|schema| collect(schema, named, used)),
        Value::Object(object) => {
            if let Some(name) = object.get("$ref").and_then(Value::as_str) {
                let name = name.strip_prefix(REFERENCE).unwrap();
                if !used.contains_key(name) {
                    let mut part = named[name].clone();
                    simplify(&mut part, named);
                    used.insert(name.to_owned(), part.clone());
                    collect(&part, named, used);
                }
            }
            object.values().for_each(|schema| collect(schema, named, used));
        }
        _ => {}
    }
}

fn rename(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(rename),
        Value::Object(object) => {
            if let Some(Value::String(name)) = object.get_mut("$ref") {
                *name = name.replace(REFERENCE, "#/$defs/");
            }
            object.values_mut().for_each(rename);
        }
        _ => {}
    }
}
