//! What each source file is like: how long, what it is called, what it begins with.
//!
//! Length counts lines outside of tests, and names are those of files and of inline modules.

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;
use super::source::Source;

/// Beyond this a file has more than one responsibility.
const LINES_MAX: usize = 800;

/// A map that is longer is not read.
const ARCHITECTURE_LINES_MAX: usize = 250;

/// A file's introduction; longer ones belong into `docs`. A crate's guide may be longer, for its example.
const INTRODUCTION_LINES_MAX: usize = 30;
const GUIDE_LINES_MAX: usize = 150;

/// From this length on, a file's introduction has at least three lines.
const SHORT_FILE_LINES_MAX: usize = 100;
const INTRODUCTION_LINES_MIN: usize = 3;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "types", "models", "manager", "misc"];

#[test]
fn files_are_short() {
    enforce("length", length(Repository::here()));
}

#[test]
fn files_begin_with_an_introduction() {
    enforce("introduction", introduction(Repository::here()));
}

#[test]
fn names_of_files_and_modules_say_what_is_inside() {
    enforce("file-name", names(Repository::here()));
}

fn length(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in repository.sources() {
        let lines = if source.path.starts_with("tests/") { source.lines.len() } else { source.product().count() };
        if lines > LINES_MAX {
            findings.push(Finding {
                rule: "S9",
                path: source.path.clone(),
                line: 0,
                found: format!("{lines} lines, of at most {LINES_MAX}"),
                remedy: "split it by noun: each file has one responsibility, which its first sentence states",
            });
        }
    }
    let map = repository.text("ARCHITECTURE.md").map_or(0, |text| text.lines().count());
    if map > ARCHITECTURE_LINES_MAX {
        findings.push(Finding {
            rule: "B5",
            path: "ARCHITECTURE.md".to_owned(),
            line: 0,
            found: format!("{map} lines, of at most {ARCHITECTURE_LINES_MAX}"),
            remedy: "move details to the `//!` of the file that they are about",
        });
    }
    findings
}

fn introduction(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in repository.sources() {
        let lines = source.lines.iter().take_while(|line| line.comment.starts_with("//!")).count();
        let guide = source.path.ends_with("/lib.rs") || source.path.ends_with("tidy/mod.rs");
        let most = if guide { GUIDE_LINES_MAX } else { INTRODUCTION_LINES_MAX };
        let least = if source.product().count() > SHORT_FILE_LINES_MAX { INTRODUCTION_LINES_MIN } else { 1 };
        if !(least..=most).contains(&lines) {
            findings.push(Finding {
                rule: "D1",
                path: source.path.clone(),
                line: 0,
                found: format!("{lines} lines of `//!` at the top, of {least} to {most}"),
                remedy: "begin with `//!`: what the file owns, its invariants, what it must never do",
            });
        }
    }
    findings
}

fn names(repository: &Repository) -> Vec<Finding> {
    let finding = |path: &str, line, found| Finding {
        rule: "N5",
        path: path.to_owned(),
        line,
        found,
        remedy: "put it next to its one user, or name what it is",
    };
    let mut findings = Vec::new();
    for source in repository.sources() {
        for part in source.path.trim_end_matches(".rs").split('/') {
            if EMPTY_NAMES.contains(&part) {
                findings.push(finding(&source.path, 0, format!("`{part}` in the path")));
            }
        }
        findings.extend(inline_modules(source).map(|(line, name)| finding(&source.path, line, format!("mod {name}"))));
    }
    findings
}

fn inline_modules(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source.numbered().filter_map(|(number, line)| {
        let (_, after) = line.code.split_once("mod ")?;
        let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        (after.contains('{') && EMPTY_NAMES.contains(&name)).then_some((number, name))
    })
}

#[test]
fn a_long_file_is_found() {
    for (path, lines, expected) in [
        ("sdk/src/a.rs", LINES_MAX, 0),
        ("sdk/src/a.rs", LINES_MAX + 1, 1),
        ("sdk/src/a/tests.rs", LINES_MAX + 1, 0),
        ("ARCHITECTURE.md", ARCHITECTURE_LINES_MAX + 1, 1),
    ] {
        let text = vec!["a"; lines].join("\n");
        assert_eq!(length(&Repository::of(&[(path, &text)])).len(), expected, "{path} {lines}");
    }
}

#[test]
fn a_missing_introduction_is_found() {
    let long = "fn a() {}\n".repeat(SHORT_FILE_LINES_MAX + 1);
    for (path, text, expected) in [
        ("sdk/src/a.rs", "//! Owns a.\nfn a() {}\n", 0),
        ("sdk/src/a.rs", "fn a() {}\n", 1),
        ("sdk/src/a.rs", "", 1),
        ("sdk/src/a.rs", "// Owns a.\nfn a() {}\n", 1),
        ("sdk/src/a.rs", &format!("//! Owns a.\n{long}"), 1),
        ("sdk/src/a.rs", &format!("//! Owns a.\n//!\n//! Not b.\n{long}"), 0),
        ("sdk/src/a.rs", &"//! Owns a.\n".repeat(INTRODUCTION_LINES_MAX + 1), 1),
        ("sdk/src/lib.rs", &"//! Owns a.\n".repeat(INTRODUCTION_LINES_MAX + 1), 0),
        ("macros/tests/ui/a.rs", "fn a() {}\n", 0),
    ] {
        assert_eq!(introduction(&Repository::of(&[(path, text)])).len(), expected, "{path}");
    }
}

#[test]
fn an_empty_name_is_found() {
    for (path, text, expected) in [
        ("sdk/src/util.rs", "", 1),
        ("sdk/src/common/a.rs", "", 1),
        ("sdk/src/a.rs", "mod helpers {\n}", 1),
        ("sdk/src/a.rs", "mod useful {\n}", 0),
        ("sdk/src/utility_bill.rs", "", 0),
    ] {
        assert_eq!(names(&Repository::of(&[(path, text)])).len(), expected, "{path} {text}");
    }
}
