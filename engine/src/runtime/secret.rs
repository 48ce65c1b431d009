//! The secrets of a run, and taking them out of whatever is told of it.
//!
//! A run's input says by a key of its own, [`SECRET_KEYS`], which of its other keys are secret, and what a task wrote
//! says so by a key beside each ([`SECRET_MARK`]). So the marks are stored, replayed, sent and copied into derived runs
//! with the values themselves, by every way that there is. Before that, while the task runs, it names them itself
//! ([`Secrets::tell`]), and all versions of the run's secrets know it at once. What a task says (log
//! lines, errors, notes, names in them) passes [`Secrets::hide`] before it is stored or told; what a report or a
//! history shows passes [`Secrets::hide_json`] when it is read.
//!
//! A value is found where it stands as it is, or as JSON or Rust's `{:?}` writes it, and each long line of it by
//! itself. What a task has encoded, cut or hashed is not found, nor are texts of less than four bytes. The database
//! holds inputs and contexts as they are.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Included, Unbounded},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use cloacina_workflow::{
    ErrorRecord, TaskError,
    payload::{Delta, SECRET_MARK},
};
use serde_json::Value as Json;

use crate::{
    core::context::{Key, Value},
    loader::Hide,
    store::{EventRow, Kind},
};

/// The key of an input that lists those whose values are secret.
pub const SECRET_KEYS: &str = "cloacina.secrets";

/// Shorter texts are in every other word.
pub const SECRET_BYTES_MIN: usize = 4;

/// Shorter lines of a longer secret say too little to be looked for by themselves.
const LINE_BYTES_MIN: usize = 8;

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// As many texts are kept that the tasks of a run name while they run; each secret is usually one, seldom more than three.
const EARLY_MAX: usize = 1_024;

/// So much do they have together.
const EARLY_BYTES_MAX: usize = 256 << 10;

/// What must not be told of one run.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    keys: BTreeSet<String>,
    /// Longer ones first, so that none is found inside another.
    texts: Vec<String>,
    early: Arc<Early>,
}

/// What the tasks of one run have named while they ran; it is shared by all versions of the run's secrets.
#[derive(Default)]
struct Early {
    /// Mostly there is nothing, and nobody has to wait to see that.
    is_any: AtomicBool,
    told: RwLock<Told>,
}

#[derive(Default)]
struct Told {
    /// Longer ones first.
    texts: Vec<String>,
    n_bytes: usize,
    is_full: bool,
}

impl Secrets {
    /// Those that an input marks.
    pub(crate) fn of(input: &BTreeMap<Key, Value>) -> Arc<Self> {
        let marked = input.get(SECRET_KEYS).and_then(|raw| serde_json::from_str::<Vec<String>>(raw.get()).ok());
        let Some(marked) = marked else { return Arc::default() };
        let mut texts = BTreeSet::new();
        for key in &marked {
            let value = input.get(key.as_str()).and_then(|raw| serde_json::from_str::<Json>(raw.get()).ok());
            value.iter().for_each(|value| collect(value, &mut texts));
        }
        let mut secrets = Self { keys: marked.into_iter().collect(), ..Self::default() };
        secrets.add(texts);
        Arc::new(secrets)
    }

    /// The same with those that a task made: what it marks, and what it wrote under keys that are marked. Nothing if
    /// there are none.
    pub(crate) fn with(&self, delta: &Delta) -> Option<Arc<Self>> {
        let marks = delta
            .set
            .range::<str, _>((Included(SECRET_MARK), Unbounded))
            .take_while(|(key, _)| key.starts_with(SECRET_MARK));
        let marks = marks.filter(|(_, value)| value.get() == "true").map(|(key, _)| &key[SECRET_MARK.len()..]);
        let marks: Vec<&str> = marks.filter(|key| !self.keys.contains(*key)).collect();
        let known = self.keys.iter().map(String::as_str).filter(|key| delta.set.contains_key(*key));
        let mut texts = BTreeSet::new();
        for key in known.chain(marks.iter().copied()) {
            let value = delta.set.get(key).and_then(|raw| serde_json::from_str::<Json>(raw.get()).ok());
            value.iter().for_each(|value| collect(value, &mut texts));
        }
        if marks.is_empty() && texts.is_empty() {
            return None;
        }
        let mut secrets = self.clone();
        secrets.keys.extend(marks.into_iter().map(str::to_owned));
        secrets.add(texts);
        Some(Arc::new(secrets))
    }

    /// The same with those in a row of the run's history.
    pub(crate) fn with_row(self: Arc<Self>, row: &EventRow) -> Arc<Self> {
        match (row.kind, &row.payload) {
            (Kind::TaskCompleted | Kind::TaskReused, Some(payload)) => self.with_payload(payload),
            _ => self,
        }
    }

    /// The same with those in what a task left, as it is stored.
    pub(crate) fn with_payload(self: Arc<Self>, payload: &[u8]) -> Arc<Self> {
        // Mostly there is nothing to look for, and values may be large.
        let mark = SECRET_MARK.as_bytes();
        if self.is_empty() && !payload.windows(mark.len()).any(|window| window == mark) {
            return self;
        }
        let delta = serde_json::from_slice::<Delta>(payload).ok();
        delta.and_then(|delta| self.with(&delta)).unwrap_or(self)
    }

    /// Those of a run with that history.
    pub(crate) fn of_rows(rows: &[EventRow]) -> Arc<Self> {
        let input = Self::of_payload(rows.first().and_then(|row| row.payload.as_deref()));
        rows.iter().fold(input, Self::with_row)
    }

    /// Hides a text that a task has made, from now on and in all versions of these. False for the first one that is too
    /// much.
    pub(crate) fn tell(&self, text: &str) -> bool {
        let mut texts = BTreeSet::new();
        collect(&Json::String(text.to_owned()), &mut texts);
        let mut told = self.early.told.write().unwrap_or_else(PoisonError::into_inner);
        texts.retain(|text| !told.texts.contains(text));
        let n_bytes = told.n_bytes + texts.iter().map(String::len).sum::<usize>();
        if told.texts.len() + texts.len() > EARLY_MAX || n_bytes > EARLY_BYTES_MAX {
            return std::mem::replace(&mut told.is_full, true);
        }
        told.n_bytes = n_bytes;
        told.texts.extend(texts);
        told.texts.sort_by(by_length);
        self.early.is_any.store(!told.texts.is_empty(), Ordering::Release);
        true
    }

    fn has_early(&self) -> bool {
        self.early.is_any.load(Ordering::Acquire)
    }

    fn add(&mut self, texts: BTreeSet<String>) {
        self.texts.extend(texts);
        self.texts.sort_by(by_length);
        self.texts.dedup();
    }

    /// Those of the input in the row of a run's creation.
    pub(crate) fn of_payload(payload: Option<&[u8]>) -> Arc<Self> {
        payload
            .and_then(|payload| serde_json::from_slice(payload).ok())
            .map_or_else(Arc::default, |input| Self::of(&input))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.has_early()
    }

    /// Whether the whole value under that key is secret.
    pub(crate) fn is_key(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// What is shown in the place of a whole value.
    pub(crate) fn hidden() -> Json {
        Json::String(HIDDEN.to_owned())
    }

    /// The text without them.
    pub(crate) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.has_early() {
            return without(text, &self.texts);
        }
        let told = self.early.told.read().unwrap_or_else(PoisonError::into_inner);
        let mut texts: Vec<&String> = self.texts.iter().chain(&told.texts).collect();
        texts.sort_by(|one, other| by_length(one, other));
        without(text, texts)
    }

    /// JSON without them: whole values under their keys, wherever those are, and texts anywhere.
    pub(crate) fn hide_json(&self, value: &mut Json) {
        if self.is_empty() {
            return;
        }
        match value {
            Json::Null | Json::Bool(_) => {}
            Json::Number(number) => {
                let text = number.to_string();
                if self.hide(&text) != text {
                    *value = Self::hidden();
                }
            }
            Json::String(text) => {
                if let Cow::Owned(hidden) = self.hide(text) {
                    *text = hidden;
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.hide_json(item)),
            Json::Object(members) => {
                let hidden = std::mem::take(members).into_iter().map(|(key, mut value)| {
                    match self.keys.contains(&key) {
                        true => value = Self::hidden(),
                        false if key == SECRET_KEYS => {}
                        false => self.hide_json(&mut value),
                    }
                    (self.hide(&key).into_owned(), value)
                });
                *members = hidden.collect();
            }
        }
    }

    /// A JSON object as text, as log lines carry it, without them.
    pub(crate) fn hide_fields<'a>(&self, fields: &'a str) -> Cow<'a, str> {
        if self.is_empty() || fields.is_empty() {
            return Cow::Borrowed(fields);
        }
        match serde_json::from_str::<Json>(fields) {
            Ok(mut value) => {
                self.hide_json(&mut value);
                Cow::Owned(value.to_string())
            }
            Err(_) => self.hide(fields),
        }
    }

    /// An error without them.
    pub(crate) fn hide_error(&self, error: TaskError) -> TaskError {
        if self.is_empty() {
            return error;
        }
        let ErrorRecord { kind, message, mut details, retryable, retry_after } = error.to_record();
        self.hide_json(&mut details);
        let (kind, message) = (self.hide(&kind).into_owned(), self.hide(&message).into_owned());
        TaskError::from_record(ErrorRecord { kind, message, details, retryable, retry_after })
    }
}

impl Hide for Secrets {
    fn hide(&self, text: &str) -> String {
        Self::hide(self, text).into_owned()
    }
}

/// Longer ones first.
fn by_length(one: &String, other: &String) -> std::cmp::Ordering {
    other.len().cmp(&one.len()).then_with(|| one.cmp(other))
}

/// The text without those, each replaced in turn.
fn without<'a, 'b>(text: &'a str, secrets: impl IntoIterator<Item = &'b String>) -> Cow<'a, str> {
    let mut hidden = Cow::Borrowed(text);
    for secret in secrets {
        if hidden.contains(secret.as_str()) {
            hidden = Cow::Owned(hidden.replace(secret.as_str(), HIDDEN));
        }
    }
    hidden
}

/// The input of a derived run marks what the one before it marked, as far as it still has those keys.
pub(crate) fn carry_over(before: &BTreeMap<Key, Value>, input: &mut BTreeMap<Key, Value>) {
    if let (Some(marks), false) = (before.get(SECRET_KEYS), input.contains_key(SECRET_KEYS)) {
        input.insert(SECRET_KEYS.into(), marks.clone());
    }
}

/// The texts of a value, in every way in which it is usually written.
fn collect(value: &Json, texts: &mut BTreeSet<String>) {
    let mut add = |text: String| {
        if text.len() >= SECRET_BYTES_MIN {
            texts.insert(text);
        }
    };
    match value {
        Json::Null | Json::Bool(_) => {}
        Json::Number(number) => add(number.to_string()),
        Json::String(text) => {
            let quoted = [serde_json::to_string(text).unwrap_or_default(), format!("{text:?}")];
            let inside = quoted.iter().filter_map(|quoted| quoted.strip_prefix('"')?.strip_suffix('"'));
            inside.for_each(|inside| add(inside.to_owned()));
            text.lines()
                .map(str::trim)
                .filter(|line| line.len() >= LINE_BYTES_MIN)
                .for_each(|line| add(line.to_owned()));
            add(text.clone());
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Json::Object(members) => members.values().for_each(|member| collect(member, texts)),
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Secrets").field("keys", &self.keys).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets(input: &Json) -> Arc<Secrets> {
        Secrets::of_payload(Some(input.to_string().as_bytes()))
    }

    #[test]
    fn values_are_hidden_however_they_are_written() {
        let key = "-----BEGIN KEY-----\nMIIBVgIBADANBgkq\n-----END KEY-----\n";
        let secrets = secrets(&json!({
            "password": "hunter2 \"quoted\"", "pin": 90210, "nested": {"token": ["abcdefgh"]}, "key": key, "flag": true,
            "open": "hello world", SECRET_KEYS: ["password", "pin", "nested", "key", "flag", "absent"],
        }));
        for (text, expected) in [
            ("is hunter2 \"quoted\"?", "is ***?"),
            (r#"{"p":"hunter2 \"quoted\""}"#, r#"{"p":"***"}"#),
            ("pin 90210 token abcdefgh, hello world", "pin *** token ***, hello world"),
            ("line MIIBVgIBADANBgkq", "line ***"),
            ("hunter3 true", "hunter3 true"),
        ] {
            assert_eq!(secrets.hide(text), expected);
        }
        assert_eq!(secrets.hide(&format!("{key:?}")), "\"***\"");
        let mut shown =
            json!({"password": 1, "copy": {"of": "abcdefgh!", "abcdefgh": [90210, 1]}, "open": "hello world"});
        secrets.hide_json(&mut shown);
        assert_eq!(shown, json!({"password": "***", "copy": {"of": "***!", "***": ["***", 1]}, "open": "hello world"}));
        assert_eq!(secrets.hide_fields(r#"{"pin":"x","a":"abcdefgh"}"#), r#"{"a":"***","pin":"***"}"#);
        assert_eq!(secrets.hide_fields("no json abcdefgh"), "no json ***");
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }

    #[test]
    fn what_a_task_marks_is_hidden_from_then_on() {
        let before = secrets(&json!({"password": "hunter2!", SECRET_KEYS: ["password"]}));
        let delta = |json: Json| serde_json::from_value::<Delta>(json).unwrap();
        assert!(before.with(&delta(json!({"set": {"open": "abcdefgh"}}))).is_none());
        let made = json!({"set": {"token": "abcdefgh", "cloacina.secret.token": true, "open": "no secret",
            "cloacina.secret.open": false, "password": "a new one"}});
        let secrets = before.with(&delta(made.clone())).unwrap();
        assert_eq!(secrets.hide("abcdefgh hunter2! a new one, no secret"), "*** *** ***, no secret");
        assert!(secrets.is_key("token") && !secrets.is_key("open"));
        assert_eq!(Arc::<Secrets>::default().with_payload(made.to_string().as_bytes()).hide("abcdefgh"), "***");
        assert!(Arc::<Secrets>::default().with_payload(b"{\"set\":{\"a\":1}}").is_empty());
    }

    #[test]
    fn what_a_task_names_is_hidden_at_once_by_everybody_who_hides_for_the_run() {
        let before = secrets(&json!({"password": "abcdefgh", SECRET_KEYS: ["password"]}));
        let after = before.with(&serde_json::from_value(json!({"set": {"password": "hunter2!"}})).unwrap()).unwrap();
        let nothing = Arc::<Secrets>::default();
        assert!(after.tell("Xabcdefgh \"quoted\"") && nothing.tell("abc") && nothing.is_empty());
        for secrets in [&before, &after] {
            // Longer ones first, whoever named them.
            assert_eq!(
                secrets.hide(r#"Xabcdefgh "quoted" {"a":"Xabcdefgh \"quoted\""} abcdefgh"#),
                r#"*** {"a":"***"} ***"#
            );
        }
        assert!(nothing.tell("abcdefgh") && !nothing.is_empty());
        assert_eq!(
            (nothing.hide("abcdefgh"), nothing.hide_fields(r#"{"a":"abcdefgh"}"#)),
            ("***".into(), r#"{"a":"***"}"#.into())
        );
    }

    #[test]
    fn no_task_fills_the_memory_with_secrets() {
        let secrets = Secrets::default();
        let long = "long".repeat(EARLY_BYTES_MAX / 4);
        assert!(secrets.tell(&long[4..]) && !secrets.tell("abcdefgh") && secrets.tell("said once"));
        let secrets = Secrets::default();
        let n_told = (0..).take_while(|number| secrets.tell(&format!("secret {number}"))).count();
        assert_eq!((n_told, secrets.hide("secret 7").into_owned()), (EARLY_MAX, "***".to_owned()));
        // What is known needs no room.
        assert!(secrets.tell("secret 7"));
        let told = secrets.early.told.read().unwrap();
        assert!(told.texts.len() <= EARLY_MAX && told.n_bytes <= EARLY_BYTES_MAX);
    }

    #[test]
    fn errors_keep_what_is_not_secret() {
        let secrets = secrets(&json!({"token": "abcdefgh", SECRET_KEYS: ["token"]}));
        let error = TaskError::Custom {
            kind: "http".to_owned(),
            message: "GET /?t=abcdefgh".to_owned(),
            details: json!({"token": 1, "code": 403}),
            retryable: true,
        };
        let hidden = secrets.hide_error(error);
        assert_eq!(hidden.message(), "GET /?t=***");
        assert!(
            matches!(hidden, TaskError::Custom { details, retryable: true, .. } if details == json!({"token": "***", "code": 403}))
        );
    }

    #[test]
    fn without_a_mark_nothing_is_touched() {
        for input in [json!({"a": "secret text"}), json!({"a": "secret text", SECRET_KEYS: "a"})] {
            let secrets = secrets(&input);
            assert!(secrets.is_empty());
            assert!(matches!(secrets.hide("secret text"), Cow::Borrowed("secret text")));
        }
        let short = secrets(&json!({"a": "abc", SECRET_KEYS: ["a"]}));
        assert_eq!(short.hide("abc"), "abc");
    }
}
