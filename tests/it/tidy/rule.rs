//! How each rule of `docs/style.md` is checked: by this test, by a lint, or only by the reader.
//!
//! Every rule stands in at least one of the tables, and the mark ⚙ in the document says the same as they do.

use std::collections::BTreeSet;

use super::repository::Repository;

/// The checks by name, as in the allow-list, and the rules that they watch over.
pub(super) const CHECKS: &[(&str, &[&str])] = &[
    ("ban", &["S14"]),
    ("command", &["B1"]),
    ("crate-arrow", &["S1", "P3", "E3"]),
    ("doc-example", &["D6"]),
    ("duplicate", &["P2"]),
    ("english", &["W6"]),
    ("error-code", &["E5"]),
    ("file-name", &["N5"]),
    ("front-page", &["S11"]),
    ("history", &["D3"]),
    ("introduction", &["D1"]),
    ("later", &["D3"]),
    ("length", &["S9", "B5"]),
    ("license", &["P2"]),
    ("link", &["B6"]),
    ("lock-file", &["P2"]),
    ("machine", &["B9"]),
    ("manifest", &["P1", "B1", "B9", "M4"]),
    ("migration", &["B10"]),
    ("module-arrow", &["S1"]),
    ("part", &["C1"]),
    ("print", &["H3"]),
    ("public-module", &["V1"]),
    ("purity", &["S2"]),
    ("snapshot", &["T13"]),
    ("spawn", &["C4"]),
    ("spelling", &["N7"]),
    ("test-program", &["T14"]),
    ("testing", &["T6", "T13", "N6"]),
    ("unsafe", &["U1", "U6"]),
    ("unused-dependency", &["P1"]),
    ("word", &["N2"]),
];

/// Lints of the workspace (`Cargo.toml`, `clippy.toml`) and the rules that they watch over.
const LINTS: &[(&str, &[&str])] = &[
    ("allow_attributes_without_reason", &["B7"]),
    ("await_holding_lock", &["C5"]),
    ("disallowed_methods", &["S14", "C4", "C6", "T6"]),
    ("let_underscore_must_use", &["E9"]),
    ("multiple_unsafe_ops_per_block", &["U2"]),
    ("print_stdout", &["H3"]),
    ("print_stderr", &["H3"]),
    ("self_named_module_files", &["S11"]),
    ("too-many-arguments-threshold", &["S13"]),
    ("too_many_lines", &["S10"]),
    ("undocumented_unsafe_blocks", &["U2"]),
    ("unreachable_pub", &["V1"]),
    ("unsafe_code", &["U1"]),
    ("unsafe_op_in_unsafe_fn", &["U2"]),
    ("unwrap_used", &["E9"]),
];

/// The rules that no machine watches over yet, and why not.
const UNCHECKED: &[(&[&str], &str)] = &[
    (&["S3", "S4", "S7", "S8", "C2", "C7"], "a matter of design; the tests of the core and the store show its effects"),
    (&["S5", "S6"], "tests of the engine's own, once its states are all there"),
    (&["S12", "N3", "N4", "V2", "V3", "V4", "E1", "E2"], "needs a parser of the grammar and of intent"),
    (&["S15", "N1", "D2", "D4", "D5", "P4", "B7"], "a matter of judgment in a review"),
    (
        &["S16", "V5", "V6", "M1", "M2", "M3", "M5"],
        "a matter of where types stand; partly seen by `purity` and `crate-arrow`",
    ),
    (&["C3"], "a bound is not told from another constant"),
    (&["E4", "E6", "E7", "E8", "E10", "E11"], "the tests of each crate show them"),
    (
        &["T1", "T2", "T3", "T4", "T5", "T7", "T8", "T9", "T10", "T11", "T12", "T15"],
        "tests do not tell which tests are missing",
    ),
    (&["U3", "U4", "U5", "U7", "U8", "U9"], "argued for where the code is, and tried out by the tests of the loader"),
    (&["H1", "H2"], "there is no HTTP interface yet"),
    (&["H4"], "the tests of the command line show it"),
    (&["B2", "B3", "B4"], "about changes, not about what is there"),
    (&["B8"], "about releases"),
    (&["W1", "W2", "W3", "W4", "W5", "W7"], "needs a reader from outside of the project"),
];

/// The rules of the document, and whether each is marked as watched over.
fn rules(style: &str) -> Vec<(&str, bool)> {
    let rules = style.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("**"));
    rules.map(|(rule, text)| (rule, text.trim_start().starts_with('⚙'))).collect()
}

/// What does not fit between the document, the tables and the lints that are on.
fn misfits(
    style: &str,
    lints_on: &str,
    checks: &[(&str, &[&str])],
    lints: &[(&str, &[&str])],
    unchecked: &[&str],
) -> Vec<String> {
    let rules = rules(style);
    let tables = checks.iter().chain(lints).flat_map(|(_, rules)| *rules);
    let watched: BTreeSet<&str> = tables.copied().filter(|rule| !unchecked.contains(rule)).collect();
    let mut misfits = Vec::new();
    for (rule, marked) in &rules {
        if *marked != watched.contains(rule) {
            misfits.push(format!("{rule}: the mark in docs/style.md says {marked}, the tables say {}", !marked));
        }
        if !marked && !unchecked.contains(rule) {
            misfits.push(format!("{rule}: in no table"));
        }
    }
    let known: BTreeSet<&str> = rules.iter().map(|(rule, _)| *rule).collect();
    let unknown = watched.iter().chain(unchecked).filter(|rule| !known.contains(**rule));
    misfits.extend(unknown.map(|rule| format!("{rule}: not in docs/style.md")));
    let off = lints.iter().filter(|(lint, _)| !lints_on.lines().any(|line| line.starts_with(&format!("{lint} = "))));
    // A table of clippy.toml has its own spelling.
    misfits.extend(off.map(|(lint, _)| format!("{lint}: not among the lints of the workspace")));
    misfits
}

#[test]
fn every_rule_is_watched_over_or_listed_as_not() {
    let repository = Repository::here();
    let style = repository.text("docs/style.md").expect("the style is a document");
    let lints_on =
        ["Cargo.toml", "clippy.toml"].map(|path| repository.text(path).expect("the lints are there")).join("\n");
    let unchecked: Vec<&str> = UNCHECKED.iter().flat_map(|(rules, _)| *rules).copied().collect();
    let misfits = misfits(style, &lints_on, CHECKS, LINTS, &unchecked);
    assert!(misfits.is_empty(), "{}", misfits.join("\n"));
}

#[test]
fn a_rule_without_a_check_is_found() {
    const STYLE: &str = "- **S1** ⚙ One way.\n- **S2** By hand.\n";
    for (style, lints_on, unchecked, expected) in [
        (STYLE, "a_lint = \"warn\"", &["S2"][..], &[][..]),
        (STYLE, "a_lint = \"warn\"", &[], &["S2: in no table"]),
        (STYLE, "", &["S2"], &["a_lint: not among"]),
        ("- **S1** One way.\n- **S2** By hand.\n", "a_lint = \"warn\"", &["S2"], &["S1: the mark", "S1: in no table"]),
        (STYLE, "a_lint = \"warn\"", &["S2", "S9"], &["S9: not in"]),
    ] {
        let misfits = misfits(style, lints_on, &[], &[("a_lint", &["S1"])], unchecked);
        assert_eq!(misfits.len(), expected.len(), "{misfits:?}");
        for (misfit, expected) in misfits.iter().zip(expected) {
            assert!(misfit.starts_with(expected), "{misfit}");
        }
    }
}
