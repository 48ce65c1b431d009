//! The core stays pure: nothing in it waits, reads or writes, asks for the time, draws numbers or serializes.
//!
//! The rule holds for what ships; the core's tests may bring their own tools.

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;
use super::source::has_word;

const IMPURE: &[&str] = &[
    "async",
    "await",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::sync::mpsc",
    "SystemTime",
    "Instant",
    "tokio",
    "rand",
    "getrandom",
    "now_v7",
    "new_v4",
    "diesel",
    "libloading",
    "serde",
    "Serialize",
    "Deserialize",
    "debug!",
    "info!",
    "warn!",
    "error!",
];

#[test]
fn the_core_is_pure() {
    enforce("purity", check(Repository::here()));
}

fn check(repository: &Repository) -> Vec<Finding> {
    let core = repository.sources().filter(|source| source.path.starts_with("engine/src/core/"));
    let mut findings = Vec::new();
    for source in core {
        for (line, text) in source.product() {
            for word in IMPURE.iter().filter(|word| has_word(&text.code, word)) {
                findings.push(Finding {
                    rule: "S2",
                    path: source.path.clone(),
                    line,
                    found: format!("`{word}` in the core"),
                    remedy: "let the runtime or the store do it, and pass the result in with the event",
                });
            }
        }
    }
    findings
}

#[test]
fn an_impure_core_is_found() {
    for (path, text, expected) in [
        ("engine/src/core/run.rs", "async fn a() {}", 1),
        ("engine/src/core/run.rs", "let now = SystemTime::now();", 1),
        ("engine/src/core/run.rs", "use std::fs;\nuse serde::Serialize;", 3),
        ("engine/src/core/run.rs", "// async is for others, see tokio\nlet operand = \"async\";", 0),
        ("engine/src/core/run.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n", 0),
        ("engine/src/runtime/run.rs", "async fn a() {}", 0),
    ] {
        assert_eq!(check(&Repository::of(&[(path, text)])).len(), expected, "{text}");
    }
}
