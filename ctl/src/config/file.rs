//! The file of settings: TOML, whose sections and keys are the names of settings.
//!
//! A value is a text, a number, true or false, or a list of texts. A value that is secret may be somewhere else:
//! `{ file = "PATH" }`, `{ variable = "NAME" }` or `{ encrypted = "…" }`.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::kind::Kind;
use super::table::{nearest, setting};
use crate::error::Error;

/// A value that the file gives to a setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) name: &'static str,
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) content: Content,
}

/// What stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Texts(Vec<String>),
    /// The value is in that file.
    InFile(PathBuf),
    /// The value is in that variable.
    InVariable(String),
    /// The value is encrypted.
    Encrypted(String),
}

/// Why a file cannot be used, and where.
struct Wrong {
    line: usize,
    reason: String,
    near: Option<&'static str>,
}

/// Reads a file of settings.
///
/// # Errors
/// [`Error::BadConfig`] if the text is not TOML, or has a name that no setting has, or a value of another kind.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<Given>, Error> {
    // Some editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let place = path.display().to_string();
    let table = DeTable::parse(text).map_err(|error| Error::BadConfig {
        place: place.clone(),
        reason: error.to_string().trim().to_owned(),
        near: None,
    })?;
    given(text, table.get_ref()).map_err(|Wrong { line, reason, near }| Error::BadConfig {
        place: format!("{place}, line {line}"),
        reason,
        near: near.map(str::to_owned),
    })
}

fn given(text: &str, sections: &DeTable<'_>) -> Result<Vec<Given>, Wrong> {
    let mut all = Vec::new();
    for (section, content) in sections {
        let line = line_of(text, section.span().start);
        let DeValue::Table(keys) = content.get_ref() else {
            let reason = format!("`{}` is not in a section such as `[server]`", section.get_ref());
            return Err(Wrong { line, reason, near: None });
        };
        for (key, value) in keys {
            let name = format!("{}.{}", section.get_ref(), key.get_ref());
            let line = line_of(text, key.span().start);
            let Some(setting) = setting(&name) else {
                let reason = format!("no setting has the name `{name}`");
                return Err(Wrong { line, reason, near: nearest(&name) });
            };
            let content = content_of(&setting.kind, value).map_err(|reason| Wrong {
                line,
                reason: format!("`{name}` {reason}"),
                near: None,
            })?;
            all.push(Given { name: setting.name, line, content });
        }
    }
    Ok(all)
}

fn content_of(kind: &Kind, value: &Spanned<DeValue<'_>>) -> Result<Content, String> {
    match value.get_ref() {
        DeValue::Array(values) if kind.is_list() => {
            let text = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                _ => Err("is a list of texts in quotes".to_owned()),
            };
            Ok(Content::Texts(values.iter().map(text).collect::<Result<_, _>>()?))
        }
        _ if kind.is_list() => Err("is a list, such as `[\"one\", \"two\"]`".to_owned()),
        DeValue::String(text) => Ok(Content::Texts(vec![text.to_string()])),
        DeValue::Integer(number) => Ok(Content::Texts(vec![number.to_string()])),
        DeValue::Boolean(flag) => Ok(Content::Texts(vec![flag.to_string()])),
        DeValue::Table(table) if matches!(kind, Kind::Secret) => elsewhere(table),
        _ => Err("has a value of another kind: use a text in quotes, a number, `true` or `false`".to_owned()),
    }
}

/// Where the value is that does not stand in the file.
fn elsewhere(table: &DeTable<'_>) -> Result<Content, String> {
    let mut entries = table.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()));
    match (entries.next(), entries.next()) {
        (Some(("file", DeValue::String(path))), None) => Ok(Content::InFile(path.as_ref().into())),
        (Some(("variable", DeValue::String(name))), None) => Ok(Content::InVariable(name.to_string())),
        (Some(("encrypted", DeValue::String(sealed))), None) => Ok(Content::Encrypted(sealed.to_string())),
        _ => Err("is a text, or one of `{ file = \"PATH\" }`, `{ variable = \"NAME\" }` and `{ encrypted = \"…\" }`"
            .to_owned()),
    }
}

/// The line of a byte, from 1.
fn line_of(text: &str, byte: usize) -> usize {
    1 + text.as_bytes().iter().take(byte).filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Given> {
        read(Path::new("c.toml"), text).unwrap()
    }

    fn wrong(text: &str) -> String {
        read(Path::new("c.toml"), text).unwrap_err().to_string()
    }

    fn texts(name: &'static str, line: usize, texts: &[&str]) -> Given {
        Given { name, line, content: Content::Texts(texts.iter().map(|text| (*text).to_owned()).collect()) }
    }

    #[test]
    fn values_keep_their_lines() {
        let text =
            "\u{feff}[database]\nurl = 'a.db'\n\n[engine]\nslots = 5\nrequire_sandbox = true\ninline = ['a', 'b']\n";
        let expected = [
            texts("database.url", 2, &["a.db"]),
            texts("engine.inline", 7, &["a", "b"]),
            texts("engine.require_sandbox", 6, &["true"]),
            texts("engine.slots", 5, &["5"]),
        ];
        assert_eq!(all(text), expected);
        assert_eq!(all("server.listen = 'x'"), [texts("server.listen", 1, &["x"])], "a check of the value comes later");
    }

    #[test]
    fn secrets_may_be_elsewhere() {
        let content = |text: &str| all(text).remove(0).content;
        assert_eq!(content("database.url = { file = '/s' }"), Content::InFile("/s".into()));
        assert_eq!(content("database.url = { variable = 'V' }"), Content::InVariable("V".to_owned()));
        assert_eq!(content("database.url = { encrypted = 'AA' }"), Content::Encrypted("AA".to_owned()));
    }

    #[test]
    fn a_mistake_names_its_line() {
        assert!(wrong("\n\n[servr]\nlisten = 'x'").contains("c.toml, line 4: no setting has the name `servr.listen`"));
        assert!(wrong("listen = 'x'").contains("c.toml, line 1: `listen` is not in a section"));
        assert!(wrong("[engine]\ninline = 'a'").contains("line 2: `engine.inline` is a list"));
        assert!(
            wrong("[engine]\nslots = { file = 'a' }").contains("line 2: `engine.slots` has a value of another kind")
        );
        assert!(
            wrong("[database]\nurl = { file = 'a', variable = 'b' }").contains("line 2: `database.url` is a text, or")
        );
        assert!(wrong("[database]\nurl = 'a.db").contains("c.toml"));
    }
}
