//! Words that have no use here: other names for our things, marks for later work, and words of one machine.
//!
//! Everything that is text is read, with its comments and strings. A word counts with its plural and inside names:
//! `PluginHost` and `load_plugins` hold the word plugin.

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;

/// What the glossary calls otherwise.
const BANNED: &[(&str, &str)] = &[
    ("pipeline", "say workflow, or what the steps are"),
    ("bundle", "say package or archive"),
    ("bundled", "say package or archive"),
    ("plugin", "say package or library"),
    ("xcom", "say context or delta"),
    ("dag run", "say run"),
];

/// Marks for work that is left.
const LATER: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// Folders of one machine, with the slash that ends them.
const MACHINE: &[&str] = &["/work/", "/root/", "/home/", "/farm/", "/Users/", "C:\\Users\\"];

/// Where packages of this language are published; ours is not.
const HOSTS: &[&str] = &["crates.io", "https://docs.rs", "https://lib.rs"];

/// The one source that a lock file may name.
const INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn the_glossary_has_one_word_for_each_thing() {
    enforce("word", glossary(Repository::here()));
}

#[test]
fn nothing_is_marked_for_later() {
    enforce("later", later(Repository::here()));
}

#[test]
fn no_machine_is_named() {
    enforce("machine", machine(Repository::here()));
}

fn lines(repository: &Repository) -> impl Iterator<Item = (&str, usize, &str)> {
    let texts = repository.files().filter(|(path, _)| *path != "LICENSE" && !is_lock(path));
    texts.flat_map(|(path, text)| text.lines().enumerate().map(move |(index, line)| (path, index + 1, line)))
}

fn glossary(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, line, text) in lines(repository) {
        let words = words(text);
        for (banned, remedy) in BANNED {
            if words.contains(&format!(" {banned} ")) || words.contains(&format!(" {banned}s ")) {
                findings.push(Finding { rule: "N2", path: path.to_owned(), line, found: text.to_owned(), remedy });
            }
        }
    }
    findings
}

/// The words of a line in lower case, each between spaces; joined names are taken apart. Only `_` and `-` join the
/// words of one name: a full stop or a bracket between two words stays as it is.
fn words(line: &str) -> String {
    let mut words = String::from(" ");
    let mut before = ' ';
    for character in line.chars() {
        if character.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        match character {
            '_' | '-' => words.push(' '),
            _ if character.is_alphanumeric() => words.extend(character.to_lowercase()),
            _ if character.is_whitespace() => words.push_str("  "),
            _ => words.extend([' ', character, ' ']),
        }
        before = character;
    }
    words.push(' ');
    words
}

fn later(repository: &Repository) -> Vec<Finding> {
    let is_word = |text: &str, mark: &str| super::source::has_word(text, mark);
    let marked = lines(repository).filter(|(_, _, text)| LATER.iter().any(|mark| is_word(text, mark)));
    marked
        .map(|(path, line, text)| Finding {
            rule: "D3",
            path: path.to_owned(),
            line,
            found: text.to_owned(),
            remedy: "do it now, or file it where work is planned",
        })
        .collect()
}

fn machine(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, line, text) in lines(repository) {
        let folder = MACHINE.iter().any(|folder| names_folder(text, folder));
        let host = HOSTS.iter().any(|host| text.contains(host));
        if folder || host {
            findings.push(Finding {
                rule: "B9",
                path: path.to_owned(),
                line,
                found: text.to_owned(),
                remedy: "use a path from the root of the repository, and leave out where packages come from",
            });
        }
    }
    for (path, lock) in repository.files().filter(|(path, _)| is_lock(path)) {
        for (index, text) in lock.lines().enumerate() {
            if text.starts_with("source = ") && !text.contains(INDEX) {
                findings.push(Finding {
                    rule: "B9",
                    path: path.to_owned(),
                    line: index + 1,
                    found: text.to_owned(),
                    remedy: "let every dependency come from the one index, so that everybody gets the same",
                });
            }
        }
    }
    findings
}

/// Whether it is cargo's record of where packages came from.
fn is_lock(path: &str) -> bool {
    path.rsplit('/').next() == Some("Cargo.lock")
}

/// Whether `folder` begins a path here, and is not the middle of another.
fn names_folder(text: &str, folder: &str) -> bool {
    let is_path = |character: char| character.is_alphanumeric() || "_-.~})>*]".contains(character);
    text.match_indices(folder).any(|(at, _)| !text[..at].chars().next_back().is_some_and(is_path))
}

#[test]
fn a_banned_word_is_found() {
    for (text, expected) in [
        ("the plugin", 1),
        ("struct PluginHost;", 1),
        ("load_plugins()", 1),
        ("fn dag_run() {}", 1),
        ("let DagRun = 1;", 1),
        ("a dag. Run it", 0),
        ("durability = \"pipelined\"", 0),
        ("a Pipeline and a bundle", 2),
        ("debundler", 0),
    ] {
        assert_eq!(glossary(&Repository::of(&[("docs/a.md", text)])).len(), expected, "{text}");
    }
}

#[test]
fn a_mark_for_later_is_found() {
    for (text, expected) in [("// TODO: b", 1), ("todos", 0), ("(FIXME)", 1)] {
        assert_eq!(later(&Repository::of(&[("sdk/src/a.rs", text)])).len(), expected, "{text}");
    }
}

#[test]
fn a_path_of_one_machine_is_found() {
    for (path, text, expected) in [
        ("docs/a.md", "cd /home/ada/x", 1),
        ("docs/a.md", "read = [\"/etc/ssl\"]", 0),
        ("docs/a.md", "target/work/x and {root}/home/x", 0),
        ("docs/a.md", "see https://crates.io/crates/x", 1),
        ("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"", 0),
        ("Cargo.lock", "source = \"registry+https://mirror.example/index\"", 1),
    ] {
        assert_eq!(machine(&Repository::of(&[(path, text)])).len(), expected, "{text}");
    }
}
