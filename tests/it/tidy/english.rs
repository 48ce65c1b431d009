//! English that the style refuses: words that a reader has to look up or that mean too many things, and British spelling.
//!
//! A phrase is compared word by word, also inside of names and across the ends of lines: `let_go`, `LetGo` and a
//! sentence that breaks after "let" all hold "let go". A full stop or another mark between two words parts them. The
//! tables grow: whoever removes a word from the tree adds it here.

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;

/// A phrase, and what to say instead. A word that ends with `*` stands for every word that begins so.
type Phrase = (&'static str, &'static str);

/// What an engineer would not say to another at a whiteboard.
const PHRASES: &[Phrase] = &[
    ("admit*", "name the act: accepts, checks, starts"),
    ("bereaved", "name the state: abandoned, lost"),
    ("farewell", "name the act: shutdown, last message"),
    ("goes before", "say takes precedence over"),
    ("heed*", "say follows or respects"),
    ("is there no more", "say no longer exists"),
    ("are there no more", "say no longer exist"),
    ("judge*", "name the act: checks, decides"),
    ("let go", "say releases, unloads or stops"),
    ("lets go", "say releases, unloads or stops"),
    ("letting go", "say releasing, unloading or stopping"),
    ("look again", "say reads again, or refreshes"),
    ("look around", "name what is read"),
    ("looker*", "name the thing: observer, reader"),
    ("mended", "say repaired or corrected"),
    ("nought", "say zero or nothing"),
    ("offer*", "name the act: activates, suggests, gives"),
    ("own accord", "say by itself"),
    ("reckon*", "say computes, counts or measures"),
    ("vouch*", "say signs, or approves with a signature"),
    ("what says most", "say the most specific rule"),
    ("whoever", "name the subject: the caller, the process, the user"),
];

/// British forms. `cancelled` is written with two l, as in the C interface and in tokio.
const BRITISH: &[Phrase] = &[
    ("analys*ed", "analyzed"),
    ("artefact*", "artifact"),
    ("behaviour*", "behavior"),
    ("catalogue*", "catalog"),
    ("centre*", "center"),
    ("colour*", "color"),
    ("defence", "defense"),
    ("favour*", "favor"),
    ("fulfil", "fulfill"),
    ("grey", "gray"),
    ("honour*", "honor"),
    ("initialis*", "initialize"),
    ("judgement*", "judgment"),
    ("labelled", "labeled"),
    ("learnt", "learned"),
    ("licence*", "license"),
    ("misspelt", "misspelled"),
    ("neighbour*", "neighbor"),
    ("normalis*", "normalize"),
    ("optimis*", "optimize"),
    ("organis*", "organize"),
    ("recognis*", "recognize"),
    ("serialis*", "serialize"),
    ("spelt", "spelled"),
    ("synchronis*", "synchronize"),
    ("whilst", "while"),
];

/// The verb of "X is no Y", which a reader takes for "there is no Y" until the sentence has ended.
const VERBS: &[&str] = &["is", "are", "was", "were"];

/// After "no" these make another sentence: no longer, no more than.
const DEGREES: &[&str] =
    &["better", "fewer", "further", "larger", "less", "longer", "more", "newer", "older", "smaller"];

const REMEDY_IS_NO: &str = "say is not a, or is not";

#[test]
fn the_english_is_plain() {
    enforce("english", english(Repository::here()));
}

#[test]
fn the_spelling_is_american() {
    enforce("spelling", found("N7", BRITISH, Repository::here()));
}

fn english(repository: &Repository) -> Vec<Finding> {
    let mut findings = found("W6", PHRASES, repository);
    for (path, text) in texts(repository) {
        let words = words(text);
        findings.extend(is_no(&words).map(|line| finding("W6", path, text, line, REMEDY_IS_NO)));
    }
    findings
}

fn found(rule: &'static str, phrases: &[Phrase], repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in texts(repository) {
        let words = words(text);
        for (phrase, remedy) in phrases {
            let phrase: Vec<&str> = phrase.split(' ').collect();
            let hits = words.windows(phrase.len()).filter(|words| is_phrase(words, &phrase));
            findings.extend(hits.map(|words| finding(rule, path, text, words[0].line, remedy)));
        }
    }
    findings
}

fn finding(rule: &'static str, path: &str, text: &str, line: usize, remedy: &'static str) -> Finding {
    let found = text.lines().nth(line - 1).expect("invariant: the line of a word is one of the text");
    Finding { rule, path: path.to_owned(), line, found: found.to_owned(), remedy }
}

fn texts(repository: &Repository) -> impl Iterator<Item = (&str, &str)> {
    repository.files().filter(|(path, _)| *path != "LICENSE" && !path.ends_with("Cargo.lock"))
}

/// A word in lower case, or a mark that parts words.
struct Word {
    text: String,
    /// From 1.
    line: usize,
}

/// The words of a text; joined names are taken apart. What begins a line of a comment or of a list is no mark.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let line = line.trim_start().trim_start_matches(['/', '!', '*', '#', '>', '|']);
        let mut before = ' ';
        for character in line.chars() {
            if character.is_alphanumeric() {
                let goes_on = before.is_alphanumeric() && !(character.is_uppercase() && before.is_lowercase());
                if !goes_on {
                    words.push(Word { text: String::new(), line: line_number });
                }
                let word: &mut Word = words.last_mut().expect("invariant: a word was begun");
                word.text.extend(character.to_lowercase());
            } else if !character.is_whitespace() && !"_-`*\\".contains(character) {
                words.push(Word { text: character.to_string(), line: line_number });
            }
            before = character;
        }
    }
    words
}

fn is_phrase(words: &[Word], phrase: &[&str]) -> bool {
    words.iter().zip(phrase).all(|(word, expected)| is_word(&word.text, expected))
}

fn is_word(word: &str, expected: &str) -> bool {
    match expected.split_once('*') {
        Some((start, end)) => word.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => word == expected,
    }
}

/// The lines of "X is no Y", but not of "there is no Y".
fn is_no(words: &[Word]) -> impl Iterator<Item = usize> {
    let windows = words.windows(4);
    windows.filter_map(|words| {
        let [before, verb, no, after] = words else { return None };
        let is_it = VERBS.contains(&verb.text.as_str()) && no.text == "no" && before.text != "there";
        let follows = after.text.starts_with(char::is_alphabetic) && !DEGREES.contains(&after.text.as_str());
        (is_it && follows).then_some(no.line)
    })
}

#[test]
fn a_refused_phrase_is_found() {
    for (text, expected) in [
        ("It lets go of the run", 1),
        ("fn let_go() {}", 1),
        ("struct LetGo;", 1),
        ("// A call that the engine lets\n// go of", 1),
        ("Those it let. Go on", 0),
        ("The owner vouches for it", 1),
        ("the text is no run id", 1),
        ("//! The text is no\n//! run id", 1),
        ("there is no such run, and it is no longer here", 0),
        ("Whoever asks", 1),
        ("it takes no more than one", 0),
    ] {
        assert_eq!(english(&Repository::of(&[("docs/a.md", text)])).len(), expected, "{text}");
    }
}

#[test]
fn a_british_spelling_is_found() {
    for (text, expected) in [
        ("Licence", 1),
        ("the behaviours", 1),
        ("fn initialise_it() {}", 1),
        ("a license whose behavior is initialized", 0),
        ("it was analysed", 1),
        ("cancelled", 0),
    ] {
        assert_eq!(found("N7", BRITISH, &Repository::of(&[("docs/a.md", text)])).len(), expected, "{text}");
    }
}
