//! Every code that a user can see has a page, and every page a code.
//!
//! A code is a string literal of a known prefix and four digits in what ships of a crate. A page is
//! `docs/errors/<CODE>.md`, titled with the code, with the three sections that a reader in trouble needs.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;

const PREFIXES: &[&str] =
    &["DSC", "PKG", "BLD", "LIB", "ISO", "REG", "RUN", "STO", "SOC", "CTL", "SIG", "WRN", "SRV", "ACC", "CLN"];

const SECTIONS: &[&str] = &["## Cause", "## What to check", "## What to do"];

/// Pages that are about no code.
const OVERVIEWS: &[&str] = &["docs/errors/README.md", "docs/errors/index.md"];

#[test]
fn codes_and_pages_belong_together() {
    enforce("error-code", check(Repository::here()));
}

fn check(repository: &Repository) -> Vec<Finding> {
    let codes = codes(repository);
    let mut findings = Vec::new();
    for (code, (path, line)) in &codes {
        if repository.text(&page(code)).is_none() {
            findings.push(Finding {
                rule: "E5",
                path: path.clone(),
                line: *line,
                found: format!("`{code}` has no page {}", page(code)),
                remedy: "write the page: cause, what to check, what to do",
            });
        }
    }
    for (path, text) in repository.files().filter(|(path, _)| path.starts_with("docs/errors/")) {
        if OVERVIEWS.contains(&path) {
            continue;
        }
        let code = path.trim_start_matches("docs/errors/").trim_end_matches(".md");
        let mut complain = |line, found: String, remedy| {
            findings.push(Finding { rule: "E5", path: path.to_owned(), line, found, remedy });
        };
        if !codes.contains_key(code) {
            complain(
                0,
                format!("nothing has the code `{code}`"),
                "remove the page with the error; a code is never used again",
            );
        }
        let title = format!("# {code}: ");
        if !text.lines().next().is_some_and(|line| line.starts_with(&title) && line.len() > title.len()) {
            complain(1, format!("the first line is not `{title}<message>`"), "begin with the code and the message");
        }
        for section in SECTIONS.iter().filter(|section| !text.lines().any(|line| line == **section)) {
            complain(0, format!("no section `{section}`"), "write it; a reader in trouble looks for these three");
        }
    }
    findings
}

fn page(code: &str) -> String {
    format!("docs/errors/{code}.md")
}

/// Every code and the first place that names it.
fn codes(repository: &Repository) -> BTreeMap<String, (String, usize)> {
    let mut codes = BTreeMap::new();
    let crates = ["sdk/src/", "macros/src/", "packager/src/", "engine/src/", "server/src/", "client/src/", "ctl/src/"];
    for source in repository.sources().filter(|source| crates.iter().any(|folder| source.path.starts_with(folder))) {
        for (line, text) in source.product() {
            for literal in text.literals.iter().filter(|literal| is_code(literal)) {
                codes.entry(literal.clone()).or_insert((source.path.clone(), line));
            }
        }
    }
    codes
}

fn is_code(literal: &str) -> bool {
    literal.len() == 7
        && PREFIXES.iter().any(|p| literal.starts_with(p))
        && literal[3..].bytes().all(|b| b.is_ascii_digit())
}

#[test]
fn a_code_without_a_page_and_a_page_without_a_code_are_found() {
    const PAGE: &str = "# PKG0001: it is broken\n\n## Cause\n\n## What to check\n\n## What to do\n";
    const CODE: (&str, &str) = ("packager/src/error.rs", "Self::Broken => \"PKG0001\",");
    for (files, expected) in [
        (&[CODE, ("docs/errors/PKG0001.md", PAGE)][..], &[][..]),
        (&[CODE], &["has no page"]),
        (&[("docs/errors/PKG0001.md", PAGE)], &["nothing has the code"]),
        (&[CODE, ("docs/errors/PKG0001.md", "# Broken\n")], &["first line", "Cause", "to check", "to do"]),
        (&[("packager/src/error.rs", "#[cfg(test)]\nmod tests {\n    const A: &str = \"PKG0001\";\n}")], &[]),
        (&[("packager/src/error.rs", "// \"PKG0001\"\nlet a = \"PKG00011\";")], &[]),
    ] {
        let findings = check(&Repository::of(files));
        assert_eq!(findings.len(), expected.len(), "{findings:?}");
        for (finding, expected) in findings.iter().zip(expected) {
            assert!(finding.found.contains(expected), "{finding}");
        }
    }
}
