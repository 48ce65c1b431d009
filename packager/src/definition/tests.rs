//! What a definition may say, and every mistake with its line.

use std::sync::Arc;

use cloacina_workflow::descriptor::Descriptor;
use serde_json::json;

use super::*;
use crate::digest::Digest;
use crate::error::Error;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The version of the package `shop` that is active: its task `pay` must not start twice, `pack` is tried again.
fn find(function: &FunctionName) -> Result<Found, String> {
    let label = function.package_label();
    if label != "shop" && label != DIGEST {
        return Err(format!("no package `{}` is registered in the tenant", function.package));
    }
    let described = json!({
        "format": 1, "abi": "1.2", "package": "shop", "version": "1.0.0",
        "workflows": [{ "name": "order", "tasks": [
            { "id": "pay", "index": 0, "at_most_once": true, "timeout_ms": 5_000 },
            { "id": "pack", "index": 1, "retry": { "attempts": 4 }, "dependencies": ["pay"] },
        ] }],
    });
    let descriptor = Arc::new(Descriptor::parse(&described.to_string()).unwrap());
    Ok(Found { digest: Digest::of(b""), descriptor })
}

fn pin(text: &str) -> Result<Pinned, Error> {
    Definition::pin(text.as_bytes(), find)
}

const NIGHTLY: &str = r#"
name = "nightly"
description = "Every night"

[[tasks]]
id = "wait"
uses = "sleep"
with = { ms = 250 }

[[tasks]]
id = "pay"
uses = "shop::order::pay"
dependencies = ["wait"]

[[tasks]]
id = "pack"
uses = "shop::order::pack"
dependencies = ["pay"]
timeout_ms = 900
"#;

#[test]
fn a_definition_is_pinned_to_what_its_functions_are_now() {
    let pinned = pin(NIGHTLY).unwrap();
    let workflow = &pinned.descriptor.workflows[0];
    let tasks: Vec<_> = workflow
        .tasks
        .iter()
        .map(|task| (task.id.as_str(), task.at_most_once, task.retry.attempts, task.timeout_ms))
        .collect();
    assert_eq!(tasks, [("wait", false, 0, None), ("pay", true, 0, Some(5_000)), ("pack", false, 4, Some(900))]);
    assert_eq!((pinned.descriptor.package.as_str(), pinned.has_version), ("nightly", false));
    let work = Definition::work(&pinned.bytes).unwrap();
    assert_eq!(work[0], TaskWork::BuiltIn(BuiltIn::Sleep { ms: 250 }));
    let TaskWork::Function(function, digest) = &work[1] else { panic!("{work:?}") };
    assert_eq!((function.to_string(), *digest), (format!("shop::order::pay@{DIGEST}"), Digest::of(b"")));
}

#[test]
fn the_canonical_form_is_the_same_for_toml_for_json_and_for_itself() {
    let pinned = pin(NIGHTLY).unwrap();
    let again = Definition::pin(&pinned.bytes, find).unwrap();
    assert_eq!((&again.bytes, again.content_digest), (&pinned.bytes, pinned.content_digest));
    let json = json!({
        "tasks": [
            { "uses": "sleep", "id": "wait", "with": { "ms": 250 } },
            { "id": "pay", "dependencies": ["wait"], "uses": format!("shop::order::pay@{DIGEST}") },
            { "id": "pack", "uses": "shop::order::pack", "timeout_ms": 900, "dependencies": ["pay"], "priority": 0 },
        ],
        "description": "Every night", "name": "nightly", "package": "nightly",
    });
    assert_eq!(pin(&json.to_string()).unwrap().content_digest, pinned.content_digest);
    let other = NIGHTLY.replace("250", "251");
    assert_ne!(pin(&other).unwrap().content_digest, pinned.content_digest);
}

#[test]
fn every_mistake_has_its_code_and_its_line() {
    let check = |text: &str, expected: &[(&str, Option<usize>, &str)]| {
        let Err(Error::Mistakes { mistakes }) = pin(text) else { panic!("{text} is refused") };
        let found: Vec<_> =
            mistakes.iter().map(|mistake| (mistake.code(), mistake.line, mistake.to_string())).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((code, line, message), (expected_code, expected_line, part)) in found.iter().zip(expected) {
            assert_eq!((code, line), (expected_code, expected_line), "{message}");
            assert!(message.contains(part), "{message} has {part}");
        }
    };
    let task = |attributes: &str| format!("name = \"w\"\n[[tasks]]\nid = \"a\"\nuses = \"noop\"\n{attributes}");
    check("name = ", &[("DSC0021", Some(1), "cannot be read")]);
    check("{\"name\": \"w\",\n\"task\": []}", &[("DSC0021", Some(2), "unknown field `task`")]);
    check("name = \"w\"\ntasks = []\nformat = 2", &[("DSC0021", None, "its format is 2")]);
    check(&task("retries = 3"), &[("DSC0021", Some(5), "unknown field `retries`")]);
    check(&task("retry = { attempts = 1001 }"), &[("DSC0007", Some(3), "retry.attempts")]);
    check(&task("timeout_ms = 0"), &[("DSC0007", Some(3), "timeout_ms")]);
    check(&task("dependencies = [\"b\"]"), &[("DSC0002", Some(3), "`b`")]);
    check(&task("dependencies = [\"a\"]"), &[("DSC0004", Some(3), "itself")]);
    check(&task("with = { ms = 1 }"), &[("DSC0023", Some(3), "unknown field `ms`")]);
    let rule = "trigger_rules = { context_value = { key = \"k\", op = \"equals\", value = inf } }";
    check(&task(rule), &[("DSC0021", None, "cannot keep")]);
    check("name = \"w\"\ntasks = []", &[("DSC0017", None, "no task")]);
    let several = r#"{"name": "w w", "version": "1", "tasks": [
{"id": "a", "uses": "slep", "dependencies": ["c"]},
{"id": "b", "uses": "shop::order::pai"},
{"id": "c", "uses": "shop::orders::pay", "dependencies": ["a"]},
{"id": "d", "uses": "none::order::pay"},
{"id": "e", "uses": "shop::pay"},
{"id": "f", "uses": "sleep"},
{"id": "f", "uses": "sleep", "with": {"ms": 99999999999}}]}"#;
    let refused = pin(several).unwrap_err();
    let Error::Mistakes { mistakes } = &refused else { panic!("{refused}") };
    let found: Vec<_> = mistakes.iter().map(|mistake| (mistake.line, mistake.code())).collect();
    let expected = [
        (None, "DSC0018"),
        (None, "DSC0006"),
        (None, "DSC0006"),
        (Some(2), "DSC0022"),
        (Some(3), "DSC0022"),
        (Some(4), "DSC0022"),
        (Some(5), "DSC0022"),
        (Some(6), "DSC0022"),
        (Some(7), "DSC0023"),
        (Some(7), "DSC0007"),
    ];
    for entry in expected {
        assert!(found.contains(&entry), "{entry:?} in {refused}");
    }
    for hint in ["did you mean `sleep`?", "did you mean `pay`?", "did you mean `order`?"] {
        assert!(refused.hints().iter().any(|known| known == hint), "{hint} in {:?}", refused.hints());
    }
}

#[test]
fn what_a_task_uses_is_a_function_with_three_names_or_a_built_in() {
    let function = |text: &str| match Uses::parse(text) {
        Some(Uses::Function(function)) => Some((function.package_label(), function.to_string())),
        _ => None,
    };
    assert_eq!(Uses::parse("sleep"), Some(Uses::BuiltIn("sleep".to_owned())));
    assert_eq!(function("a::b::c"), Some(("a".to_owned(), "a::b::c".to_owned())));
    assert_eq!(function("a::b::c@1.2.0"), Some(("a@1.2.0".to_owned(), "a::b::c@1.2.0".to_owned())));
    let pinned = format!("a::b::c@{DIGEST}");
    assert_eq!(function(&pinned), Some((DIGEST.to_owned(), pinned.clone())));
    for other in ["", "a::b", "a::b::c::d", "a::b::c@", "::b::c", "a::::c", "sleep@1"] {
        assert!(!matches!(Uses::parse(other), Some(Uses::Function(_))), "{other}");
    }
    assert_eq!(Uses::parse("sleep@1"), None);
}
