//! What a check found, and how it is told.
//!
//! A finding names a place, the rule of `docs/style.md` that it breaks, and what to do. All findings of a check are
//! told at once, after the allow-list has had its say; a line of the allow-list that permits nothing is itself a
//! finding.

use std::fmt;

use super::allowed::ALLOWED;
use super::allowed::Allowance;

#[derive(Debug)]
pub(super) struct Finding {
    pub(super) rule: &'static str,
    pub(super) path: String,
    /// From 1; 0 for the whole file.
    pub(super) line: usize,
    /// What is there.
    pub(super) found: String,
    pub(super) remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, path, line, found, remedy } = self;
        let line = line.max(&1);
        write!(f, "{path}:{line}: {rule}: {}\n    remedy: {remedy}", found.trim())
    }
}

/// Fails with all findings of the check called `check`, but for those that the allow-list permits.
pub(super) fn enforce(check: &str, findings: Vec<Finding>) {
    let told = filter(check, findings, ALLOWED);
    assert!(
        told.is_empty(),
        "{} findings of the check `{check}`; docs/style.md has the rules, and exceptions go to tests/it/tidy/allowed.rs:\n\n{}\n",
        told.len(),
        told.join("\n")
    );
}

fn filter(check: &str, findings: Vec<Finding>, allowed: &[Allowance]) -> Vec<String> {
    let allowed: Vec<&Allowance> = allowed.iter().filter(|allowance| allowance.check == check).collect();
    let mut used = vec![false; allowed.len()];
    let mut told = Vec::new();
    for finding in findings {
        let mut permitted = false;
        for (allowance, used) in allowed.iter().zip(&mut used) {
            let permits = allowance.permits(&finding.path, &finding.found);
            *used |= permits;
            permitted |= permits;
        }
        if !permitted {
            told.push(finding.to_string());
        }
    }
    let unused = allowed.iter().zip(used).filter(|(_, used)| !used);
    told.extend(unused.map(|(allowance, _)| {
        format!(
            "tests/it/tidy/allowed.rs: B7: the line for `{}` in `{}` permits nothing\n    remedy: remove the line",
            allowance.text, allowance.path
        )
    }));
    told
}

fn found(path: &str, found: &str) -> Finding {
    Finding { rule: "N2", path: path.to_owned(), line: 3, found: found.to_owned(), remedy: "rename it" }
}

#[test]
fn findings_are_told_unless_a_line_permits_them() {
    let line = |path, text| Allowance { check: "word", path, text, reason: "a test" };
    let findings = || vec![found("docs/a.md", "a plugin"), found("sdk/b.rs", "a bundle")];
    for (allowed, expected) in [
        (vec![], vec!["docs/a.md:3: N2: a plugin", "sdk/b.rs:3: N2: a bundle"]),
        (vec![line("docs/", "plugin")], vec!["sdk/b.rs:3: N2: a bundle"]),
        (vec![line("", "")], vec![]),
        (vec![line("docs/a.md", ""), line("sdk/b.rs", "bundle")], vec![]),
        (vec![line("", ""), line("docs/a.md", "bundle")], vec!["the line for `bundle` in `docs/a.md` permits nothing"]),
        (
            vec![Allowance { check: "other", path: "", text: "", reason: "a test" }],
            vec!["docs/a.md:3: N2: a plugin", "sdk/b.rs:3: N2: a bundle"],
        ),
    ] {
        let told = filter("word", findings(), &allowed);
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected), "{told}");
        }
    }
}
