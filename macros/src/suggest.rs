//! Near names: "did you mean …" for a word that is not in a list.
//!
//! A name is near when its edit distance (insertions, deletions, replacements, swapped neighbors) is at most a third of
//! the longer word, or when one of the two begins or ends with the other. Words of similar engines that no distance finds
//! (`retries`, `depends_on`) stand for ours.

use strsim::osa_distance;

/// The distance above which no length makes two words near.
const DISTANCE_MAX: usize = 4;

/// The shortest word that counts as the beginning or the end of another.
const AFFIX_CHARS_MIN: usize = 3;

/// The words of other engines, and the word for each here.
const TRANSLATIONS: &[(&str, &str)] = &[
    ("after", "dependencies"),
    ("authors", "author"),
    ("condition", "retry_condition"),
    ("depends_on", "dependencies"),
    ("deps", "dependencies"),
    ("doc", "description"),
    ("jitter", "retry_jitter"),
    ("max_retries", "retry_attempts"),
    ("needs_network", "needs"),
    ("network", "net"),
    ("requires", "dependencies"),
    ("retries", "retry_attempts"),
    ("upstream", "dependencies"),
    ("and", "all"),
    ("or", "any"),
    ("not", "none"),
    ("eq", "equals"),
    ("ne", "not_equals"),
    ("gt", "greater_than"),
    ("ge", "greater_or_equal"),
    ("lt", "less_than"),
    ("le", "less_or_equal"),
];

/// The nearest word to `word` among `candidates`; the first one if several are as near.
pub(crate) fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let ranked = candidates.into_iter().filter_map(|candidate| {
        let translated = TRANSLATIONS.iter().filter(|(_, ours)| *ours == candidate).map(|(theirs, _)| *theirs);
        let ranks = translated.filter_map(|theirs| rank(&lower, theirs)).chain(rank(&lower, candidate));
        Some((ranks.min()?, candidate))
    });
    ranked.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// `; did you mean …` or nothing, to be appended to a message.
pub(crate) fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    near(word, candidates).map_or_else(String::new, |candidate| format!("; did you mean `{candidate}`?"))
}

/// `a`, `b` and `c`, for messages that list everything there is.
pub(crate) fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

fn rank(lower: &str, candidate: &str) -> Option<usize> {
    let other = candidate.to_lowercase();
    let longer = lower.chars().count().max(other.chars().count());
    let shorter = lower.chars().count().min(other.chars().count());
    let distance = osa_distance(lower, &other);
    if distance <= (longer / 3).clamp(1, DISTANCE_MAX) {
        return Some(distance);
    }
    let contained =
        lower.starts_with(&other) || other.starts_with(lower) || lower.ends_with(&other) || other.ends_with(lower);
    (shorter >= AFFIX_CHARS_MIN && contained).then_some(DISTANCE_MAX + longer - shorter)
}

#[cfg(test)]
mod tests {
    use super::{hint, list, near};

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["id", "dependencies", "retry_attempts", "retry_delay_ms", "timeout_ms", "priority"];
        for (word, expected) in [
            ("dependancies", Some("dependencies")),
            ("depends_on", Some("dependencies")),
            ("retry_attempt", Some("retry_attempts")),
            ("retires", Some("retry_attempts")),
            ("retries", Some("retry_attempts")),
            ("retry_delay", Some("retry_delay_ms")),
            ("timeout", Some("timeout_ms")),
            ("ids", Some("id")),
            ("Priority", Some("priority")),
            ("color", None),
            ("x", None),
        ] {
            assert_eq!(near(word, names), expected, "{word}");
        }
    }

    #[test]
    fn hints_and_lists_read_as_text() {
        assert_eq!(hint("extrcat", ["extract", "load"]), "; did you mean `extract`?");
        assert_eq!(hint("zzz", ["extract", "load"]), "");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(list(&["a"]), "`a`");
    }
}
