//! The reference page of the HTTP interface, written from the description and the table of roles: a table for each route.
//!
//! `docs/reference/http.md` has it for people who read; `/swagger-ui` shows the same and tries it out.

use std::{fs, path::Path};

use serde_json::{Map, Value};

use crate::auth::Permissions;

const HEAD: &str = "\
# Routes of the HTTP interface

Every request that a server answers, with the role that it needs, its parameters, its body and its answers. This page is written by a
test from the description, [`openapi.json`](openapi.json), which has every field of every body; a running server shows the same at
`/swagger-ui`. [The guide](../guide/http.md) shows the way, and [`roles.md`](roles.md) all routes with all roles at a glance.

A refusal is a problem document (`application/problem+json`) with a code of [the errors](../errors). Every route may refuse a
request, with one of the statuses 400 to 503; they are not repeated below.
";

#[test]
#[expect(clippy::disallowed_methods, reason = "a test that rewrites its expectation is asked to by a variable")]
fn the_reference_of_routes_is_the_one_of_the_description() {
    let described = serde_json::to_value(super::openapi()).unwrap();
    let permissions = Permissions::of(&super::openapi());
    let mut page = HEAD.to_owned();
    for tag in described["tags"].as_array().unwrap() {
        page.push_str(&format!("\n## {}\n{}\n", text(&tag["name"]), text(&tag["description"])));
        for (path, item) in object(&described["paths"]) {
            for (method, operation) in object(item).iter().filter(|(_, one)| one["tags"][0] == tag["name"]) {
                let method = method.to_uppercase();
                let need = permissions.need(path, &method.parse().unwrap()).unwrap().in_words();
                page.push_str(&route(path, &method, need, operation));
            }
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/http.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let known = fs::read_to_string(&file).unwrap_or_default();
    assert!(page == known, "UPDATE_EXPECT=1 cargo test --workspace --lib -- the_reference_of_routes");
}

/// A route with its table.
fn route(path: &str, method: &str, need: &str, operation: &Value) -> String {
    let mut section = format!("\n### `{method} {path}`\n{}\n", text(&operation["summary"]));
    if let Some(more) = operation["description"].as_str() {
        section.push_str(&format!("\n{more}\n"));
    }
    section.push_str(&format!("\n| | |\n|---|---|\n| needs | {need} |\n"));
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let place = text(&parameter["in"]);
        let must = if parameter["required"] == true && place != "path" { ", required" } else { "" };
        let (name, told) = (text(&parameter["name"]), cell(&parameter["description"]));
        section.push_str(&format!("| {place} `{name}` | {}{must}: {told} |\n", schema(&parameter["schema"])));
    }
    let body = &operation["requestBody"];
    for (kind, content) in body["content"].as_object().into_iter().flatten() {
        let must = if body["required"] == true { "" } else { ", may be left out" };
        section.push_str(&format!("| body | `{kind}`: {}{must} |\n", schema(&content["schema"])));
    }
    for (status, answer) in object(&operation["responses"]).iter().filter(|(status, _)| is_success(status)) {
        let mut content = answer["content"].as_object().into_iter().flatten();
        let shape = content.next().map_or_else(
            || "no body".to_owned(),
            |(kind, content)| match kind.as_str() {
                "application/json" => schema(&content["schema"]),
                other => format!("`{other}`"),
            },
        );
        let told = cell(&answer["description"]);
        section.push_str(&format!("| {status} | {shape}: {told} |\n"));
        for (name, header) in answer["headers"].as_object().into_iter().flatten() {
            section.push_str(&format!("| {status} header `{name}` | {} |\n", cell(&header["description"])));
        }
    }
    section
}

/// A shape in a few words: the name of a schema, or its type.
fn schema(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return format!("`{}`", reference.rsplit('/').next().unwrap());
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{}`", text(word))).collect::<Vec<_>>().join(", ");
    }
    if let Some(some) = schema["oneOf"].as_array() {
        let some = some.iter().filter(|one| one["type"] != "null").map(self::schema);
        return some.collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", self::schema(&schema["items"])),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter(|kind| *kind != "null").map(text).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

fn is_success(status: &str) -> bool {
    status.starts_with('2')
}

/// A text in a cell of a table.
fn cell(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}
