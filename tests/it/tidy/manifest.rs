//! Manifests: versions in one place, lints and the ban on publishing in all, nothing declared that is not used.
//!
//! Reads the text of each `Cargo.toml`. Our crates inherit from the workspace; examples inherit nothing, so that they
//! can be copied out. Fixtures are whatever their test needs.

use toml::Table;
use toml::Value;

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;
use super::repository::is_fixture;
use super::source::has_word;

const DEPENDENCIES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

#[test]
fn manifests_inherit_what_they_should() {
    enforce("manifest", manifests(Repository::here()));
}

#[test]
fn declared_dependencies_are_used() {
    enforce("unused-dependency", unused(Repository::here()));
}

#[test]
fn bans_have_reasons() {
    enforce("ban", bans(Repository::here()));
}

#[test]
fn there_is_one_integration_test_program() {
    enforce("test-program", test_programs(Repository::here()));
}

#[test]
fn one_command_checks_everything() {
    enforce("command", commands(Repository::here()));
}

struct Manifest<'a> {
    path: &'a str,
    text: &'a str,
    table: Table,
}

impl Manifest<'_> {
    fn finding(&self, rule: &'static str, word: &str, found: impl Into<String>, remedy: &'static str) -> Finding {
        let line = self.text.lines().position(|line| !word.is_empty() && line.trim_start().starts_with(word));
        Finding {
            rule,
            path: self.path.to_owned(),
            line: line.map_or(0, |index| index + 1),
            found: found.into(),
            remedy,
        }
    }

    /// The value at a path of keys.
    fn get(&self, keys: &[&str]) -> Option<&Value> {
        let (first, rest) = keys.split_first()?;
        rest.iter().try_fold(self.table.get(*first)?, |value, key| value.get(*key))
    }

    fn is(&self, keys: &[&str], expected: bool) -> bool {
        self.get(keys).and_then(Value::as_bool) == Some(expected)
    }

    /// The folder of the crate, with a slash at its end.
    fn folder(&self) -> &str {
        self.path.trim_end_matches("Cargo.toml")
    }

    fn is_example(&self) -> bool {
        self.path.starts_with("examples/")
    }

    /// Every dependency, of any kind and any platform, with what is said about it.
    fn dependencies(&self) -> Vec<(&str, &Value)> {
        let platforms = self.table.get("target").and_then(Value::as_table);
        let platforms = platforms.into_iter().flat_map(|table| table.values().filter_map(Value::as_table));
        let tables =
            platforms.chain([&self.table]).flat_map(|table| DEPENDENCIES.iter().filter_map(|kind| table.get(*kind)));
        tables.filter_map(Value::as_table).flatten().map(|(name, value)| (name.as_str(), value)).collect()
    }
}

/// The manifests of crates; `Err` tells of those that cannot be read.
fn crates(repository: &Repository) -> Vec<Manifest<'_>> {
    let files = repository.ending("/Cargo.toml").filter(|(path, _)| !is_fixture(path));
    files.map(|(path, text)| Manifest { path, text, table: parse(path, text) }).collect()
}

fn parse(path: &str, text: &str) -> Table {
    text.parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root(repository: &Repository) -> Option<Manifest<'_>> {
    let path = "Cargo.toml";
    repository.text(path).map(|text| Manifest { path, text, table: parse(path, text) })
}

fn manifests(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in crates(repository) {
        if manifest.is_example() {
            findings.extend(example(&manifest));
        } else {
            findings.extend(member(&manifest));
        }
    }
    if let Some(root) = root(repository) {
        if !root.is(&["workspace", "package", "publish"], false) {
            findings.push(root.finding("B9", "publish", "the workspace does not say `publish = false`", "say it"));
        }
        let version = root.get(&["workspace", "package", "version"]).and_then(Value::as_str).unwrap_or_default();
        let pin = root.get(&["workspace", "dependencies", "cloacina-macros", "version"]).and_then(Value::as_str);
        if pin != Some(&format!("={version}")) {
            let remedy = "pin the macros to the version of the workspace, as the sdk works with no other";
            findings.push(root.finding("M4", "cloacina-macros", format!("pinned to {pin:?}"), remedy));
        }
    }
    findings
}

fn member(manifest: &Manifest<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !manifest.is(&["package", "publish", "workspace"], true) && !manifest.is(&["package", "publish"], false) {
        let remedy = "add `publish.workspace = true`; the names belong to others on the public registry";
        findings.push(manifest.finding("B9", "[package]", "may be published", remedy));
    }
    if !manifest.is(&["lints", "workspace"], true) {
        findings.push(manifest.finding("B1", "[lints]", "inherits no lints", "add `[lints]` with `workspace = true`"));
    }
    for (name, value) in manifest.dependencies() {
        if !value.get("workspace").and_then(Value::as_bool).unwrap_or(false) {
            let remedy = "put the version into [workspace.dependencies] and say `workspace = true` here";
            findings.push(manifest.finding("P1", name, format!("`{name}` has its own version"), remedy));
        }
    }
    findings
}

fn example(manifest: &Manifest<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if manifest.table.contains_key("package") && !manifest.is(&["package", "publish"], false) {
        findings.push(manifest.finding("B9", "[package]", "may be published", "add `publish = false`"));
    }
    for (index, line) in manifest.text.lines().enumerate() {
        if line.replace(' ', "").contains("workspace=true") {
            let remedy = "write it out: an example can be copied out of the repository";
            let finding = manifest.finding("P1", "", format!("inherits: {line}"), remedy);
            findings.push(Finding { line: index + 1, ..finding });
        }
    }
    findings
}

fn unused(repository: &Repository) -> Vec<Finding> {
    let crates = crates(repository);
    let mut findings = Vec::new();
    for manifest in crates.iter().filter(|manifest| !manifest.is_example()) {
        for (name, _) in manifest.dependencies() {
            let word = name.replace('-', "_");
            let inside = repository.sources().filter(|source| source.path.starts_with(manifest.folder()));
            let mut lines = inside.flat_map(|source| &source.lines);
            // Comments count for the examples in them.
            if !lines.any(|line| has_word(&line.code, &word) || has_word(&line.comment, &word)) {
                let remedy = "remove it; where it is there for its features, permit it with that reason";
                findings.push(manifest.finding("P1", name, format!("`{name}` is not used"), remedy));
            }
        }
    }
    let Some(root) = root(repository) else { return findings };
    let declared = root.get(&["workspace", "dependencies"]).and_then(Value::as_table);
    for name in declared.into_iter().flat_map(Table::keys) {
        let wanted = crates.iter().any(|manifest| manifest.dependencies().iter().any(|(found, _)| found == name));
        if !wanted {
            findings.push(root.finding("P1", name, format!("no crate wants `{name}`"), "remove it"));
        }
    }
    findings
}

fn bans(repository: &Repository) -> Vec<Finding> {
    let path = "clippy.toml";
    let Some(text) = repository.text(path) else { return Vec::new() };
    let manifest = Manifest { path, text, table: parse(path, text) };
    let lists = manifest.table.iter().filter(|(key, _)| key.starts_with("disallowed-"));
    let bans = lists.filter_map(|(_, list)| list.as_array()).flatten();
    let bare = bans.filter(|ban| ban.get("reason").and_then(Value::as_str).is_none_or(|reason| reason.len() < 10));
    bare.map(|ban| manifest.finding("S14", "", format!("{ban} has no reason"), "say why, and what to do instead"))
        .collect()
}

fn test_programs(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in repository.ending(".rs").filter(|(path, _)| !is_fixture(path) && !path.starts_with("examples/")) {
        let program = match path.split('/').collect::<Vec<_>>()[..] {
            [_, "tests", _] => true,
            [_, "tests", _, file] => file == "main.rs",
            ["tests", "it", "main.rs"] => false,
            ["tests", folder, "main.rs"] => folder != "src",
            _ => false,
        };
        if program {
            findings.push(Finding {
                rule: "T14",
                path: path.to_owned(),
                line: 0,
                found: "one more test program to link".to_owned(),
                remedy: "make it a module of tests/it",
            });
        }
    }
    findings
}

fn commands(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut complain = |path: &str, found: &str, remedy| {
        findings.push(Finding { rule: "B1", path: path.to_owned(), line: 0, found: found.to_owned(), remedy });
    };
    let script = repository.text(".ci/run").unwrap_or_default();
    let mut lines = script.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    if !(lines.next().is_some_and(|line| line.starts_with("exec ") && line.contains("/test\""))
        && lines.next().is_none())
    {
        complain(
            ".ci/run",
            "is more or less than one `exec` of ./test",
            "let ./test do it, so that everybody can run it",
        );
    }
    let readme: Vec<&str> = repository.text("README.md").unwrap_or_default().lines().take(10).collect();
    if !readme.iter().any(|line| line.starts_with("$ cargo run ")) || !readme.contains(&"$ ./test") {
        complain("README.md", "does not begin with its two commands", "begin with one that runs a demo, and ./test");
    }
    findings
}

const ROOT: &str = "[workspace.package]\nversion = \"0.1.0\"\npublish = false\n\
                    [workspace.dependencies]\ncloacina-macros = { path = \"macros\", version = \"=0.1.0\" }\n";

#[test]
fn a_manifest_with_its_own_ways_is_found() {
    let good =
        "[package]\npublish.workspace = true\n[lints]\nworkspace = true\n[dependencies]\ntoml.workspace = true\n";
    for (path, text, expected) in [
        ("sdk/Cargo.toml", good.to_owned(), 0),
        ("sdk/Cargo.toml", good.replace("publish.workspace = true", ""), 1),
        ("sdk/Cargo.toml", good.replace("[lints]", "[other]"), 1),
        ("sdk/Cargo.toml", good.replace("toml.workspace = true", "toml = \"1\""), 1),
        ("sdk/Cargo.toml", format!("{good}[target.'cfg(unix)'.dev-dependencies]\na = {{ path = \"a\" }}\n"), 1),
        ("examples/a/Cargo.toml", good.to_owned(), 4),
        ("examples/a/Cargo.toml", "[package]\npublish = false\n[dependencies]\ntoml = \"1\"\n".to_owned(), 0),
        ("tests/fixtures/a/Cargo.toml", "[package]\n".to_owned(), 0),
        ("Cargo.toml", ROOT.replace("publish = false", "publish = true"), 1),
        ("Cargo.toml", ROOT.replace("=0.1.0", "0.1"), 1),
    ] {
        let mut files = vec![(path, text.as_str())];
        if path != "Cargo.toml" {
            files.push(("Cargo.toml", ROOT));
        }
        let findings = manifests(&Repository::of(&files));
        assert_eq!(findings.len(), expected, "{text}: {findings:?}");
    }
}

#[test]
fn an_unused_dependency_is_found() {
    let manifest = "[dependencies]\ncloacina-macros.workspace = true\n";
    for (files, expected) in [
        (&[("Cargo.toml", ROOT), ("sdk/Cargo.toml", manifest), ("sdk/src/lib.rs", "use cloacina_macros::a;")][..], 0),
        (&[("Cargo.toml", ROOT), ("sdk/Cargo.toml", manifest), ("engine/src/lib.rs", "use cloacina_macros::a;")], 1),
        (&[("Cargo.toml", ROOT)], 1),
    ] {
        assert_eq!(unused(&Repository::of(files)).len(), expected, "{files:?}");
    }
}

#[test]
fn a_ban_without_a_reason_is_found() {
    for (text, expected) in [
        ("disallowed-methods = [{ path = \"a\", reason = \"it is slow and wrong\" }]", 0),
        ("disallowed-methods = [{ path = \"a\" }]", 1),
        ("disallowed-types = [\"a\"]", 1),
    ] {
        assert_eq!(bans(&Repository::of(&[("clippy.toml", text)])).len(), expected, "{text}");
    }
}

#[test]
fn a_second_test_program_is_found() {
    for (path, expected) in [
        ("tests/it/main.rs", 0),
        ("tests/it/a.rs", 0),
        ("tests/sim/main.rs", 1),
        ("engine/tests/a.rs", 1),
        ("engine/tests/a/main.rs", 1),
        ("macros/tests/ui/a.rs", 0),
        ("examples/a/tests/b.rs", 0),
    ] {
        assert_eq!(test_programs(&Repository::of(&[(path, "")])).len(), expected, "{path}");
    }
}

#[test]
fn another_way_to_check_is_found() {
    let readme = "# A\n```console\n$ cargo run -p a\n$ ./test\n```\n";
    let script = "#!/usr/bin/env bash\nexec \"$(dirname \"$0\")/../test\"\n";
    for (script, readme, expected) in [
        (script.to_owned(), readme.to_owned(), 0),
        (format!("{script}cargo test\n"), readme.to_owned(), 1),
        ("cargo test\n".to_owned(), readme.to_owned(), 1),
        (script.to_owned(), readme.replace("$ ./test", ""), 1),
    ] {
        let repository = Repository::of(&[(".ci/run", &script), ("README.md", &readme)]);
        assert_eq!(commands(&repository).len(), expected, "{script} {readme}");
    }
}
