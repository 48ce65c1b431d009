//! A Rust source, told apart into code, comments and literals, line by line.
//!
//! Owns the one reader of Rust syntax that the checks share, so that a word in a string does not count as a use of that word. It
//! knows comments, strings, characters and braces and nothing else of the grammar. Lines keep their numbers: line `n`
//! of the file is `lines[n - 1]`.

/// One line of a source. Where a string or a comment stood, `code` has spaces; the quotes of a string stay.
#[derive(Clone, Default)]
pub(super) struct Line {
    pub(super) code: String,
    pub(super) comment: String,
    /// The strings that begin on this line.
    pub(super) literals: Vec<String>,
    /// Whether the line belongs to a test.
    pub(super) test: bool,
}

pub(super) struct Source {
    pub(super) path: String,
    pub(super) lines: Vec<Line>,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let mut reader = Reader::new(text);
        reader.read();
        let mut lines = reader.lines;
        if is_test_file(path) {
            lines.iter_mut().for_each(|line| line.test = true);
        } else {
            mark_tests(&mut lines);
        }
        Self { path: path.to_owned(), lines }
    }

    /// Lines with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Lines outside of tests, with their numbers.
    pub(super) fn product(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.numbered().filter(|(_, line)| !line.test)
    }
}

/// The places where `word` stands in `code` as a whole word; `word` may hold any characters between its ends.
pub(super) fn has_word(code: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let open_start = !word.starts_with(is_part) || !before.is_some_and(is_part);
        let open_end = !word.ends_with(is_part) || !after.is_some_and(is_part);
        open_start && open_end
    })
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Marks the items under `#[cfg(test)]`.
fn mark_tests(lines: &mut [Line]) {
    let mut index = 0;
    while index < lines.len() {
        let code = lines[index].code.trim();
        if !(code.starts_with("#[") && code.contains("cfg(") && has_word(code, "test")) || code.contains("not(test)") {
            index += 1;
            continue;
        }
        let end = item_end(lines, index);
        lines[index..=end].iter_mut().for_each(|line| line.test = true);
        index = end + 1;
    }
}

/// The last line of the item whose attributes begin on line `start`.
fn item_end(lines: &[Line], start: usize) -> usize {
    // Braces, brackets and parentheses count alike: an attribute's own are closed where the item begins.
    let mut depth = 0_usize;
    let mut opened = false;
    for (index, line) in lines.iter().enumerate().skip(start) {
        for character in line.code.chars() {
            match character {
                '{' => {
                    opened |= depth == 0;
                    depth += 1;
                }
                '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth = depth.saturating_sub(1),
                ';' if depth == 0 => return index,
                _ => {}
            }
            if opened && depth == 0 {
                return index;
            }
        }
    }
    lines.len() - 1
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    lines: Vec<Line>,
    /// The last character of code, to tell `r"` from the end of a name.
    last: char,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.chars().peekable(), lines: vec![Line::default()], last: ' ' }
    }

    fn read(&mut self) {
        while let Some(character) = self.rest.next() {
            let next = self.rest.peek().copied();
            match (character, next) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(None),
                ('r', Some('"' | '#')) if !is_name(self.last) || matches!(self.last, 'b' | 'c') => self.raw(),
                ('\'', _) => self.quote(),
                _ => self.code(character),
            }
        }
    }

    fn line(&mut self) -> &mut Line {
        self.lines.last_mut().expect("invariant: a source has a line")
    }

    fn code(&mut self, character: char) {
        self.last = character;
        if character == '\n' {
            self.lines.push(Line::default());
        } else {
            self.line().code.push(character);
        }
    }

    fn line_comment(&mut self) {
        self.line().comment.push('/');
        while let Some(character) = self.rest.next_if(|character| *character != '\n') {
            self.line().comment.push(character);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        let mut before = '/';
        self.line().comment.push('/');
        for character in self.rest.by_ref() {
            let line = self.lines.last_mut().expect("invariant: a source has a line");
            match (before, character) {
                ('/', '*') => (depth, before) = (depth + 1, ' '),
                ('*', '/') => (depth, before) = (depth - 1, ' '),
                _ => before = character,
            }
            if character == '\n' {
                self.lines.push(Line::default());
            } else {
                line.comment.push(character);
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// A string after its opening quote; `hashes` of a raw one.
    fn string(&mut self, hashes: Option<usize>) {
        self.code('"');
        let begun = self.lines.len() - 1;
        let mut literal = String::new();
        while let Some(character) = self.rest.next() {
            match (character, hashes) {
                ('"', None) => break,
                ('"', Some(count)) if self.hashes_follow(count) => break,
                ('\\', None) => {
                    literal.push(character);
                    literal.extend(self.rest.next_if(|escaped| *escaped != '\n'));
                }
                _ => literal.push(character),
            }
            if character == '\n' {
                self.lines.push(Line::default());
            }
        }
        self.lines[begun].literals.push(literal);
        self.code('"');
    }

    fn hashes_follow(&mut self, count: usize) -> bool {
        let follow = self.rest.clone().take(count).filter(|character| *character == '#').count() == count;
        if follow {
            self.rest.by_ref().take(count).for_each(drop);
        }
        follow
    }

    /// What stands after an `r`: a raw string or a raw identifier.
    fn raw(&mut self) {
        let hashes = self.rest.clone().take_while(|character| *character == '#').count();
        if self.rest.clone().nth(hashes) == Some('"') {
            self.rest.by_ref().take(hashes + 1).for_each(drop);
            self.string(Some(hashes));
        } else {
            self.code('r');
        }
    }

    /// What stands after a `'`: a character or a lifetime.
    fn quote(&mut self) {
        let mut ahead = self.rest.clone();
        let (first, second) = (ahead.next(), ahead.next());
        self.code('\'');
        if first == Some('\\') {
            self.rest.by_ref().take(2).for_each(drop);
            while self.rest.next_if(|character| *character != '\'').is_some() {}
        } else if second == Some('\'') {
            self.rest.next();
        } else {
            return;
        }
        self.rest.next();
        self.code('\'');
    }
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn parts(text: &str) -> (String, String, Vec<String>) {
    let source = Source::new("a.rs", text);
    let join = |part: fn(&Line) -> &str| source.lines.iter().map(part).collect::<Vec<_>>().join("|");
    let literals = source.lines.iter().flat_map(|line| line.literals.clone()).collect();
    (join(|line| line.code.trim_end()), join(|line| &line.comment), literals)
}

#[test]
fn comments_strings_and_characters_are_not_code() {
    for (text, code, comment, literals) in [
        ("a(); // b", "a();", "// b", vec![]),
        ("a /* b /* c */ d */ e", "a  e", "/* b /* c */ d */", vec![]),
        ("/* a\nb */ c", "| c", "/* a|b */", vec![]),
        (r#"a("b // c", 'd')"#, r#"a("", '')"#, "", vec!["b // c"]),
        (r##"a(r#"b " c"#, "d\"e")"##, r#"a("", "")"#, "", vec!["b \" c", "d\\\"e"]),
        ("a(\"b\nc\"); d", "a(\"|\"); d", "|", vec!["b\nc"]),
        (r"let c = '\''; let l: &'a str = '\u{1}'", "let c = ''; let l: &'a str = ''", "", vec![]),
        (r##"br"a" + r#type"##, r##"b"" + r#type"##, "", vec!["a"]),
        ("'\"' \"a\"", "'' \"\"", "", vec!["a"]),
    ] {
        let (found_code, found_comment, found_literals) = parts(text);
        assert_eq!((found_code.as_str(), found_comment.as_str()), (code, comment), "{text}");
        assert_eq!(found_literals, literals, "{text}");
    }
}

#[test]
fn items_under_cfg_test_are_tests() {
    let text =
        "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { c([1]); }\n}\nfn d() {}\n#[cfg(test)]\nmod e;\nfn f() {}\n";
    let source = Source::new("a.rs", text);
    let marks: String = source.lines.iter().map(|line| if line.test { 't' } else { '.' }).collect();
    assert_eq!(marks, ".tttt.tt..");
    assert!(Source::new("engine/src/core/tests.rs", text).lines.iter().all(|line| line.test));
}

#[test]
fn words_are_whole() {
    for (code, word, expected) in [
        ("use tokio::x;", "tokio", true),
        ("use tokio_util;", "tokio", false),
        ("std::fs::read", "std::fs", true),
        ("std::fst", "std::fs", false),
        ("#[ignore]", "#[ignore", true),
    ] {
        assert_eq!(has_word(code, word), expected, "{code} {word}");
    }
}
