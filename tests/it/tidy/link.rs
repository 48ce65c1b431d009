//! Links between the documents lead somewhere: to a file or folder of the repository, and to a heading in it. What the
//! documents at the root name, paths and codes of errors, is there.
//!
//! Links to other sites are not followed, as tests use no network. Code blocks hold no links.

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;
use super::repository::is_fixture;

#[test]
fn links_lead_somewhere() {
    enforce("link", check(Repository::here()));
}

fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.ending(".md").filter(|(path, _)| !is_fixture(path)) {
        for (line, target) in links(text) {
            if !resolves(repository, path, &target) {
                findings.push(Finding {
                    rule: "B6",
                    path: path.to_owned(),
                    line,
                    found: format!("`{target}` leads nowhere"),
                    remedy: "correct the link; paths are from the document's own folder",
                });
            }
        }
    }
    findings
}

#[test]
fn documents_at_the_root_name_what_is_there() {
    enforce("named", named(Repository::here()));
}

/// Where the code map finds the names of its modules.
const MODULES: &str = "engine/src/";

fn named(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.ending(".md").filter(|(path, _)| !path.contains('/')) {
        for (line, text) in prose(text) {
            let spans = text.split('`').skip(1).step_by(2);
            let missing = spans.filter(|span| match code_of(span) {
                Some(code) => !repository.has(&format!("docs/errors/{code}.md")),
                None => {
                    let is_there = |path: &str| repository.has(path.trim_start_matches("./").trim_end_matches('/'));
                    is_path(span) && !is_there(span) && !is_there(&format!("{MODULES}{span}"))
                }
            });
            findings.extend(missing.map(|missing| Finding {
                rule: "B6",
                path: path.to_owned(),
                line,
                found: format!("`{missing}` is not there"),
                remedy: "name what the repository has; a path is from the root, or from engine/src in the code map",
            }));
        }
    }
    findings
}

/// The text, if it is a code of an error.
fn code_of(span: &str) -> Option<&str> {
    let (letters, digits) = span.split_at_checked(3)?;
    let is_code = letters.chars().all(|c| c.is_ascii_uppercase())
        && digits.len() == 4
        && digits.chars().all(|c| c.is_ascii_digit());
    is_code.then_some(span)
}

fn is_path(span: &str) -> bool {
    span.contains('/')
        && !span.starts_with('/')
        && span.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
        && span != "./test"
}

/// The prose of a document: its lines outside code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

/// What `[text](target)` and `[name]: target` point at.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        let line: String =
            line.split('`').enumerate().map(|(index, part)| if index % 2 == 0 { part } else { "" }).collect();
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            links.push((number, target.to_owned()));
        }
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            links.push((number, target.trim().to_owned()));
        }
    }
    links
}

fn resolves(repository: &Repository, from: &str, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { from.to_owned() } else { join(from, file) };
    let heading = || repository.text(&path).is_some_and(|text| anchors(text).iter().any(|found| found == anchor));
    repository.has(&path) && (anchor.is_empty() || heading())
}

/// The path of `target` as seen from the folder of the document `from`.
fn join(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchors that a renderer gives to headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    headings
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn a_broken_link_is_found() {
    for (text, expected) in [
        ("[a](b.md), [c](../README.md) and [d](https://example.org/x)", 0),
        ("[a](b.md#part-one-of-it) and [own](#here)\n\n# Here\n", 0),
        ("[a](missing.md)", 1),
        ("[a](b.md#part-two)", 1),
        ("[a](../docs)", 0),
        ("[a]: missing.md", 1),
        ("`[a](missing.md)`\n```text\n[a](missing.md)\n```\n", 0),
    ] {
        let files = [("README.md", ""), ("docs/a.md", text), ("docs/b.md", "## Part One, of `it`\n")];
        assert_eq!(check(&Repository::of(&files)).len(), expected, "{text}");
    }
}

#[test]
fn a_name_of_what_is_not_there_is_found() {
    for (text, expected) in [
        ("`docs/a.md`, `docs/`, `core/` and `./docs`", 0),
        ("`docs/b.md`", 1),
        ("`decide/`", 1),
        ("`ABC0001` and `and/or this`", 0),
        ("`ABC0002`", 1),
        ("```text\n`docs/b.md`\n```", 0),
    ] {
        let files =
            [("README.md", text), ("docs/a.md", ""), ("docs/errors/ABC0001.md", ""), ("engine/src/core/a.rs", "")];
        assert_eq!(named(&Repository::of(&files)).len(), expected, "{text}");
    }
    let elsewhere = [("docs/a.md", "`docs/b.md`")];
    assert_eq!(named(&Repository::of(&elsewhere)).len(), 0);
}
