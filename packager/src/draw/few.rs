//! A list of names in short.

/// How many names of a list are written.
const NAMES_MAX: usize = 20;

/// The first names of a list and, if that is not all, how many more there are, with `hint` behind the number.
pub fn few(names: &[&str], hint: &str) -> String {
    match names.split_at_checked(NAMES_MAX) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more{hint}", first.join(", "), rest.len()),
        _ => names.join(", "),
    }
}
