//! The limits of the texts that people and programs give to an engine, which stores them or uses them to look up records.
//!
//! One table for the library, the command line and the socket, and for both databases: PostgreSQL stores no zero
//! character and indexes no text of more than about 2,700 bytes, while SQLite takes both. A text that does not keep to
//! the table is refused before anything is written. `docs/reference/limits.md` shows the table to people.

/// What a text of one kind may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) what: &'static str,
    pub(crate) bytes_max: usize,
    /// Whether it may be empty.
    may_be_empty: bool,
}

/// With a submission key the same run is found again. It is indexed together with the full name of the workflow.
pub(crate) const SUBMISSION_KEY: Limit = Limit { what: "submission key", bytes_max: 1024, may_be_empty: false };
/// The actor of a request. Programs may leave it empty.
pub(crate) const ACTOR: Limit = Limit { what: "actor", bytes_max: 256, may_be_empty: true };
/// Why something is done, for people.
pub(crate) const REASON: Limit = Limit { what: "reason", bytes_max: 1024, may_be_empty: false };
/// A text that finds a workflow, a version of a package, or a key that is trusted: three names and a digest fit.
pub(crate) const SELECTOR: Limit = Limit { what: "name to look for", bytes_max: 640, may_be_empty: false };
/// A name that is stored: of a tenant, a package, a workflow, a task or a key that is trusted.
pub(crate) const NAME: Limit = Limit { what: "name", bytes_max: 128, may_be_empty: false };
/// The packages that a key may sign, all together.
pub(crate) const SCOPES: Limit = Limit { what: "list of scopes", bytes_max: 1024, may_be_empty: true };

#[cfg(test)]
const TABLE: [&Limit; 6] = [&SUBMISSION_KEY, &ACTOR, &REASON, &SELECTOR, &NAME, &SCOPES];

/// A text that does not keep to its limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} cannot be used: {reason}")]
pub struct TextRefused {
    /// What the text is.
    pub what: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl TextRefused {
    pub(crate) const CODE: &'static str = "RUN0020";

    pub(crate) fn hint(&self) -> String {
        "docs/reference/limits.md lists the limits of each text".to_owned()
    }
}

impl Limit {
    /// Refuses a text that does not keep to the limit.
    pub(crate) fn check(&self, text: &str) -> Result<(), TextRefused> {
        let reason = if text.len() > self.bytes_max {
            format!("it has {} bytes, and the limit is {}", text.len(), self.bytes_max)
        } else if text.is_empty() && !self.may_be_empty {
            "it is empty".to_owned()
        } else if let Some(control) = text.chars().find(|character| character.is_control()) {
            format!("it has the control character {}", control.escape_unicode())
        } else {
            return Ok(());
        };
        Err(TextRefused { what: self.what, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_lists_every_limit() {
        let page = include_str!("../../docs/reference/limits.md");
        for Limit { what, bytes_max, may_be_empty } in TABLE {
            let row = format!("| {what} | {bytes_max} | {} |", if *may_be_empty { "yes" } else { "no" });
            assert!(page.contains(&row), "docs/reference/limits.md has no row `{row}`");
        }
    }

    #[test]
    fn a_text_may_be_as_long_as_its_limit_and_not_longer() {
        for limit in TABLE {
            assert_eq!(limit.check(&"x".repeat(limit.bytes_max)), Ok(()), "{limit:?}");
            for text in ["x".repeat(limit.bytes_max + 1), "a\0b".to_owned(), "a\nb".to_owned(), "\u{85}".to_owned()] {
                assert!(limit.check(&text).is_err_and(|refused| refused.what == limit.what), "{text:?}");
            }
            assert_eq!(limit.check("").is_ok(), limit.may_be_empty, "{limit:?}");
        }
        // Bytes are counted, and not letters.
        assert!(ACTOR.check(&"\u{e4}".repeat(129)).is_err());
    }
}
