//! The secrets of a run, and taking them out of whatever is told of it.
//!
//! A run's input says by a key of its own, [`SECRET_KEYS`], which of its other keys are secret, and what a task wrote
//! says so by a key beside each ([`SECRET_MARK`]). So the marks are stored, replayed, sent and copied into derived runs
//! with the values themselves, by every way that there is. Before that, while the task runs, it names them itself
//! ([`Secrets::tell`]), and all versions of the run's secrets know it at once. What a task says (log
//! lines, errors, notes, names in them) passes [`Secrets::hide`] before it is stored or told; what a report or a
//! history shows passes [`Secrets::hide_json`] when it is read.
//!
//! How a value is found is the sdk's to say, which has the one implementation. Whatever has a limit is cut after that. The
//! database holds inputs and contexts as they are.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Included, Unbounded},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use cloacina_workflow::{
    __private::v1::{self as sdk, REDACTED, Redactor, collect, collect_text},
    ErrorRecord, TaskError,
    payload::{Delta, SECRET_MARK},
};
use serde_json::Value as Json;

use crate::{
    core::context::{Key, Value},
    loader::{Hide, MESSAGE_BYTES_MAX, MESSAGE_SENT_MAX, NAME_BYTES_MAX, NAME_SENT_MAX, cut, redacted},
    store::{EventRow, Kind},
};

/// The key of an input that lists those whose values are secret.
pub const SECRET_KEYS: &str = "cloacina.secrets";

/// Shorter texts are in every other word.
pub const SECRET_BYTES_MIN: usize = sdk::SECRET_BYTES_MIN;

/// As many texts are kept that the tasks of a run name while they run; each secret is usually one, seldom more than three.
const EARLY_MAX: usize = 1_024;

/// So much do they have together.
const EARLY_BYTES_MAX: usize = 256 << 10;

/// What must not be told of one run.
#[derive(Default)]
pub(crate) struct Secrets {
    keys: BTreeSet<String>,
    texts: BTreeSet<String>,
    early: Arc<Early>,
    /// What finds all of them, with how many early ones it was made; made when it is needed.
    redactor: RwLock<Option<(usize, Arc<Redactor>)>>,
}

/// Whether there is room for a secret that a task names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// The first one for which there is none.
    NoLonger,
    None,
}

/// What the tasks of one run have named while they ran; it is shared by all versions of the run's secrets.
#[derive(Default)]
struct Early {
    /// How many there are. Mostly there is nothing, and nobody has to wait to see that.
    n_told: AtomicUsize,
    told: RwLock<Told>,
}

#[derive(Default)]
struct Told {
    texts: BTreeSet<String>,
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
        Arc::new(Self { keys: marked.into_iter().collect(), texts, ..Self::default() })
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
        let keys = self.keys.iter().cloned().chain(marks.into_iter().map(str::to_owned)).collect();
        texts.extend(self.texts.iter().cloned());
        Some(Arc::new(Self { keys, texts, early: Arc::clone(&self.early), redactor: RwLock::default() }))
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

    /// Hides a text that a task has made, from now on and in all versions of these, if there is room for it.
    pub(crate) fn tell(&self, text: &str) -> Room {
        let mut texts = BTreeSet::new();
        collect_text(text, &mut texts);
        let mut told = self.early.told.write().unwrap_or_else(PoisonError::into_inner);
        texts.retain(|text| !told.texts.contains(text));
        let n_bytes = told.n_bytes + texts.iter().map(String::len).sum::<usize>();
        if told.texts.len() + texts.len() > EARLY_MAX || n_bytes > EARLY_BYTES_MAX {
            return if std::mem::replace(&mut told.is_full, true) { Room::None } else { Room::NoLonger };
        }
        told.n_bytes = n_bytes;
        told.texts.extend(texts);
        self.early.n_told.store(told.texts.len(), Ordering::Release);
        Room::Enough
    }

    fn n_early(&self) -> usize {
        self.early.n_told.load(Ordering::Acquire)
    }

    /// What finds all of them.
    fn redactor(&self) -> Arc<Redactor> {
        let n_early = self.n_early();
        let is_known = |(n_known, redactor): &(usize, Arc<Redactor>)| (*n_known == n_early).then(|| redactor.clone());
        let known = self.redactor.read().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(is_known);
        known.unwrap_or_else(|| {
            let mut texts = BTreeSet::new();
            self.collect(&mut texts);
            let redactor = Arc::new(Redactor::new(texts.iter().map(String::as_str)));
            // If more were told meanwhile, it is made once more.
            *self.redactor.write().unwrap_or_else(PoisonError::into_inner) = Some((n_early, Arc::clone(&redactor)));
            redactor
        })
    }

    /// Those of the input in the row of a run's creation.
    pub(crate) fn of_payload(payload: Option<&[u8]>) -> Arc<Self> {
        payload
            .and_then(|payload| serde_json::from_slice(payload).ok())
            .map_or_else(Arc::default, |input| Self::of(&input))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.n_early() == 0
    }

    /// Whether the whole value under that key is secret.
    pub(crate) fn is_key(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// What is shown in the place of a whole value.
    pub(crate) fn hidden() -> Json {
        Json::String(REDACTED.to_owned())
    }

    /// The text without them.
    pub(crate) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.hide_sent(text, usize::MAX)
    }

    /// A text without them that was cut on its way if it had more bytes than that.
    pub(crate) fn hide_sent<'a>(&self, text: &'a str, sent_max: usize) -> Cow<'a, str> {
        if self.is_empty() { Cow::Borrowed(text) } else { redacted(&self.redactor(), text, sent_max) }
    }

    /// A name (a kind, a target, a note) without them, cut to its limit.
    pub(crate) fn hide_name(&self, name: &str) -> String {
        cut(&self.hide_sent(name, NAME_SENT_MAX), NAME_BYTES_MAX).into_owned()
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

    /// An error without them, cut to its limits.
    pub(crate) fn hide_error(&self, error: TaskError) -> TaskError {
        if self.is_empty() && error.kind().len() <= NAME_BYTES_MAX && error.message().len() <= MESSAGE_BYTES_MAX {
            return error;
        }
        let ErrorRecord { kind, message, mut details, retryable, retry_after } = error.to_record();
        self.hide_json(&mut details);
        let message = cut(&self.hide_sent(&message, MESSAGE_SENT_MAX), MESSAGE_BYTES_MAX).into_owned();
        TaskError::from_record(ErrorRecord { kind: self.hide_name(&kind), message, details, retryable, retry_after })
    }
}

impl Hide for Secrets {
    fn n_secrets(&self) -> usize {
        self.texts.len() + self.n_early()
    }

    fn collect(&self, texts: &mut BTreeSet<String>) {
        texts.extend(self.texts.iter().cloned());
        texts.extend(self.early.told.read().unwrap_or_else(PoisonError::into_inner).texts.iter().cloned());
    }
}

/// The input of a derived run marks what the one before it marked, as far as it still has those keys.
pub(crate) fn carry_over(before: &BTreeMap<Key, Value>, input: &mut BTreeMap<Key, Value>) {
    if let (Some(marks), false) = (before.get(SECRET_KEYS), input.contains_key(SECRET_KEYS)) {
        input.insert(SECRET_KEYS.into(), marks.clone());
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
        assert_eq!([after.tell("Xabcdefgh \"quoted\""), nothing.tell("abc")], [Room::Enough; 2]);
        assert!(nothing.is_empty());
        for secrets in [&before, &after] {
            // Longer ones first, whether the run or the task named them.
            assert_eq!(
                secrets.hide(r#"Xabcdefgh "quoted" {"a":"Xabcdefgh \"quoted\""} abcdefgh"#),
                r#"*** {"a":"***"} ***"#
            );
        }
        assert!(nothing.tell("abcdefgh") == Room::Enough && !nothing.is_empty());
        assert_eq!(
            (nothing.hide("abcdefgh"), nothing.hide_fields(r#"{"a":"abcdefgh"}"#)),
            ("***".into(), r#"{"a":"***"}"#.into())
        );
    }

    #[test]
    fn no_task_fills_the_memory_with_secrets() {
        let secrets = Secrets::default();
        let long = "long".repeat(EARLY_BYTES_MAX / 4);
        let rooms = [&long[4..], "abcdefgh", "said once"].map(|text| secrets.tell(text));
        assert_eq!(rooms, [Room::Enough, Room::NoLonger, Room::None]);
        let secrets = Secrets::default();
        let n_told = (0..).take_while(|number| secrets.tell(&format!("secret {number}")) == Room::Enough).count();
        assert_eq!((n_told, secrets.hide("secret 7").into_owned()), (EARLY_MAX, "***".to_owned()));
        // What is known needs no room.
        assert_eq!(secrets.tell("secret 7"), Room::Enough);
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
    fn no_limit_tells_a_part_of_a_secret() {
        let secret = "correct-horse-battery-staple";
        let secrets = secrets(&json!({"token": secret, SECRET_KEYS: ["token"]}));
        let nothing = Secrets::default();
        for n_before in (0..NAME_BYTES_MAX + 8).chain(NAME_SENT_MAX - 40..NAME_SENT_MAX + 2) {
            let text = format!("{}{secret} and more", "x".repeat(n_before));
            let sent = crate::loader::text(text.as_bytes(), NAME_SENT_MAX);
            let name = secrets.hide_name(&sent);
            assert!(name.len() <= NAME_BYTES_MAX + 3 && !name.contains("cor"), "{n_before}: {name}");
        }
        let sent_max = MESSAGE_SENT_MAX;
        for n_before in (MESSAGE_BYTES_MAX - 30..MESSAGE_BYTES_MAX + 2).chain(sent_max - 40..sent_max + 2) {
            // What is hidden is shorter, so that the end comes into what is kept.
            let n_hidden = n_before.saturating_sub(MESSAGE_BYTES_MAX - 30) / secret.len();
            let hidden = secret.repeat(n_hidden);
            let beginning = format!("{}{hidden}", "x".repeat(n_before - hidden.len()));
            let text = format!("{beginning}{secret} and more");
            let sent = crate::loader::text(text.as_bytes(), sent_max);
            let message = secrets.hide_error(TaskError::permanent(sent.clone())).message();
            assert!(message.len() <= MESSAGE_BYTES_MAX + 3 && !message.contains("cor"), "{n_before}");
            let message = nothing.hide_error(TaskError::permanent(sent)).message();
            assert!(message.len() <= MESSAGE_BYTES_MAX + 3 && message.ends_with('…'));
        }
        // No character is parted.
        assert_eq!(nothing.hide_name(&"ä€".repeat(200)), format!("{}…", "ä€".repeat(51)));
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
