//! Which crate may depend on which, ours and others; under what licenses; and in how many versions.
//!
//! Arrows are those that a crate needs to run. What tests need may point anywhere.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::process::Command;

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;
use super::repository::is_fixture;
use super::repository::root;
use super::workspace::Crate;
use super::workspace::Workspace;

/// Each crate of ours, and the ones of ours that it may need.
const ARROWS: &[(&str, &[&str])] = &[
    ("cloacina-macros", &[]),
    ("cloacina-workflow", &["cloacina-macros"]),
    ("cloacina-packager", &["cloacina-workflow"]),
    ("cloacina", &["cloacina-packager", "cloacina-workflow", "cloacina-macros"]),
    ("cloacina-server", &["cloacina", "cloacina-packager", "cloacina-workflow"]),
    ("cloacina-client", &["cloacina"]),
    ("cloacina-ctl", &["cloacina-client", "cloacina-server", "cloacina", "cloacina-packager", "cloacina-workflow"]),
    ("cloacina-tests", &["cloacina", "cloacina-client", "cloacina-packager", "cloacina-workflow"]),
];

/// What an example may need of ours: what a user would.
const PUBLIC: &[&str] = &["cloacina", "cloacina-packager", "cloacina-workflow"];

/// What ends up in every user's library, with nothing added lightly; chrono only where its feature is asked for.
const SDK_NEEDS: &[&str] =
    &["chrono", "cloacina-macros", "humantime", "log", "serde", "serde_json", "tokio", "tracing-core"];

/// Crates that others must not reach: who must not, at any distance, and what.
const OUT_OF_REACH: &[(&[&str], &[&str])] = &[
    (
        &["cloacina-workflow", "cloacina-macros", "cloacina-packager"],
        &["diesel", "axum", "clap", "libloading", "rusqlite", "libsqlite3-sys", "tokio-postgres", "hyper"],
    ),
    (&["cloacina"], &["axum", "clap", "hyper", "indicatif"]),
];

/// Crates with a single user of ours.
const RESERVED: &[(&str, &[&str])] = &[
    ("libloading", &["cloacina"]),
    ("diesel", &["cloacina"]),
    ("libsqlite3-sys", &["cloacina"]),
    ("tokio-postgres", &["cloacina"]),
    ("petgraph", &["cloacina-packager"]),
    ("anyhow", &["cloacina-ctl", "cloacina-tests"]),
    ("clap", &["cloacina-ctl"]),
];

/// Licenses that ask for no more than to be named. One that asks for its own sources, like MPL-2.0, would need a line
/// here and a thought.
const LICENSES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "PostgreSQL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn arrows_between_crates_point_one_way() {
    enforce("crate-arrow", arrows(Workspace::here()));
}

#[test]
fn licenses_are_ones_we_can_keep() {
    enforce("license", licenses(Workspace::here()));
}

#[test]
fn there_is_one_version_of_each_crate() {
    enforce("duplicate", duplicates(Workspace::here()));
}

/// What is fuzzed for hours, or is input to a test, should be what is shipped.
#[test]
fn every_lock_file_says_what_the_workspace_is_built_from() {
    enforce("lock-file", lock_files(Repository::here()));
}

fn finding(rule: &'static str, krate: &Crate, found: String, remedy: &'static str) -> Finding {
    let folder = krate.folder.as_deref().map(|folder| format!("{folder}/Cargo.toml"));
    Finding { rule, path: folder.unwrap_or_else(|| "Cargo.lock".to_owned()), line: 0, found, remedy }
}

fn arrows(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours: Vec<&str> = workspace.members().map(|krate| krate.name.as_str()).collect();
    // What a fixture needs is what its test needs.
    let checked = workspace
        .members()
        .filter(|krate| !krate.folder.as_deref().is_some_and(|path| is_fixture(&format!("{path}/"))));
    for krate in checked {
        let name = krate.name.as_str();
        let row = ARROWS.iter().find(|(from, _)| *from == name);
        let example = krate.folder.as_deref().is_some_and(|folder| folder.starts_with("examples"));
        let Some(allowed) = row.map(|(_, to)| *to).or(example.then_some(PUBLIC)) else {
            let found = format!("the crate `{name}` has no row in the table of arrows");
            findings.push(finding("S1", krate, found, "give it one in tests/it/tidy/dependency.rs"));
            continue;
        };
        for needed in krate.normal.iter().filter_map(|id| workspace.crates.get(id)) {
            let needed = needed.name.as_str();
            let found = format!("`{name}` needs `{needed}`");
            let reserved = RESERVED.iter().find(|(reserved, _)| *reserved == needed);
            if ours.contains(&needed) && !allowed.contains(&needed) {
                findings.push(finding(
                    "S1",
                    krate,
                    found,
                    "turn the arrow around, or move the code to where it may be known",
                ));
            } else if name == "cloacina-workflow" && !SDK_NEEDS.contains(&needed) {
                findings.push(finding("P3", krate, found, "do without: it would end up in every user's library"));
            } else if row.is_some() && reserved.is_some_and(|(_, users)| !users.contains(&name)) {
                findings.push(finding("P3", krate, found, "ask the crate that wraps it"));
            }
        }
        let reach = workspace.reach(krate);
        let rows = OUT_OF_REACH.iter().filter(|(who, _)| who.contains(&name));
        for far in rows.flat_map(|(_, what)| *what).filter(|what| reach.contains(*what)) {
            let found = format!("`{name}` reaches `{far}`");
            findings.push(finding(
                "P3",
                krate,
                found,
                "find the dependency that brings it (cargo tree -i) and do without",
            ));
        }
    }
    findings
}

fn lock_files(repository: &Repository) -> Vec<Finding> {
    let shipped = locked(repository.text("Cargo.lock").expect("the workspace has a lock file"));
    let others = repository.ending("/Cargo.lock");
    others.flat_map(|(path, text)| stale(path).into_iter().chain(apart(path, &locked(text), &shipped))).collect()
}

/// A lock file that does not fit its manifest any more, which `--locked` refuses.
fn stale(path: &str) -> Option<Finding> {
    let manifest = root().join(path.replace("Cargo.lock", "Cargo.toml"));
    let resolve = ["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path"];
    let output = Command::new(env!("CARGO")).args(resolve).arg(&manifest).output().expect("cargo is there");
    let said = String::from_utf8_lossy(&output.stderr);
    // Cargo's cache may lack what only this crate needs; that is found after the file was found to fit.
    said.contains("lock file").then(|| Finding {
        rule: "P2",
        path: path.to_owned(),
        line: 0,
        found: "the file lacks what its manifest asks for".to_owned(),
        remedy: "cargo update --workspace --manifest-path, with the manifest beside the file",
    })
}

/// Crates in other versions than the ones of the workspace.
fn apart(path: &str, own: &Versions, shipped: &Versions) -> Vec<Finding> {
    let differs = |(name, versions): &(&String, &BTreeSet<String>)| {
        shipped.get(*name).is_some_and(|known| !versions.is_subset(known))
    };
    let finding = |(name, versions): (&String, &BTreeSet<String>)| Finding {
        rule: "P2",
        path: path.to_owned(),
        line: 0,
        found: format!("`{name}` is {versions:?}, in the workspace {:?}", shipped[name]),
        remedy: "cargo update --precise VERSION CRATE, in the folder of the file",
    };
    own.iter().filter(differs).map(finding).collect()
}

/// The versions of each crate.
type Versions = BTreeMap<String, BTreeSet<String>>;

fn locked(text: &str) -> Versions {
    let lock: toml::Table = text.parse().expect("a lock file is TOML");
    let mut versions = Versions::new();
    for package in lock["package"].as_array().expect("a lock file lists packages") {
        let text = |key: &str| package[key].as_str().expect("a package has a name and a version").to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    versions
}

#[test]
fn a_crate_in_another_version_than_the_one_of_the_workspace_is_found() {
    let lock = |version: &str| locked(&format!("[[package]]\nname = \"a\"\nversion = \"{version}\"\n"));
    assert!(apart("x/Cargo.lock", &lock("1.0.0"), &lock("1.0.0")).is_empty());
    assert_eq!(apart("x/Cargo.lock", &lock("1.0.1"), &lock("1.0.0")).len(), 1);
}

fn licenses(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in workspace.crates.values().filter(|krate| krate.folder.is_none()) {
        let license = krate.license.as_deref().unwrap_or("no license");
        if !keeps(license) {
            let found = format!("{} {} is under {license}", krate.name, krate.version);
            findings.push(finding("P2", krate, found, "use another crate, or permit this license for a reason"));
        }
    }
    findings
}

/// Whether we can choose allowed licenses in an expression of names, `AND`, `OR`, `WITH` and parentheses.
fn keeps(expression: &str) -> bool {
    // Some old crates separate alternatives with a slash.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let keeps = either(&mut rest);
    keeps && rest.is_empty()
}

fn either(rest: &mut &[&str]) -> bool {
    let mut keeps = both(rest);
    while let ["OR", after @ ..] = rest {
        *rest = after;
        keeps |= both(rest);
    }
    keeps
}

fn both(rest: &mut &[&str]) -> bool {
    let mut keeps = single(rest);
    while let ["AND", after @ ..] = rest {
        *rest = after;
        keeps &= single(rest);
    }
    keeps
}

fn single(rest: &mut &[&str]) -> bool {
    match *rest {
        ["(", after @ ..] => {
            *rest = after;
            let keeps = either(rest);
            *rest = rest.strip_prefix(&[")"]).unwrap_or_default();
            keeps
        }
        [name, "WITH", exception, after @ ..] => {
            *rest = after;
            LICENSES.contains(&format!("{name} WITH {exception}").as_str())
        }
        [name, after @ ..] => {
            *rest = after;
            LICENSES.contains(name)
        }
        [] => false,
    }
}

fn duplicates(workspace: &Workspace) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, Vec<&Crate>> = BTreeMap::new();
    for krate in workspace.crates.values() {
        versions.entry(&krate.name).or_default().push(krate);
    }
    let several = versions.into_iter().filter(|(_, crates)| crates.len() > 1);
    several
        .map(|(name, crates)| {
            let list: Vec<&str> = crates.iter().map(|krate| krate.version.as_str()).collect();
            let found = format!("`{name}` in the versions {}", list.join(" and "));
            finding("P2", crates[0], found, "raise what wants the old one (cargo tree -i), or permit it for a reason")
        })
        .collect()
}

#[test]
fn a_forbidden_arrow_is_found() {
    type Crates = &'static [(&'static str, &'static str, &'static [&'static str])];
    const OURS: Crates =
        &[("cloacina-macros 0.1.0", "", &[]), ("clap 4.0.0", "", &[]), ("between 1.0.0", "", &["clap 4.0.0"])];
    let cases: &[(Crates, &[&str])] = &[
        (&[("cloacina-workflow 0.1.0", "", &["cloacina-macros 0.1.0"])], &[]),
        (
            &[("cloacina-workflow 0.1.0", "", &["cloacina 0.1.0"]), ("cloacina 0.1.0", "", &[])],
            &["`cloacina-workflow` needs `cloacina`"],
        ),
        (&[("cloacina-workflow 0.1.0", "", &["regex 1.0.0"]), ("regex 1.0.0", "", &[])], &["needs `regex`"]),
        (&[("cloacina 0.1.0", "", &["between 1.0.0"])], &["`cloacina` reaches `clap`"]),
        (&[("cloacina 0.1.0", "", &["clap 4.0.0"])], &["needs `clap`", "reaches `clap`"]),
        (&[("cloacina-ctl 0.1.0", "", &["clap 4.0.0"])], &[]),
        (&[("cloacina-ctl 0.1.0", "", &["libloading 1.0.0"]), ("libloading 1.0.0", "", &[])], &["needs `libloading`"]),
        (&[("cloacina-extra 0.1.0", "", &[])], &["`cloacina-extra` has no row"]),
    ];
    for (crates, expected) in cases {
        let findings = arrows(&Workspace::of(&[OURS, crates].concat()));
        assert_eq!(findings.len(), expected.len(), "{findings:?}");
        for (finding, expected) in findings.iter().zip(*expected) {
            assert!(finding.found.contains(expected), "{finding}");
        }
    }
}

#[test]
fn a_license_that_asks_for_more_is_found() {
    for (license, expected) in [
        ("MIT OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-3.0 WITH LLVM-exception", false),
        ("", false),
        ("MIT )", false),
    ] {
        let findings = licenses(&Workspace::of(&[("a 1.0.0", license, &[])]));
        assert_eq!(findings.is_empty(), expected, "{license}");
    }
}

#[test]
fn two_versions_are_found() {
    let findings =
        duplicates(&Workspace::of(&[("a 1.0.0", "MIT", &[]), ("a 2.0.0", "MIT", &[]), ("b 1.0.0", "MIT", &[])]));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].found.contains("1.0.0 and 2.0.0"), "{}", findings[0]);
}
