//! A document as an example: what differs from run to run has one form, and what is long is cut.

use std::collections::BTreeMap;

use super::ordered::Node;
use super::schema::is_moment;

/// Items of a list that are shown at most.
const ITEMS_MAX: usize = 3;
/// Letters of a text that are shown at most.
const LETTERS_MAX: usize = 200;

/// What stands for any moment.
const MOMENT: &str = "2026-01-31T10:00:00.000000Z";

/// Figures that are measured, or belong to the machine.
const MEASURED: [&str; 5] = ["pid", "size", "bytes", "cores", "rows"];
/// Texts of the machine.
const OF_MACHINE: [(&str, &str); 10] = [
    ("timestamp", MOMENT),
    ("generated_at", MOMENT),
    ("report_id", "RPT_1769853600"),
    ("encrypted", "hBiX9v…"),
    ("comment", "timestamp:1767225600"),
    ("public_key", "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"),
    ("glibc", "2.34"),
    ("sqlite", "3.50.4"),
    ("postgres", "15.14"),
    ("filesystem", "ext4"),
];

/// The ids that were seen, each with the one that stands for it.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: BTreeMap<String, String>,
}

impl Names {
    /// The document as it stands on a page.
    pub(super) fn example(&mut self, document: &Node) -> Node {
        self.shown("", document)
    }

    fn shown(&mut self, name: &str, node: &Node) -> Node {
        match node {
            Node::Scalar(scalar) => Node::Scalar(self.scalar(name, scalar)),
            Node::List(items) => Node::List(items.iter().take(ITEMS_MAX).map(|item| self.shown(name, item)).collect()),
            Node::Map(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), self.shown(name, value)));
                Node::Map(fields.collect())
            }
        }
    }

    fn scalar(&mut self, name: &str, scalar: &str) -> String {
        let Some(text) = scalar.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
            let is_measured = name.ends_with("_us") || name.ends_with("_bytes") || MEASURED.contains(&name);
            let is_number = scalar.starts_with(|letter: char| letter.is_ascii_digit());
            return match scalar {
                "true" | "false" if name == "met" => "true".to_owned(),
                figure if figure.contains('.') => "1.5".to_owned(),
                _ if is_number && is_measured => "4096".to_owned(),
                other => other.to_owned(),
            };
        };
        if let Some((_, fixed)) = OF_MACHINE.iter().find(|(of_machine, _)| *of_machine == name) {
            return format!("\"{fixed}\"");
        }
        if text.ends_with("/sdk") {
            return "\"../cloacina/sdk\"".to_owned();
        }
        let text = without_moments(text);
        let mut shown = String::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphanumeric()) {
            let (before, word) = rest.split_at(start);
            let end = word.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').unwrap_or(word.len());
            let (word, after) = word.split_at(end);
            shown.push_str(before);
            shown.push_str(&self.name(word));
            rest = after;
        }
        shown.push_str(rest);
        if let Some((at, _)) = shown.char_indices().nth(LETTERS_MAX) {
            // An escape is not cut in two.
            shown.truncate(at);
            shown.truncate(shown.trim_end_matches('\\').len());
            shown.push('…');
        }
        format!("\"{shown}\"")
    }

    /// The name that stands for an id; any other word is itself.
    fn name(&mut self, word: &str) -> String {
        let is_hex = word.chars().all(|letter| letter.is_ascii_hexdigit());
        let is_run = word.len() == 36 && word.matches('-').count() == 4;
        let is_key = word.len() == 16 && is_hex && !word.contains(|letter: char| letter.is_ascii_lowercase());
        let form = match word.len() {
            64 if is_hex => "digest",
            36 if is_run => "run",
            16 if is_key => "key",
            16 if is_hex => "id",
            _ => return word.to_owned(),
        };
        let number = self.names.values().filter(|known| known.starts_with(form)).count() + 1;
        let name = self.names.entry(word.to_owned()).or_insert_with(|| format!("{form} {number}"));
        let number: usize = name.rsplit_once(' ').unwrap().1.parse().unwrap();
        match form {
            "digest" => format!("{number:x}").repeat(64)[..64].to_owned(),
            "run" => format!("019c1310-5c00-7000-8000-{number:012x}"),
            "id" => format!("{number:x}").repeat(16)[..16].to_owned(),
            _ => format!("{number:X}").repeat(16)[..16].to_owned(),
        }
    }
}

/// The text with one moment for all.
fn without_moments(text: &str) -> String {
    let mut text = text.to_owned();
    for start in 0..text.len() {
        let end = start + MOMENT.len();
        if text.get(start..end).is_some_and(is_moment) {
            text.replace_range(start..end, MOMENT);
        }
    }
    text
}
