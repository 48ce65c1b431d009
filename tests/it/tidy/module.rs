//! Arrows between the modules of the engine, what may stand in a module's front page, and that the parts of the driver own
//! their fields.
//!
//! A module is the part of a path after `crate::`; `super::` chains that leave a module count as well. The table holds
//! for tests too: a test that needs the neighbor belongs to the neighbor.

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;
use super::source::Source;
use super::source::has_word;

/// Each module of the engine, and what it may use of the others. `error` is the public error, which wraps the others.
const ARROWS: &[(&str, &[&str])] = &[
    ("id", &[]),
    ("clock", &[]),
    ("core", &["id"]),
    ("limit", &[]),
    ("retention", &["core", "id"]),
    ("store", &["core", "retention", "id"]),
    ("view", &["core", "store", "id"]),
    ("loader", &[]),
    ("api", &["core", "store", "runtime", "view", "id", "limit"]),
    ("trust", &["store", "view", "id", "limit"]),
    ("access", &["api", "core", "store", "view", "id", "limit", "clock"]),
    ("isolation", &["loader", "id", "clock"]),
    ("registry", &["api", "trust", "store", "loader", "isolation", "core", "id", "limit", "clock"]),
    ("runtime", &["core", "retention", "store", "loader", "isolation", "view", "id", "clock", "error"]),
    // They put the others together.
    ("engine", ANYTHING),
    ("socket", &["api", "trust", "engine", "store", "loader", "view", "core", "id"]),
    ("error", ANYTHING),
    ("lib", ANYTHING),
    ("testing", ANYTHING),
];

const ANYTHING: &[&str] = &["*"];

/// What a front page may not hold: everything but `mod`, `use` and attributes.
const LOGIC: &[&str] = &["fn", "impl", "struct", "enum", "trait", "const", "static", "type", "macro_rules"];

/// The parts of the driver, which own what they remember: no other file reads a field of theirs.
const PARTS: &[&str] = &[
    "ActiveRun",
    "Attempts",
    "Commits",
    "DormantRuns",
    "Driver",
    "Jobs",
    "LiveRuns",
    "Ownership",
    "Quarantines",
    "Stalls",
    "Timers",
    "Upkeep",
    "Watchdog",
];

#[test]
fn modules_of_the_engine_use_what_they_may() {
    enforce("module-arrow", arrows(Repository::here()));
}

#[test]
fn front_pages_hold_no_logic() {
    enforce("front-page", front_pages(Repository::here()));
}

#[test]
fn parts_of_the_driver_own_their_fields() {
    enforce("part", shared_fields(Repository::here()));
}

#[test]
fn every_part_of_the_driver_is_there() {
    let sources = Repository::here().sources().filter(|source| source.path.starts_with("engine/src/runtime/"));
    let declared: Vec<&str> = sources.flat_map(|source| &source.lines).filter_map(|line| part(&line.code)).collect();
    assert_eq!(declared.len(), PARTS.len(), "{declared:?}: take out of the table what is not there");
}

#[test]
fn the_engine_has_no_public_module() {
    enforce("public-module", public_modules(Repository::here()));
}

fn arrows(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in repository.sources() {
        let Some(inside) = source.path.strip_prefix("engine/src/") else { continue };
        let path: Vec<&str> = inside.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
        let top = path[0];
        let Some((_, allowed)) = ARROWS.iter().find(|(module, _)| *module == top) else {
            if path.len() == 1 {
                findings.push(Finding {
                    rule: "S1",
                    path: source.path.clone(),
                    line: 0,
                    found: format!("the module `{top}` has no row in the table of arrows"),
                    remedy: "move it into the module that it belongs to, or give it a row in tests/it/tidy/module.rs",
                });
            }
            continue;
        };
        for (line, used) in used(source, path.len()) {
            if used != top && *allowed != ANYTHING && is_module(&used) && !allowed.contains(&used.as_str()) {
                findings.push(Finding {
                    rule: "S1",
                    path: source.path.clone(),
                    line,
                    found: format!("`{top}` uses `{used}`"),
                    remedy: "turn the arrow around: pass in what is needed, or move it to where it may be known",
                });
            }
        }
    }
    findings
}

#[test]
fn every_arrow_of_the_table_is_used() {
    let used_by = |module: &str| -> Vec<String> {
        let sources = Repository::here().sources().filter_map(|source| {
            let inside = source.path.strip_prefix("engine/src/")?;
            let path: Vec<&str> = inside.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
            (path[0] == module).then(|| used(source, path.len()))
        });
        sources.flatten().map(|(_, used)| used).collect()
    };
    let idle = ARROWS.iter().filter(|(_, allowed)| *allowed != ANYTHING).flat_map(|(module, allowed)| {
        let used = used_by(module);
        let idle = allowed.iter().filter(move |arrow| !used.iter().any(|used| used == *arrow));
        idle.map(move |arrow| format!("{module} -> {arrow}"))
    });
    let idle: Vec<String> = idle.collect();
    assert!(idle.is_empty(), "nothing follows {idle:?}: take them out of the table, and out of ARCHITECTURE.md");
}

fn is_module(name: &str) -> bool {
    ARROWS.iter().any(|(module, _)| *module == name)
}

/// The names that follow `crate::`, or as many `super::` as lead to the root from a file `depth` modules deep.
fn used(source: &Source, depth: usize) -> Vec<(usize, String)> {
    let mut used = Vec::new();
    let code: String = source.lines.iter().flat_map(|line| [line.code.as_str(), "\n"]).collect();
    for start in ["crate::".to_owned(), "super::".repeat(depth)] {
        for (at, _) in code.match_indices(&start) {
            let before = code[..at].chars().next_back().unwrap_or(' ');
            if before.is_alphanumeric() || before == '_' || before == '$' || before == ':' {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            used.extend(first_names(&code[at + start.len()..]).into_iter().map(|name| (line, name)));
        }
    }
    used
}

/// The first name of a path, or the first names in the braces that stand there.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut names = vec![String::new()];
    let mut depth = 0;
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => names.last_mut().expect("invariant: never empty").push(character),
            _ => {}
        }
    }
    names.iter().map(|text| name(text)).collect()
}

fn front_pages(repository: &Repository) -> Vec<Finding> {
    let pages = repository.sources().filter(|source| source.path.ends_with("/mod.rs"));
    let mut findings = Vec::new();
    for source in pages {
        for (line, text) in source.numbered() {
            let item = text.code.split("pub(crate)").last().unwrap_or_default().trim_start_matches("pub").trim();
            let outermost = !text.code.starts_with([' ', '\t']);
            if outermost && LOGIC.iter().any(|keyword| item.starts_with(keyword) && has_word(item, keyword)) {
                findings.push(Finding {
                    rule: "S11",
                    path: source.path.clone(),
                    line,
                    found: text.code.clone(),
                    remedy: "move it to a file that is named after it; mod.rs holds documentation, `mod` and `use`",
                });
            }
        }
    }
    findings
}

/// The part of the driver that the line declares.
fn part(code: &str) -> Option<&'static str> {
    let declared = code.split("struct ").nth(1)?;
    let name: String = declared.chars().take_while(|c| c.is_alphanumeric()).collect();
    PARTS.iter().find(|part| **part == name).copied()
}

fn shared_fields(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in repository.sources().filter(|source| source.path.starts_with("engine/src/runtime/")) {
        let mut inside = None;
        for (line, text) in source.numbered() {
            if !text.code.starts_with(' ') {
                inside = part(&text.code);
            } else if let Some(part) = inside.filter(|_| text.code.trim().starts_with("pub")) {
                findings.push(Finding {
                    rule: "C1",
                    path: source.path.clone(),
                    line,
                    found: format!("{part}: {}", text.code.trim()),
                    remedy: "keep it private, and give the part a method that says what is wanted",
                });
            }
        }
    }
    findings
}

fn public_modules(repository: &Repository) -> Vec<Finding> {
    let roots = repository.sources().filter(|source| source.path == "engine/src/lib.rs");
    let modules = roots.flat_map(|source| source.numbered().map(move |(line, text)| (source, line, text)));
    let public = modules.filter(|(_, _, text)| text.code.starts_with("pub mod ") && !text.code.contains("mod testing"));
    public
        .map(|(source, line, text)| Finding {
            rule: "V1",
            path: source.path.clone(),
            line,
            found: text.code.clone(),
            remedy: "keep the module private and re-export what other crates use",
        })
        .collect()
}

#[test]
fn an_arrow_that_points_back_is_found() {
    for (path, text, expected) in [
        ("engine/src/core/run.rs", "use crate::store::Store;", &["`core` uses `store`"][..]),
        ("engine/src/core/run.rs", "use super::task::State;\nuse crate::id::RunId;", &[]),
        ("engine/src/core/run.rs", "fn a() {\n    super::super::runtime::go();\n}", &["`core` uses `runtime`"]),
        ("engine/src/store/mod.rs", "use crate::{core::{run, task}, runtime::X, id};", &["`store` uses `runtime`"]),
        ("engine/src/store/mod.rs", "use super::loader;", &["`store` uses `loader`"]),
        ("engine/src/loader/host.rs", "use crate::runtime::X;", &["`loader` uses `runtime`"]),
        ("engine/src/runtime/driver.rs", "use crate::store; use crate::Engine; // crate::lib", &[]),
        ("engine/src/engine.rs", "use crate::runtime;", &[]),
        ("engine/src/misc.rs", "use crate::runtime;", &["the module `misc` has no row"]),
        ("sdk/src/core/run.rs", "use crate::store::Store;", &[]),
    ] {
        let findings = arrows(&Repository::of(&[(path, text)]));
        assert_eq!(findings.len(), expected.len(), "{text}: {findings:?}");
        for (finding, expected) in findings.iter().zip(expected) {
            assert!(finding.found.contains(expected), "{finding}");
        }
    }
}

#[test]
fn logic_in_a_front_page_is_found() {
    for (text, expected) in [
        ("//! Docs.\n\nmod a;\npub(crate) mod b;\n\npub(crate) use b::C;\n#[cfg(test)]\nmod tests;\n", 0),
        ("mod a;\npub(crate) fn b() {}\n", 1),
        ("pub struct A;\nimpl A {}\npub const B: u8 = 1;\n", 3),
        ("use a::{\n    const_name,\n    functions,\n};\n", 0),
    ] {
        assert_eq!(front_pages(&Repository::of(&[("engine/src/a/mod.rs", text)])).len(), expected, "{text}");
        assert!(front_pages(&Repository::of(&[("engine/src/a.rs", text)])).is_empty());
    }
}

#[test]
fn a_field_that_others_read_is_found() {
    for (text, expected) in [
        ("pub(super) struct Timers {\n    pub(super) due: u8,\n    pub other: u8,\n}\n", 2),
        ("pub(super) struct Timers {\n    due: u8,\n}\n\nimpl Timers {\n    pub(super) fn set() {}\n}\n", 0),
        ("pub(super) struct TimersOfOthers {\n    pub(super) due: u8,\n}\n", 0),
    ] {
        assert_eq!(shared_fields(&Repository::of(&[("engine/src/runtime/a.rs", text)])).len(), expected, "{text}");
        assert!(shared_fields(&Repository::of(&[("engine/src/store/a.rs", text)])).is_empty());
    }
}

#[test]
fn a_public_module_of_the_engine_is_found() {
    for (text, expected) in [("mod a;\npub mod testing;\n", 0), ("pub mod core;\n", 1)] {
        assert_eq!(public_modules(&Repository::of(&[("engine/src/lib.rs", text)])).len(), expected, "{text}");
    }
}
