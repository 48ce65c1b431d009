//! Which names a new package may have: those that are at once names of crates and of packages.

use crate::error::Error;

/// The longest name of anything in a package.
const NAME_CHARS_MAX: usize = 64;

/// Names that cargo refuses, or that would hide a crate which every package links.
#[rustfmt::skip]
const TAKEN: &[&str] = &[
    // Keywords, also those kept for later.
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
    // Folders of cargo and crates of every program.
    "alloc", "build", "core", "deps", "examples", "incremental", "proc-macro", "proc_macro", "std", "test",
    // Crates that every package links.
    "cloacina", "cloacina-macros", "cloacina_macros", "cloacina-workflow", "cloacina_workflow", "serde_json", "serde",
];

/// Refuses a name with a reason and, where one can be made of it, a valid name.
pub(super) fn check(name: &str) -> Result<(), Error> {
    match mistake(name) {
        None => Ok(()),
        Some(reason) => Err(Error::BadPackageName { name: name.to_owned(), reason, suggestion: suggestion(name) }),
    }
}

fn mistake(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > NAME_CHARS_MAX {
        Some("it is longer than 64 characters")
    } else if !name.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || "_-".contains(one)) {
        Some("it holds other characters than lower-case letters, digits, `_` and `-`")
    } else if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        Some("it does not start with a letter")
    } else if TAKEN.contains(&name) {
        Some("the name is reserved by the language or by a crate that packages link")
    } else {
        None
    }
}

/// The nearest valid name: `MyPackage 2` becomes `my_package_2`.
fn suggestion(name: &str) -> Option<String> {
    let mut better = String::new();
    let mut after_lower = false;
    for one in name.chars() {
        if one.is_ascii_uppercase() && after_lower {
            better.push('_');
        }
        match one {
            '-' => better.push('-'),
            _ if one.is_ascii_alphanumeric() => better.push(one.to_ascii_lowercase()),
            _ if !better.ends_with(['_', '-']) => better.push('_'),
            _ => {}
        }
        after_lower = one.is_ascii_lowercase();
    }
    let start = |one: char| !one.is_ascii_lowercase();
    let mut better: String = better.trim_start_matches(start).chars().take(NAME_CHARS_MAX).collect();
    better.truncate(better.trim_end_matches(['_', '-']).len());
    if TAKEN.contains(&better.as_str()) {
        better.push_str("_package");
    }
    mistake(&better).is_none().then_some(better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_name_is_refused_with_a_better_one() {
        for (name, expected) in [
            ("MyPackage", Some("my_package")),
            ("my package!", Some("my_package")),
            ("2fast", Some("fast")),
            ("match", Some("match_package")),
            ("serde", Some("serde_package")),
            ("a/../b", Some("a_b")),
            ("HTTPServer", Some("httpserver")),
            ("", None),
            ("42", None),
            ("ünï", Some("n")),
        ] {
            let Err(Error::BadPackageName { suggestion, .. }) = check(name) else { panic!("{name} is refused") };
            assert_eq!(suggestion.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_good_name_is_taken_as_it_is() {
        for name in ["simple_demo", "my-package", "a", "x2"] {
            assert!(check(name).is_ok(), "{name}");
        }
    }
}
