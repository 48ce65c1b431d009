//! Rules that can be checked line by line: tests, comments, printing, and unsafe code.
//!
//! Each check reads code without its strings, or comments without the code, so that nothing is found where it is only
//! talked about.

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;
use super::source::Source;
use super::source::has_word;

/// What makes a test lie, wait or stand alone.
const NOT_IN_TESTS: &[(&str, &str, &str)] = &[
    ("T13", "#[ignore", "run it, or remove it"),
    ("T13", "#[should_panic", "assert what is returned; where the wrong thing happens, assert that with a note"),
    ("T6", "#[serial", "give each test its own database, folder and port"),
    ("T6", "sleep(", "wait for the event that the test is about"),
];

const PRINTS: &[&str] = &["print!", "println!", "eprint!", "eprintln!", "dbg!"];

/// The folders in which `unsafe` is argued for.
const UNSAFE_FOLDERS: &[&str] =
    &["sdk/src/abi/", "sdk/src/abi.rs", "engine/src/loader/", "engine/src/testing/measure/raw/"];

/// Where the engine may start threads and tasks, and what waits for them. Whatever else is to go on by itself is a service.
const SPAWN: &[(&str, &str)] = &[
    ("engine/src/access/password.rs", "the caller waits for the hash"),
    ("engine/src/isolation/", "the pool waits for its threads"),
    ("engine/src/registry/handle.rs", "the caller waits for what may block"),
    ("engine/src/runtime/defined.rs", "built-ins, each of which the driver counts"),
    ("engine/src/runtime/embedded.rs", "tasks of users, each of which the driver counts"),
    ("engine/src/runtime/launch.rs", "the driver's thread, and the one that waits for it"),
    ("engine/src/runtime/packaged.rs", "tasks of users, each of which the driver counts"),
    ("engine/src/runtime/services.rs", "services, in one set"),
    ("engine/src/socket/service.rs", "connections, in sets of their own"),
    ("engine/src/socket/spool.rs", "the caller waits for what may block"),
    ("engine/src/store/", "the store waits for its threads, and a connection ends with its client"),
    ("engine/src/testing/", "what a test starts the test ends"),
];

/// The crates without any; `forbid` cannot be opened again further inside.
const FORBIDDING: &[&str] = &["macros/src/lib.rs", "packager/src/lib.rs", "ctl/src/main.rs"];

#[test]
fn tests_do_not_wait_and_are_not_left_out() {
    enforce("testing", testing(Repository::here()));
}

#[test]
fn comments_tell_no_history() {
    enforce("history", history(Repository::here()));
}

#[test]
fn examples_in_documentation_run() {
    enforce("doc-example", doc_examples(Repository::here()));
}

#[test]
fn printing_happens_in_one_place() {
    enforce("print", prints(Repository::here()));
}

#[test]
fn results_are_not_nested() {
    enforce("nested-result", nested_results(Repository::here()));
}

#[test]
fn unsafe_code_stays_at_the_boundary() {
    enforce("unsafe", unsafety(Repository::here()));
}

#[test]
fn what_is_started_is_waited_for() {
    enforce("spawn", spawns(Repository::here()));
}

#[test]
fn expected_output_belongs_to_a_test() {
    enforce("snapshot", snapshots(Repository::here()));
}

fn spawns(repository: &Repository) -> Vec<Finding> {
    let remedy = "let the engine's services run it, or wait for it and name the place in the list of this check";
    let mut findings = Vec::new();
    for source in repository.sources().filter(|source| source.path.starts_with("engine/src/")) {
        if SPAWN.iter().any(|(place, _)| source.path.starts_with(place)) {
            continue;
        }
        for (line, text) in source.numbered().filter(|(_, text)| !text.test) {
            if ["spawn(", "spawn_blocking("].iter().any(|call| text.code.contains(call)) {
                let is_service = text.code.contains("services.spawn") || text.code.contains("blocking.spawn_blocking");
                if !is_service {
                    findings.push(finding("C4", source, line, &text.code, remedy));
                }
            }
        }
    }
    findings
}

fn finding(rule: &'static str, source: &Source, line: usize, found: &str, remedy: &'static str) -> Finding {
    Finding { rule, path: source.path.clone(), line, found: found.to_owned(), remedy }
}

fn testing(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in repository.sources() {
        for (line, text) in source.numbered().filter(|(_, text)| text.test) {
            for (rule, what, remedy) in NOT_IN_TESTS {
                let start_of_word =
                    what.starts_with('#') || text.code.match_indices(what).any(|(at, _)| is_start(&text.code, at));
                if text.code.contains(what) && start_of_word {
                    findings.push(finding(rule, source, line, &text.code, remedy));
                }
            }
            let attributes =
                source.lines[..line - 1].iter().rev().take_while(|above| above.code.trim().starts_with("#["));
            let is_test =
                attributes.into_iter().any(|above| above.code.contains("test]") || above.code.contains("test("));
            if is_test && text.code.contains("fn test_") {
                findings.push(finding("N6", source, line, &text.code, "let the name say what happens, as a sentence"));
            }
        }
    }
    findings
}

fn is_start(code: &str, at: usize) -> bool {
    !code[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_')
}

fn history(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in repository.sources() {
        for (line, text) in source.numbered() {
            let comment = &text.comment;
            if has_ticket(comment) || has_date(comment) || has_word(comment, "previously") {
                let remedy = "say what holds now and why; git and the changelog keep the history";
                findings.push(finding("D3", source, line, comment, remedy));
            }
        }
    }
    findings
}

/// Whether a comment has a `#` and digits that stand alone, as no example of code does.
fn has_ticket(comment: &str) -> bool {
    comment.match_indices('#').any(|(at, _)| {
        let alone = comment[..at].chars().next_back().is_some_and(|before| " (".contains(before));
        let digits = comment[at + 1..].chars().take_while(char::is_ascii_digit).count();
        let after = comment[at + 1 + digits..].chars().next();
        alone && digits > 0 && !after.is_some_and(char::is_alphanumeric)
    })
}

/// Whether a comment has a day, which is not the beginning of a point in time.
fn has_date(comment: &str) -> bool {
    let bytes = comment.as_bytes();
    bytes.windows(10).enumerate().any(|(at, day)| {
        let shape = day.iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        shape && day.starts_with(b"20") && !matches!(bytes.get(at + 10), Some(b'T'))
    })
}

fn doc_examples(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in repository.sources() {
        for (line, text) in source.numbered() {
            let fence = text.comment.trim_start_matches(['/', '!', ' ']);
            let ignored = fence.starts_with("```") && fence.split(['`', ',', ' ']).any(|word| word == "ignore");
            if ignored {
                let remedy = "let it compile (`no_run`, hidden `#` lines), or make it `text`";
                findings.push(finding("D6", source, line, &text.comment, remedy));
            }
        }
    }
    findings
}

fn prints(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in repository.sources() {
        let may = source.path == "ctl/src/output.rs"
            || source.path.starts_with("examples/")
            // This is how a build script talks to cargo.
            || source.path.ends_with("/build.rs");
        for (line, text) in source.numbered().filter(|_| !may) {
            if PRINTS.iter().any(|print| has_word(&text.code, print)) {
                let remedy = "return it as data, or report it through ctl/src/output.rs";
                findings.push(finding("H3", source, line, &text.code, remedy));
            }
        }
    }
    findings
}

/// A result in a result of the engine. The inner one is forgotten easily, as the outer one has been handled.
fn nested_results(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in repository.sources().filter(|source| source.path.starts_with("engine/src/")) {
        for (line, text) in source.numbered() {
            if text.code.contains("Result<Result<") {
                let remedy = "give the two one error, as `store::JobError` is, or make the inner one an enum";
                findings.push(finding("E1", source, line, &text.code, remedy));
            }
        }
    }
    findings
}

fn unsafety(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in repository.sources() {
        let boundary = UNSAFE_FOLDERS.iter().any(|folder| source.path.starts_with(folder));
        for (line, text) in source.numbered() {
            if !boundary && has_word(&text.code, "unsafe") {
                let remedy = "put it behind a safe function in one of the folders in which it is argued for";
                findings.push(finding("U1", source, line, &text.code, remedy));
            }
            if has_word(&text.code, "dlclose") {
                let remedy = "leave it open: threads and destructors of the library may still run";
                findings.push(finding("U6", source, line, &text.code, remedy));
            }
        }
        let forbids = || source.lines.iter().any(|line| line.code.trim() == "#![forbid(unsafe_code)]");
        if FORBIDDING.contains(&source.path.as_str()) && !forbids() {
            let found = "no `#![forbid(unsafe_code)]`";
            findings.push(finding("U1", source, 0, found, "put it after the crate's introduction"));
        }
    }
    findings
}

fn snapshots(repository: &Repository) -> Vec<Finding> {
    let outputs = repository.ending(".stderr");
    let lonely = outputs.filter(|(path, _)| !repository.has(&path.replace(".stderr", ".rs")));
    lonely
        .map(|(path, _)| Finding {
            rule: "T13",
            path: path.to_owned(),
            line: 0,
            found: "no test has this output".to_owned(),
            remedy: "remove it, or give it back its test",
        })
        .collect()
}

fn count(check: fn(&Repository) -> Vec<Finding>, path: &str, text: &str) -> usize {
    check(&Repository::of(&[(path, text)])).len()
}

#[test]
fn a_bad_test_is_found() {
    for (path, text, expected) in [
        ("tests/it/a.rs", "#[ignore]\nfn a() {}", 1),
        ("tests/it/a.rs", "#[test]\n#[should_panic]\nfn test_a() {}", 2),
        ("tests/it/a.rs", "fn test_engine() {}", 0),
        ("tests/it/a.rs", "std::thread::sleep(second);", 1),
        ("tests/it/a.rs", "goes_to_sleep(); // sleep(1)\nlet a = \"sleep(1)\";", 0),
        ("sdk/src/a.rs", "#[cfg(test)]\nmod tests {\n    #[serial]\n    fn a() {}\n}", 1),
        ("examples/a/src/lib.rs", "tokio::time::sleep(second).await;", 0),
    ] {
        assert_eq!(count(testing, path, text), expected, "{text}");
    }
}

#[test]
fn a_nested_result_is_found() {
    for (path, text, expected) in [
        ("engine/src/a.rs", "fn a() -> Result<Result<(), A>, B> {}", 1),
        ("engine/src/a.rs", "fn a() -> QueryResult<Result<(), A>> {}", 1),
        ("engine/src/a.rs", "fn a() -> Result<Option<A>, B> {} // Result<Result<(), A>, B>", 0),
        ("ctl/src/a.rs", "fn a() -> Result<Result<(), A>, B> {}", 0),
    ] {
        assert_eq!(count(nested_results, path, text), expected, "{text}");
    }
}

#[test]
fn history_in_a_comment_is_found() {
    for (text, expected) in [
        ("// See #123.", 1),
        ("// Since 2024-05-06 this holds.", 1),
        ("// It was previously b.", 1),
        ("/// For example `2024-05-06T07:08:09Z`.", 0),
        ("// `#[task]`, `r#\"a\"#`, rust-lang/rust#91979, &#39;", 0),
        ("let a = \"See #123\";", 0),
    ] {
        assert_eq!(count(history, "sdk/src/a.rs", text), expected, "{text}");
    }
}

#[test]
fn an_ignored_example_is_found() {
    for (text, expected) in
        [("/// ```ignore", 1), ("//! ```rust,ignore", 1), ("/// ```no_run", 0), ("/// do ignore it", 0)]
    {
        assert_eq!(count(doc_examples, "sdk/src/a.rs", text), expected, "{text}");
    }
}

#[test]
fn printing_elsewhere_is_found() {
    for (path, text, expected) in [
        ("engine/src/a.rs", "println!(\"a\");", 1),
        ("engine/src/a.rs", "/// println!(\"a\");\nwriteln!(b, \"println!\");", 0),
        ("ctl/src/output.rs", "println!(\"a\");", 0),
        ("examples/a/examples/b.rs", "println!(\"a\");", 0),
        ("sdk/build.rs", "println!(\"cargo::rerun-if-changed=build.rs\");", 0),
    ] {
        assert_eq!(count(prints, path, text), expected, "{path} {text}");
    }
}

#[test]
fn unsafe_code_elsewhere_is_found() {
    for (path, text, expected) in [
        ("engine/src/store/a.rs", "unsafe { b() }", 1),
        ("engine/src/loader/a.rs", "unsafe { b() }", 0),
        ("sdk/src/abi/mod.rs", "#![expect(unsafe_code, reason = \"\")]", 0),
        ("sdk/src/a.rs", "#[expect(unsafe_code, reason = \"\")]\nmod abi;", 0),
        ("engine/src/loader/a.rs", "libc::dlclose(handle);", 1),
        ("packager/src/lib.rs", "//! A crate.\n", 1),
        ("packager/src/lib.rs", "//! A crate.\n#![forbid(unsafe_code)]\n", 0),
    ] {
        assert_eq!(count(unsafety, path, text), expected, "{path} {text}");
    }
}

#[test]
fn a_detached_spawn_is_found() {
    for (path, text, expected) in [
        ("engine/src/engine/a.rs", "tokio::spawn(work());", 1),
        ("engine/src/engine/a.rs", "engine.tasks.spawn(work());", 1),
        ("engine/src/engine/a.rs", "handle.spawn_blocking(work);", 1),
        ("engine/src/engine/a.rs", "services.spawn(work());", 0),
        ("engine/src/store/a.rs", "thread::Builder::new().spawn(work);", 0),
        ("ctl/src/a.rs", "tokio::spawn(work());", 0),
    ] {
        assert_eq!(count(spawns, path, text), expected, "{path} {text}");
    }
}

#[test]
fn output_without_a_test_is_found() {
    let repository = Repository::of(&[("tests/ui/a.rs", ""), ("tests/ui/a.stderr", ""), ("tests/ui/b.stderr", "")]);
    let found: Vec<String> = snapshots(&repository).into_iter().map(|finding| finding.path).collect();
    assert_eq!(found, ["tests/ui/b.stderr"]);
}
