//! Redacts secrets in texts. The one implementation, for packages and the engine.
//!
//! All secrets are searched for in one pass over a text (Aho and Corasick 1975). Where secrets overlap, or one contains
//! another, the whole covered text is replaced by one [`REDACTED`]. A text in pieces is redacted as if it were whole
//! ([`Redaction`]): a possible beginning of a secret is held back until the next piece decides. So the rule for every limit
//! is: redact first, cut afterwards.
//!
//! A secret is searched for with and without the blanks around it, each of these literally, as JSON and as Rust's `{:?}`
//! write it, and each long line by itself. A secret that a task encodes, cuts or hashes is not found.
//!
//! The automaton is written here for two reasons: crates with such an automaton do not tell how many bytes at the end of a
//! text may be the beginning of a match, which a text in pieces needs; and each package would contain the crate.

use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
    fmt, mem,
    sync::Arc,
};

use serde_json::Value;

/// The replacement of a secret.
pub const REDACTED: &str = "***";

/// Shorter texts occur in too many words.
pub const SECRET_BYTES_MIN: usize = 4;

/// Shorter lines of a longer secret tell too little to be searched for by themselves.
const LINE_BYTES_MIN: usize = 8;

/// The limit of all secrets together, whose automaton takes up to 24 times as much memory. Above the limit, every text is
/// redacted as a whole.
const SECRETS_BYTES_MAX: usize = 8 << 20;

const ROOT: u32 = 0;

/// Adds the texts of a value, in every way in which they are usually written.
pub fn collect(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => add(&number.to_string(), texts),
        Value::String(text) => collect_text(text, texts),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => members.values().for_each(|member| collect(member, texts)),
    }
}

/// Adds a text, in every way in which it is usually written.
pub fn collect_text(text: &str, texts: &mut BTreeSet<String>) {
    let unix = text.replace("\r\n", "\n");
    for text in BTreeSet::from([text, text.trim(), &unix, unix.trim()]) {
        add(text, texts);
        for quoted in [serde_json::to_string(text).unwrap_or_default(), format!("{text:?}")] {
            if let Some(inside) = quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')) {
                add(inside, texts);
            }
        }
    }
    text.lines().map(str::trim).filter(|line| line.len() >= LINE_BYTES_MIN).for_each(|line| add(line, texts));
}

fn add(text: &str, texts: &mut BTreeSet<String>) {
    if text.len() >= SECRET_BYTES_MIN && !texts.contains(text) {
        texts.insert(text.to_owned());
    }
}

/// Finds texts in other texts.
#[derive(Default)]
pub struct Redactor {
    /// The texts as a tree of their bytes. Empty if there are none.
    nodes: Vec<Node>,
    /// The first byte decides most often, so it is looked up at once.
    roots: Vec<u32>,
    /// The secrets are larger than the limit.
    redacts_all: bool,
}

/// The beginning of one or several texts.
#[derive(Clone, Copy, Default)]
struct Node {
    /// The first of the nodes that are longer by one byte, or the root if there is none.
    first: u32,
    /// The next one that is longer than the same node, or the root if it is the last.
    next: u32,
    /// The longest other beginning of a text that this one ends with.
    failure: u32,
    /// How many bytes it has.
    depth: u32,
    /// How many bytes the longest text has that it ends with.
    found: u32,
    /// Its last byte.
    byte: u8,
}

impl Redactor {
    /// A redactor of these texts.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut redactor = Self::default();
        let mut n_bytes = 0;
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            n_bytes += text.len();
            if n_bytes > SECRETS_BYTES_MAX {
                return Self { redacts_all: true, ..Self::default() };
            }
            redactor.insert(text.as_bytes());
        }
        redactor.link();
        redactor
    }

    /// Whether there are no secrets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && !self.redacts_all
    }

    /// A whole text without secrets.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_to(text, false)
    }

    /// The beginning of a text that was cut: a possible beginning of a secret at its end is replaced too.
    #[must_use]
    pub fn redact_beginning<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_to(text, true)
    }

    fn redact_to<'a>(&self, text: &'a str, is_cut: bool) -> Cow<'a, str> {
        if self.is_empty() || text.is_empty() {
            return Cow::Borrowed(text);
        }
        if self.redacts_all {
            return Cow::Borrowed(REDACTED);
        }
        let mut spans = VecDeque::new();
        let mut state = ROOT;
        for (place, byte) in text.bytes().enumerate() {
            state = self.step(state, byte);
            self.note(state, place + 1, &mut spans);
        }
        let n_open = self.depth(state);
        if is_cut && n_open > 0 {
            cover(&mut spans, text.len() - n_open, text.len());
        }
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut redacted = String::with_capacity(text.len());
        let mut at = 0;
        for Span { start, end, .. } in spans {
            redacted.push_str(&text[at..start]);
            redacted.push_str(REDACTED);
            at = end;
        }
        redacted.push_str(&text[at..]);
        Cow::Owned(redacted)
    }

    fn insert(&mut self, text: &[u8]) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
            self.roots = vec![ROOT; 256];
        }
        let mut node = ROOT;
        for byte in text {
            node = match self.child(node, *byte) {
                ROOT => self.grow(node, *byte),
                child => child,
            };
        }
        self.nodes[node as usize].found = self.nodes[node as usize].depth;
    }

    fn grow(&mut self, parent: u32, byte: u8) -> u32 {
        // There are no more nodes than bytes of all secrets.
        let child = u32::try_from(self.nodes.len()).unwrap_or(ROOT);
        let Node { first: next, depth, .. } = self.nodes[parent as usize];
        self.nodes.push(Node { next, depth: depth + 1, byte, ..Node::default() });
        self.nodes[parent as usize].first = child;
        if parent == ROOT {
            self.roots[usize::from(byte)] = child;
        }
        child
    }

    /// Computes for each node where the search continues when no text has the next byte: shorter nodes first.
    fn link(&mut self) {
        if self.nodes.is_empty() {
            return;
        }
        let mut queue = VecDeque::from([ROOT]);
        while let Some(node) = queue.pop_front() {
            let Node { first, failure, .. } = self.nodes[node as usize];
            let mut child = first;
            while child != ROOT {
                let Node { next, byte, depth, found, .. } = self.nodes[child as usize];
                let failure = if node == ROOT { ROOT } else { self.step(failure, byte) };
                let found = if found == depth { found } else { self.nodes[failure as usize].found };
                let linked = &mut self.nodes[child as usize];
                (linked.failure, linked.found) = (failure, found);
                queue.push_back(child);
                child = next;
            }
        }
    }

    /// The node that is longer by that byte, or the root.
    fn child(&self, node: u32, byte: u8) -> u32 {
        if node == ROOT {
            return self.roots[usize::from(byte)];
        }
        let mut child = self.nodes[node as usize].first;
        while child != ROOT && self.nodes[child as usize].byte != byte {
            child = self.nodes[child as usize].next;
        }
        child
    }

    /// The longest beginning of a text after one more byte.
    fn step(&self, mut state: u32, byte: u8) -> u32 {
        loop {
            match self.child(state, byte) {
                ROOT if state == ROOT => return ROOT,
                ROOT => state = self.nodes[state as usize].failure,
                child => return child,
            }
        }
    }

    /// How many bytes at the end may be the beginning of a secret.
    fn depth(&self, state: u32) -> usize {
        self.nodes.get(state as usize).map_or(0, |node| node.depth as usize)
    }

    /// Notes the secrets that end there. The longest covers all others.
    fn note(&self, state: u32, end: usize, spans: &mut VecDeque<Span>) {
        let found = self.nodes[state as usize].found as usize;
        if found > 0 {
            cover(spans, end - found, end);
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redactor").field("n_nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

/// A part of a text that secrets cover.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    /// Whether its replacement was written already.
    is_told: bool,
}

/// Adds a part that begins or ends after all others do; those that it overlaps become one with it.
fn cover(spans: &mut VecDeque<Span>, start: usize, end: usize) {
    let mut covered = Span { start, end, is_told: false };
    while let Some(last) = spans.pop_back_if(|last| last.end > start) {
        let (start, end) = (covered.start.min(last.start), covered.end.max(last.end));
        covered = Span { start, end, is_told: covered.is_told || last.is_told };
    }
    spans.push_back(covered);
}

/// One text that is redacted piece by piece.
#[derive(Debug, Default)]
pub struct Redaction {
    redactor: Arc<Redactor>,
    state: u32,
    /// The bytes that were received and not written yet.
    held: String,
    /// How many bytes were received before these.
    n_before: usize,
    /// The places of secrets, from the held bytes on.
    spans: VecDeque<Span>,
    /// Whether the replacement of a line has been written, when every text is redacted as a whole.
    is_in_line: bool,
}

impl Redaction {
    /// Searches for other secrets from now on, also in the held bytes.
    pub fn search_for(&mut self, redactor: Arc<Redactor>, redacted: &mut String) {
        if Arc::ptr_eq(&self.redactor, &redactor) || self.redactor.is_empty() && redactor.is_empty() {
            return;
        }
        self.redactor = redactor;
        self.state = ROOT;
        self.spans.retain(|span| span.is_told && !self.redactor.redacts_all);
        let held = mem::take(&mut self.held);
        self.push(&held, redacted);
    }

    /// Takes the next piece, and appends the decided part to the redacted text.
    pub fn push(&mut self, piece: &str, redacted: &mut String) {
        if self.redactor.redacts_all {
            return self.hide_lines(piece, redacted);
        }
        if self.redactor.is_empty() && self.held.is_empty() && self.spans.is_empty() {
            redacted.push_str(piece);
            return;
        }
        let before = self.n_before + self.held.len();
        self.held.push_str(piece);
        if !self.redactor.is_empty() {
            for (place, byte) in piece.bytes().enumerate() {
                self.state = self.redactor.step(self.state, byte);
                self.redactor.note(self.state, before + place + 1, &mut self.spans);
            }
        }
        self.tell(self.redactor.depth(self.state), redacted);
    }

    /// The text has ended: the held bytes are not the beginning of a secret. Another text may follow.
    pub fn finish(&mut self, redacted: &mut String) {
        self.tell(0, redacted);
        self.spans.clear();
        (self.state, self.is_in_line) = (ROOT, false);
    }

    /// Other output follows before the next piece of the text. A possible beginning of a secret is replaced, and so is its
    /// rest if it is one.
    pub fn interrupt(&mut self, redacted: &mut String) {
        self.is_in_line = false;
        let end = self.n_before + self.held.len();
        if self.n_before == end {
            return;
        }
        cover(&mut self.spans, self.n_before, end);
        if let Some(span) = self.spans.back_mut().filter(|span| !span.is_told) {
            span.is_told = true;
            redacted.push_str(REDACTED);
        }
    }

    /// Adds all to the redacted text but the last bytes.
    fn tell(&mut self, n_held: usize, redacted: &mut String) {
        let end = self.n_before + self.held.len().saturating_sub(n_held);
        let mut at = self.n_before;
        while at < end {
            let text_end = match self.spans.front_mut() {
                Some(span) if span.start <= at => {
                    if !mem::replace(&mut span.is_told, true) {
                        redacted.push_str(REDACTED);
                    }
                    at = at.max(span.end.min(end));
                    if span.end <= end {
                        self.spans.pop_front();
                    }
                    continue;
                }
                Some(span) => span.start.min(end),
                None => end,
            };
            redacted.push_str(&self.held[at - self.n_before..text_end - self.n_before]);
            at = text_end;
        }
        self.held.drain(..end - self.n_before);
        self.n_before = end;
    }

    fn hide_lines(&mut self, piece: &str, redacted: &mut String) {
        for line in piece.split_inclusive('\n') {
            if !mem::replace(&mut self.is_in_line, true) && line != "\n" {
                redacted.push_str(REDACTED);
            }
            if line.ends_with('\n') {
                redacted.push('\n');
                self.is_in_line = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redactor(value: &Value) -> Redactor {
        let mut texts = BTreeSet::new();
        collect(value, &mut texts);
        Redactor::new(texts.iter().map(String::as_str))
    }

    #[test]
    fn what_secrets_cover_together_is_replaced_as_a_whole() {
        let secrets = redactor(&json!(["abcd1234", "abcd1234WXYZ9876", "abc123ZZ77", "ZZ77kkkk", 90210]));
        for (text, expected) in [
            ("abcd1234WXYZ9876", "***"),
            ("abcd1234WXYZ987", "***WXYZ987"),
            ("abcd1234abcd1234", "******"),
            ("abc123ZZ77kkkk!", "***!"),
            ("abc123ZZ7 ZZ77kkkk", "abc123ZZ7 ***"),
            ("90210, 9021", "***, 9021"),
            ("", ""),
            ("nothing", "nothing"),
        ] {
            assert_eq!(secrets.redact(text), expected, "{text}");
        }
        for (text, expected) in
            [("so abcd123", "so ***"), ("so abcd1234W", "so ***"), ("abc123ZZ77kk", "***"), ("so", "so")]
        {
            assert_eq!(secrets.redact_beginning(text), expected, "{text}");
        }
    }

    #[test]
    fn a_value_is_found_with_and_without_the_blanks_around_it() {
        for value in ["pass12\r\n", "pass12\n\n", "  pass12\t", "pass12"] {
            let secrets = redactor(&json!({"of": [value]}));
            assert_eq!(secrets.redact(&format!("<{value}>")), "<***>", "{value:?}");
            assert_eq!(secrets.redact("is pass12!"), "is ***!", "{value:?}");
        }
        let secrets = redactor(&json!("a\"b\\c\r\nsecond line\r\n"));
        for text in ["a\"b\\c\r\nsecond line", "a\"b\\c\nsecond line\n", "a\\\"b\\\\c\\nsecond line", "second line"] {
            assert_eq!(secrets.redact(text), "***", "{text}");
        }
        assert!(redactor(&json!(["abc", " abc ", true, null])).redact("abc") == "abc");
    }

    #[test]
    fn where_there_is_too_much_to_look_for_nothing_is_told() {
        let secrets = Arc::new(redactor(&json!("long".repeat(SECRETS_BYTES_MAX / 4 + 1))));
        assert!(!secrets.is_empty() && secrets.redact("anything") == REDACTED && secrets.redact("").is_empty());
        let (mut redaction, mut redacted) = (Redaction::default(), String::new());
        redaction.push("one\n", &mut redacted);
        redaction.search_for(secrets, &mut redacted);
        ["tw", "o\n", "\n", "three"].iter().for_each(|piece| redaction.push(piece, &mut redacted));
        redaction.finish(&mut redacted);
        assert_eq!(redacted, "one\n***\n\n***");
    }
}
