//! Makes lines of what a process writes: bytes in whatever pieces, lines without secrets out. Pure: no pipes, no locks.
//!
//! ```text
//! bytes ──► characters ──► secrets are taken out of the whole ──► lines, of a bounded length
//! ```
//! In that order, so that no line ends in the middle of a secret or of a character, and nothing is lost: the lines
//! joined are the text without its secrets. What is too long for one line is continued in the next.

use std::{mem, sync::Arc};

use cloacina_workflow::__private::v1::{Redaction, Redactor};

use crate::loader::LINE_BYTES_MAX;

/// What a process writes to one of its outputs.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a character that is not whole yet.
    undecoded: Vec<u8>,
    redaction: Redaction,
    /// What has no secrets and was not told yet.
    line: String,
    /// Whether the beginning of that line has been told.
    is_continued: bool,
}

/// Why a line is over that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// The writer has ended.
    Ended,
    /// The writer may go on, and then with the rest of a secret.
    GoesOn,
}

impl Lines {
    /// Takes what was written next. `tell` gets each line that has ended, and whether it continues the one before.
    pub(super) fn push(&mut self, bytes: &[u8], redactor: Arc<Redactor>, tell: impl FnMut(&str, bool)) {
        self.undecoded.extend_from_slice(bytes);
        let text = decoded(&mut self.undecoded, false);
        self.redaction.search_for(redactor, &mut self.line);
        self.redaction.push(&text, &mut self.line);
        self.tell(false, tell);
    }

    /// Ends a line that has not ended.
    pub(super) fn settle(&mut self, settled: Settled, tell: impl FnMut(&str, bool)) {
        match settled {
            Settled::Ended => {
                let rest = decoded(&mut self.undecoded, true);
                self.redaction.push(&rest, &mut self.line);
                self.redaction.finish(&mut self.line);
            }
            Settled::GoesOn => self.redaction.interrupt(&mut self.line),
        }
        self.tell(true, tell);
    }

    fn tell(&mut self, is_end: bool, mut tell: impl FnMut(&str, bool)) {
        let mut n_told = 0;
        loop {
            let rest = &self.line[n_told..];
            let (line, n_bytes, has_ended) = match rest.find('\n') {
                Some(end) if end <= LINE_BYTES_MAX => {
                    (rest[..end].strip_suffix('\r').unwrap_or(&rest[..end]), end + 1, true)
                }
                _ if rest.len() > LINE_BYTES_MAX => {
                    let end = rest.floor_char_boundary(LINE_BYTES_MAX);
                    (&rest[..end], end, false)
                }
                _ if is_end && !rest.is_empty() => (rest, rest.len(), true),
                _ => break,
            };
            let is_continued = mem::replace(&mut self.is_continued, !has_ended);
            if !(is_continued && line.is_empty()) {
                tell(line, is_continued);
            }
            n_told += n_bytes;
        }
        self.line.drain(..n_told);
        self.is_continued &= !is_end;
    }
}

/// The text of bytes, without a character at their end that is not whole yet.
fn decoded(bytes: &mut Vec<u8>, is_end: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut n_decoded = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        n_decoded += chunk.valid().len();
        let invalid = chunk.invalid();
        let is_begun = || str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if invalid.is_empty() || !is_end && n_decoded + invalid.len() == bytes.len() && is_begun() {
            break;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        n_decoded += invalid.len();
    }
    bytes.drain(..n_decoded);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor(secrets: &[&str]) -> Arc<Redactor> {
        Arc::new(Redactor::new(secrets.iter().copied()))
    }

    /// The lines of a text that is written in pieces of these lengths, again and again, and then ends.
    fn lines(text: &[u8], lengths: &[usize], redactor: &Arc<Redactor>) -> Vec<(String, bool)> {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        let mut rest = text;
        for length in lengths.iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(*length));
            lines.push(piece, Arc::clone(redactor), |line, is_continued| told.push((line.to_owned(), is_continued)));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        lines.settle(Settled::Ended, |line, is_continued| told.push((line.to_owned(), is_continued)));
        assert!(lines.undecoded.is_empty() && lines.line.is_empty());
        told
    }

    fn joined(lines: &[(String, bool)]) -> String {
        let mut joined = String::new();
        for (idx, (line, is_continued)) in lines.iter().enumerate() {
            assert!(line.len() <= LINE_BYTES_MAX);
            joined.push_str(if idx > 0 && !is_continued { "\n" } else { "" });
            joined.push_str(line);
        }
        joined
    }

    /// The text without the secrets, as slowly and plainly as can be.
    fn hidden(text: &str, secrets: &[String]) -> String {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            let starts = (0..text.len()).filter(|at| text.as_bytes()[*at..].starts_with(secret.as_bytes()));
            found.extend(starts.map(|at| (at, at + secret.len())));
        }
        found.sort_unstable();
        let mut covered: Vec<(usize, usize)> = Vec::new();
        for (start, end) in found {
            match covered.last_mut().filter(|last| start < last.1) {
                Some(last) => last.1 = last.1.max(end),
                None => covered.push((start, end)),
            }
        }
        let (mut hidden, mut at) = (String::new(), 0);
        for (start, end) in covered {
            hidden += &text[at..start];
            hidden += "***";
            at = end;
        }
        hidden + &text[at..]
    }

    #[test]
    fn what_is_written_in_pieces_becomes_lines() {
        let nothing = redactor(&[]);
        let check = |text: &[u8], expected: &[(&str, bool)]| {
            for length in [1, 2, 3, 8192] {
                let told = lines(text, &[length], &nothing);
                let told: Vec<_> = told.iter().map(|(line, is_continued)| (line.as_str(), *is_continued)).collect();
                assert_eq!(told, expected, "in pieces of {length}");
            }
        };
        check(b"", &[]);
        check(b"one\ntwo \r\n\nthree", &[("one", false), ("two ", false), ("", false), ("three", false)]);
        check("€ä\n".as_bytes(), &[("€ä", false)]);
        check(b"\xff\xe2\x82\nx\xe2\x82", &[("\u{fffd}\u{fffd}", false), ("x\u{fffd}", false)]);
        let long = "ä".repeat(LINE_BYTES_MAX / 2 + 1);
        let (first, rest) = long.split_at(LINE_BYTES_MAX);
        check(format!("{long}\nend").as_bytes(), &[(first, false), (rest, true), ("end", false)]);
        check(format!("{first}\nend").as_bytes(), &[(first, false), ("end", false)]);
        let odd = format!("x{long}");
        let (first, rest) = odd.split_at(LINE_BYTES_MAX - 1);
        check(odd.as_bytes(), &[(first, false), (rest, true)]);
    }

    #[test]
    fn a_secret_that_is_written_while_others_begin_and_end_is_not_told_in_parts() {
        let mut lines = Lines::default();
        let mut told = Vec::new();
        let mut tell = |line: &str, _: bool| told.push(line.to_owned());
        let secrets = redactor(&["abcd1234", "cd12xx"]);
        lines.push(b"it is abcd", Arc::clone(&secrets), &mut tell);
        lines.settle(Settled::GoesOn, &mut tell);
        lines.push(b"12", Arc::clone(&secrets), &mut tell);
        lines.settle(Settled::GoesOn, &mut tell);
        // Another secret is named meanwhile.
        let more = redactor(&["abcd1234", "cd12xx", "hunter2!"]);
        lines.push(b"34 hunter2", more.clone(), &mut tell);
        lines.settle(Settled::GoesOn, &mut tell);
        lines.push(b", and abcd\n", more, &mut tell);
        lines.settle(Settled::Ended, &mut tell);
        assert_eq!(told, ["it is ***", " ***", ", and abcd"]);
    }

    proptest! {
        #[test]
        fn the_lines_joined_are_the_text_without_its_secrets(
            words in proptest::collection::vec(prop_oneof!["[ab]{1,6}", "[aä€\n ]{1,4}", "[a-c\n]{1,3}"], 0..40),
            n_times in prop_oneof![4 => Just(1usize), 1 => 100usize..600],
            mut secrets in proptest::collection::vec(prop_oneof!["[ab]{2,7}", "[abä]{1,5}", "b\na", "[ab]{20}"], 0..6),
            whole in any::<prop::sample::Index>(),
            lengths in proptest::collection::vec(1usize..5000, 1..8),
            small in any::<bool>(),
        ) {
            let text = words.concat().repeat(n_times);
            // One that is surely there, maybe across the border of a line.
            let from = text.floor_char_boundary(whole.index(text.len() + 1));
            secrets.push(text[from..text.floor_char_boundary(from + 30)].to_owned());
            let lengths: Vec<usize> = lengths.iter().map(|length| if small { length % 7 + 1 } else { *length }).collect();
            let redactor = Redactor::new(secrets.iter().map(String::as_str));
            let expected = hidden(&text, &secrets);
            prop_assert_eq!(&redactor.redact(&text), &expected);
            let told = lines(text.as_bytes(), &lengths, &Arc::new(redactor));
            // The end of the last line is not a line.
            prop_assert_eq!(joined(&told), expected.strip_suffix('\n').unwrap_or(&expected));
        }
    }
}
