//! The context of a task: the values of its run that it reads, and the values that it writes.
//!
//! A context is a map from keys to JSON values. Earlier values stay in its [`Source`] as raw text and are decoded when they
//! are read, so a task pays only for the values that it uses. Writes are kept apart as the delta, which alone leaves the
//! task. The runner of a task gives the context a [`Host`] for logs, heartbeats and cancellation; a context made by [`Context::new`] has none,
//! so that a task function can be called in a unit test like any other function.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeMap};
use serde_json::{Value, value::RawValue};

use crate::{
    ContextError, Level, Timestamp,
    payload::{Delta, SECRET_MARK, View, check_depths},
    redact::{Redactor, SECRET_BYTES_MIN, collect_text},
    source::{Grown, Source},
};

/// The values that a task reads and writes.
///
/// ```
/// use cloacina_workflow::{Context, Value};
/// use serde_json::json;
///
/// let mut context: Context<Value> = Context::new();
/// context.insert("records", json!(1000))?;
/// assert_eq!(context.get("records"), Some(&json!(1000)));
/// assert_eq!(context.get_as::<u64>("records")?, 1000);
/// assert!(context.insert("records", json!(1)).is_err(), "insert never overwrites");
/// context.update("records", json!(999))?;
/// # Ok::<(), cloacina_workflow::ContextError>(())
/// ```
pub struct Context<V = Value> {
    /// The values from before the task.
    source: Arc<dyn Source>,
    /// The values that were read so far, with the task that wrote each where the caller named one.
    decoded: Grown<V>,
    written: BTreeMap<Arc<str>, V>,
    removed: BTreeSet<Arc<str>>,
    secret: BTreeSet<Arc<str>>,
    /// The secrets that the host did not take, in each form in which they are written, and the redactor that finds them.
    untaken: BTreeSet<String>,
    redactor: Redactor,
    task: Option<Arc<TaskInfo>>,
    host: Option<Arc<dyn Host>>,
}

/// The attempt that a context belongs to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TaskInfo {
    /// The task's id in its workflow.
    pub task: String,
    /// Counts from 1.
    pub attempt: u32,
    /// The same for all attempts at this task of this run; see [`Context::idempotency_key`].
    pub idempotency_key: String,
    /// A different key for each attempt; see [`Context::attempt_key`].
    pub attempt_key: String,
    /// When the attempt reaches its timeout.
    pub deadline: Option<Timestamp>,
    /// W3C `traceparent` of the attempt, empty when the run is not traced.
    pub trace_parent: String,
}

/// The services that the runner of a task provides. Implemented by the engine and by the package's side of the C ABI.
pub trait Host: fmt::Debug + Send + Sync {
    /// Takes a log line. `fields` is a JSON object as text, or empty.
    fn log(&self, level: Level, target: &str, message: &str, fields: &str);
    /// Takes a heartbeat with the progress in thousandths.
    fn heartbeat(&self, permille: u32, note: &str);
    /// Whether the attempt was asked to stop.
    fn is_cancelled(&self) -> bool;
    /// Takes a secret, which the host redacts everywhere from when this returns. False if the host does not redact it.
    fn secret(&self, text: &str) -> bool;
}

/// The output of one upstream task, also values that a later writer hid; see [`Context::from_task`].
pub struct TaskOutput<'a, V = Value> {
    context: &'a Context<V>,
    task: Box<str>,
}

/// Where a visible value is.
enum Place<'a, V> {
    Written(&'a V),
    Before,
}

impl<V> Context<V> {
    /// An empty context, for the input of a run and for unit tests.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Arc::new(View::default()))
    }

    /// A context over existing values.
    pub(crate) fn over(source: Arc<dyn Source>) -> Self {
        Self {
            source,
            decoded: Grown::new(),
            written: BTreeMap::new(),
            removed: BTreeSet::new(),
            secret: BTreeSet::new(),
            untaken: BTreeSet::new(),
            redactor: Redactor::default(),
            task: None,
            host: None,
        }
    }

    /// Whether the key has a value.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let mut before = self
            .source
            .keys()
            .filter(|key| !self.removed.contains(*key) && !self.written.contains_key(*key))
            .peekable();
        let mut written = self.written.keys().map(AsRef::as_ref).peekable();
        std::iter::from_fn(move || match (before.peek(), written.peek()) {
            (Some(one), Some(other)) if one < other => before.next(),
            (_, Some(_)) => written.next(),
            (_, None) => before.next(),
        })
    }

    /// The number of keys. Visits all of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys().count()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys().next().is_none()
    }

    /// The task that wrote the value, or `None` for a key of the run's input, a key that this task wrote, and a missing
    /// key.
    #[must_use]
    pub fn producer(&self, key: &str) -> Option<&str> {
        match self.written.contains_key(key) || self.removed.contains(key) {
            true => None,
            false => self.source.writer(key)?,
        }
    }

    /// The output of that upstream task, even if a later task, or this task, wrote the same keys. A task that wrote nothing,
    /// or is not upstream, has an empty output.
    #[must_use]
    pub fn from_task(&self, task: &str) -> TaskOutput<'_, V> {
        TaskOutput { context: self, task: task.into() }
    }

    /// The attempt that this context belongs to; `None` in a unit test.
    #[must_use]
    pub fn task(&self) -> Option<&TaskInfo> {
        self.task.as_deref()
    }

    /// The number of the attempt, counted from 1; 1 in a unit test.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.task.as_ref().map_or(1, |task| task.attempt)
    }

    /// A key that is the same for all attempts at this task of this run: after a failure, an interruption, a lost process
    /// or a takeover by another engine. Pass it to a service that performs only one request for each key, and
    /// the effect of this task happens once. A callback has its own key, and so has each run that is derived from this one.
    /// Empty in a unit test.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        self.task.as_ref().map_or("", |task| &task.idempotency_key)
    }

    /// A key that differs for each attempt, and stays the same if an engine runs that attempt once more after a crash.
    /// For effects of every attempt; an effect that must happen once uses [`Context::idempotency_key`]. Empty in a unit test.
    #[must_use]
    pub fn attempt_key(&self) -> &str {
        self.task.as_ref().map_or("", |task| &task.attempt_key)
    }

    /// When the attempt reaches its timeout, if it has one.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.task.as_ref()?.deadline
    }

    /// Writes a line to the log of this attempt. `tracing` events of the same thread get there too.
    pub fn log(&self, level: Level, message: &str) {
        if let Some(host) = &self.host {
            host.log(level, self.task.as_ref().map_or("", |task| &task.task), &self.redactor.redact(message), "");
        }
    }

    /// Reports that the task is alive, and its progress in thousandths; more than 1,000 counts as 1,000.
    pub fn heartbeat(&self, permille: u32, note: &str) {
        if let Some(host) = &self.host {
            host.heartbeat(permille.min(1000), &self.redactor.redact(note));
        }
    }

    /// Whether the attempt was asked to stop; a long loop should check this regularly. Never true in a unit test.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.host.as_ref().is_some_and(|host| host.is_cancelled())
    }

    fn write(&mut self, key: &str, value: V) {
        let key: Arc<str> = key.into();
        self.removed.remove(&key);
        self.written.insert(key, value);
    }

    fn find(&self, key: &str) -> Option<Place<'_, V>> {
        if let Some(value) = self.written.get(key) {
            return Some(Place::Written(value));
        }
        let is_there = !self.removed.contains(key) && self.source.writer(key).is_some();
        is_there.then_some(Place::Before)
    }

    /// The same values for a task with that identity and that host.
    #[must_use]
    pub(crate) fn attach(mut self, task: Arc<TaskInfo>, host: Arc<dyn Host>) -> Self {
        self.task = Some(task);
        self.host = Some(host);
        self
    }
}

impl<V: Clone> Context<V> {
    /// An independent copy: a write to the copy reaches no other task, and the copy logs nothing. Values from before the task
    /// are shared, not copied.
    ///
    /// ```
    /// use cloacina_workflow::{Context, Value};
    /// use serde_json::json;
    ///
    /// let mut context: Context<Value> = Context::new();
    /// context.insert("records", json!(1))?;
    /// let before = context.clone_data();
    /// context.update("records", json!(2))?;
    /// assert_eq!(before.get("records"), Some(&json!(1)));
    /// # Ok::<(), cloacina_workflow::ContextError>(())
    /// ```
    #[must_use]
    pub fn clone_data(&self) -> Self {
        Self {
            written: self.written.clone(),
            removed: self.removed.clone(),
            secret: self.secret.clone(),
            ..Self::over(self.source.clone())
        }
    }
}

impl<V: Serialize> Context<V> {
    /// All values as the text of one JSON object, secrets included. Decodes none.
    ///
    /// # Errors
    /// [`ContextError::WrongType`] for a value that serde cannot write.
    ///
    /// ```
    /// use cloacina_workflow::{Context, Value};
    /// use serde_json::json;
    ///
    /// let context: Context<Value> = Context::from_object(json!({"b": 1, "a": [true]})).unwrap();
    /// assert_eq!(context.to_json()?, r#"{"a":[true],"b":1}"#);
    /// # Ok::<(), cloacina_workflow::ContextError>(())
    /// ```
    pub fn to_json(&self) -> Result<String, ContextError> {
        let raw = self.keys().filter_map(|key| Some((key, self.raw(key)?)));
        let members = raw.map(|(key, raw)| Ok((key, raw?))).collect::<Result<BTreeMap<_, _>, ContextError>>()?;
        serde_json::to_string(&members).map_err(|error| wrong_type("", &error))
    }

    /// Adds a value under a new key.
    ///
    /// # Errors
    /// [`ContextError::KeyExists`]; nothing was changed then.
    pub fn insert(&mut self, key: impl AsRef<str>, value: V) -> Result<(), ContextError> {
        let key = key.as_ref();
        if self.contains_key(key) {
            return Err(ContextError::KeyExists { key: key.to_owned() });
        }
        self.write(key, value);
        Ok(())
    }

    /// Adds a secret under a new key. From when this returns, the secret is redacted in reports, histories, errors, log lines
    /// of any thread, and in the output of a package in a separate process. Each text in a value is a secret; a text of less
    /// than four bytes is not redacted.
    ///
    /// # Errors
    /// [`ContextError::KeyExists`]; nothing was changed then.
    ///
    /// ```
    /// use cloacina_workflow::{Context, Value};
    /// use serde_json::json;
    ///
    /// let mut context: Context<Value> = Context::new();
    /// context.insert_secret("token", json!("abcdefgh"))?;
    /// assert_eq!(context.get("token"), Some(&json!("abcdefgh")), "tasks read it like any other value");
    /// # Ok::<(), cloacina_workflow::ContextError>(())
    /// ```
    pub fn insert_secret(&mut self, key: impl AsRef<str>, value: V) -> Result<(), ContextError> {
        let key = key.as_ref();
        if self.contains_key(key) {
            return Err(ContextError::KeyExists { key: key.to_owned() });
        }
        self.tell_secret(key, &value)?;
        self.secret.insert(key.into());
        self.write(key, value);
        Ok(())
    }

    /// Redacts the texts of a value from now on: in the host, which knows other secrets that may overlap with these, or
    /// else here.
    fn tell_secret(&mut self, key: &str, value: &V) -> Result<(), ContextError> {
        let value = serde_json::to_value(value).map_err(|error| wrong_type(key, &error))?;
        let mut texts = Vec::new();
        collect_texts(value, &mut texts);
        for text in texts.into_iter().filter(|text| text.len() >= SECRET_BYTES_MIN) {
            if self.host.as_ref().is_some_and(|host| !host.secret(&text)) {
                collect_text(&text, &mut self.untaken);
            }
        }
        self.redactor = Redactor::new(self.untaken.iter().map(String::as_str));
        Ok(())
    }

    /// Replaces the value of an existing key.
    ///
    /// # Errors
    /// [`ContextError::KeyMissing`]; nothing was changed then.
    pub fn update(&mut self, key: impl AsRef<str>, value: V) -> Result<(), ContextError> {
        let key = key.as_ref();
        if !self.contains_key(key) {
            return Err(ContextError::KeyMissing { key: key.to_owned() });
        }
        self.write(key, value);
        Ok(())
    }

    /// Writes a value whether or not the key exists.
    pub fn set(&mut self, key: impl AsRef<str>, value: V) {
        self.write(key.as_ref(), value);
    }

    /// The changes of this context since it was created.
    ///
    /// # Errors
    /// A value that serde cannot write, or that nests too deep.
    pub(crate) fn delta(&self) -> Result<Delta, ContextError> {
        let mut delta = Delta { unset: self.removed.iter().cloned().collect(), ..Delta::default() };
        for (key, value) in &self.written {
            delta.set.insert(key.clone(), to_raw(key, value)?);
            if self.secret.contains(key) {
                let mark = [SECRET_MARK, key].concat();
                delta.set.insert(mark.as_str().into(), to_raw(&mark, &true)?);
            }
        }
        delta.check_depth()?;
        Ok(delta)
    }

    /// All values as raw text, for the input of a run.
    ///
    /// # Errors
    /// A value that serde cannot write, or that nests too deep.
    pub(crate) fn raw_values(&self) -> Result<BTreeMap<Arc<str>, Arc<RawValue>>, ContextError> {
        let raw = self.keys().filter_map(|key| Some((key.into(), self.raw(key)?)));
        let raw = raw.map(|(key, raw)| Ok((key, raw?)));
        let values = raw.collect::<Result<_, ContextError>>()?;
        check_depths(&values)?;
        Ok(values)
    }

    /// The text of a visible value.
    fn raw(&self, key: &str) -> Option<Result<Arc<RawValue>, ContextError>> {
        match self.find(key)? {
            Place::Written(value) => Some(to_raw(key, value)),
            Place::Before => {
                let mut found = None;
                self.source.read(key, &mut |raw| found = Some(Arc::from(raw.to_owned())));
                found.map(Ok)
            }
        }
    }
}

impl<V: DeserializeOwned> Context<V> {
    /// The value, decoded at the first access.
    ///
    /// # Panics
    /// When `V` is narrower than [`Value`] and the text does not fit it; [`Context::get_as`] reports that instead.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&V> {
        if let Some(value) = self.written.get(key) {
            return Some(value);
        }
        if self.removed.contains(key) { None } else { self.decode("", key) }
    }

    /// Removes the key and returns the value that it had.
    ///
    /// # Panics
    /// As [`Context::get`]; nothing was changed then.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        let old = match self.written.remove(key) {
            None if self.removed.contains(key) => None,
            None => self.decode_anew("", key),
            written => written,
        }?;
        // Other tasks never saw a key that this task inserted itself, but unsetting it does no harm.
        self.removed.insert(key.into());
        Some(old)
    }

    /// All keys with their values, in order. Decodes each value that was not read before; [`Context::keys`] decodes none.
    ///
    /// # Panics
    /// As [`Context::get`].
    ///
    /// ```
    /// use cloacina_workflow::{Context, Value};
    /// use serde_json::json;
    ///
    /// let context: Context<Value> = Context::from_object(json!({"b": 1, "a": [true]})).unwrap();
    /// assert_eq!(context.data().into_iter().collect::<Vec<_>>(), [("a", &json!([true])), ("b", &json!(1))]);
    /// ```
    #[must_use]
    pub fn data(&self) -> BTreeMap<&str, &V> {
        self.keys().filter_map(|key| Some((key, self.get(key)?))).collect()
    }

    /// The value that a task wrote, or that of the last writer if no task is named.
    fn decode(&self, task: &str, key: &str) -> Option<&V> {
        if let Some(known) = self.decoded.find(task, key) {
            return Some(known);
        }
        Some(self.decoded.insert(task, key, self.decode_anew(task, key)?))
    }

    /// The same, also where it was decoded before.
    fn decode_anew(&self, task: &str, key: &str) -> Option<V> {
        let mut decoded = None;
        let mut take = |raw: &RawValue| {
            let value = serde_json::from_str(raw.get());
            decoded = Some(value.expect("the value fits the type that the context was declared with"));
        };
        match task {
            "" => self.source.read(key, &mut take),
            task => self.source.read_from(task, key, &mut take),
        };
        decoded
    }
}

impl<V: Serialize> Context<V> {
    /// The value, decoded into a type of the caller.
    ///
    /// # Errors
    /// [`ContextError::KeyMissing`], or [`ContextError::WrongType`] with the message of serde.
    pub fn get_as<T: DeserializeOwned>(&self, key: &str) -> Result<T, ContextError> {
        let missing = || ContextError::KeyMissing { key: key.to_owned() };
        let mut read = None;
        if let Some(value) = self.written.get(key) {
            read = Some(serde_json::from_str(to_raw(key, value)?.get()));
        } else if !self.removed.contains(key) {
            self.source.read(key, &mut |raw| read = Some(serde_json::from_str(raw.get())));
        }
        read.ok_or_else(missing)?.map_err(|error| wrong_type(key, &error))
    }
}

impl Context<Value> {
    /// A context with the members of a JSON object; `None` for any other JSON.
    #[must_use]
    pub fn from_object(value: Value) -> Option<Self> {
        let Value::Object(members) = value else { return None };
        let mut context = Self::new();
        for (key, value) in members {
            context.write(&key, value);
        }
        Some(context)
    }
}

impl<V> Default for Context<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Serialize> fmt::Debug for Context<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |raw: Result<Arc<RawValue>, ContextError>| match raw {
            Ok(raw) => raw.get().to_owned(),
            Err(error) => error.to_string(),
        };
        let shown = self.keys().filter_map(|key| Some((key, text(self.raw(key)?))));
        formatter.debug_map().entries(shown).finish()
    }
}

impl<V: Serialize> Serialize for Context<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for key in self.keys() {
            match self.written.get(key) {
                Some(value) => map.serialize_entry(key, value)?,
                None => {
                    let mut serialized = Ok(());
                    self.source.read(key, &mut |raw| serialized = map.serialize_entry(key, raw));
                    serialized?;
                }
            }
        }
        map.end()
    }
}

impl<V: DeserializeOwned> TaskOutput<'_, V> {
    /// The value that the task produced under that key.
    ///
    /// # Panics
    /// As [`Context::get`].
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&V> {
        if self.task.is_empty() { None } else { self.context.decode(&self.task, key) }
    }
}

impl<V> TaskOutput<'_, V> {
    /// The keys that the task wrote, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.context.source.keys_from(&self.task)
    }

    /// Whether the task wrote nothing (or is not upstream).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys().next().is_none()
    }
}

impl<V> fmt::Debug for TaskOutput<'_, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = &self.context.source;
        let values = self.keys().map(|key| {
            let mut text = String::new();
            source.read_from(&self.task, key, &mut |raw| raw.get().clone_into(&mut text));
            (key, text)
        });
        formatter.debug_map().entries(values).finish()
    }
}

fn to_raw<V: Serialize>(key: &str, value: &V) -> Result<Arc<RawValue>, ContextError> {
    serde_json::value::to_raw_value(value).map(Arc::from).map_err(|error| wrong_type(key, &error))
}

/// The texts in a value, and its numbers as texts.
fn collect_texts(value: Value, texts: &mut Vec<String>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => texts.push(number.to_string()),
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.into_iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(members) => members.into_iter().for_each(|(_, member)| collect_texts(member, texts)),
    }
}

fn wrong_type(key: &str, error: &serde_json::Error) -> ContextError {
    ContextError::WrongType { key: key.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(json: &str) -> Context {
        Context::over(Arc::new(serde_json::from_str::<View>(json).unwrap()))
    }

    fn delta(context: &Context) -> String {
        serde_json::to_string(&context.delta().unwrap()).unwrap()
    }

    #[test]
    fn only_changes_leave_a_task() {
        let mut context = view(r#"{"values":{"a":1,"b":[2],"c":3}}"#);
        assert_eq!(delta(&context), r#"{"set":{},"unset":[]}"#);
        assert_eq!(context.get("b"), Some(&json!([2])), "reading is not a change");
        context.update("a", json!(10)).unwrap();
        context.insert("d", json!({"x": 1})).unwrap();
        assert_eq!(context.remove("c"), Some(json!(3)));
        assert_eq!(context.remove("c"), None);
        assert_eq!(delta(&context), r#"{"set":{"a":10,"d":{"x":1}},"unset":["c"]}"#);
        context.set("c", json!(4));
        assert_eq!(delta(&context), r#"{"set":{"a":10,"c":4,"d":{"x":1}},"unset":[]}"#);
    }

    #[derive(Debug, Default)]
    struct Heard(std::sync::Mutex<Vec<String>>);

    impl Host for Heard {
        fn log(&self, _: Level, _: &str, message: &str, _: &str) {
            self.0.lock().unwrap().push(message.to_owned());
        }

        fn heartbeat(&self, _: u32, note: &str) {
            self.0.lock().unwrap().push(note.to_owned());
        }

        fn is_cancelled(&self) -> bool {
            false
        }

        fn secret(&self, text: &str) -> bool {
            self.0.lock().unwrap().push(format!("secret {text}"));
            text == "ada lovelace"
        }
    }

    #[test]
    fn a_secret_leaves_a_task_with_its_mark_and_not_in_its_log() {
        let heard = Arc::new(Heard::default());
        let mut context = view(r#"{"values":{"a":1}}"#).attach(Arc::default(), heard.clone());
        context.insert_secret("token", json!("abcdefgh")).unwrap();
        context.insert_secret("pin", json!(90210)).unwrap();
        context.insert_secret("short", json!("abc")).unwrap();
        context.insert_secret("pair", json!({"user": ["ada lovelace"], "admin": true})).unwrap();
        assert_eq!(context.insert_secret("a", json!(1)), Err(ContextError::KeyExists { key: "a".to_owned() }));
        // The runner of the task knows them before any code can use them.
        let told = std::mem::take(&mut *heard.0.lock().unwrap());
        assert_eq!(told, ["secret abcdefgh", "secret 90210", "secret ada lovelace"]);
        context.log(Level::Info, "token=abcdefgh, abc of ada lovelace");
        context.heartbeat(1, "90210");
        // What the host hides goes to it as it is, or what overlaps with it could not be found.
        assert_eq!(*heard.0.lock().unwrap(), ["token=***, abc of ada lovelace", "***"]);
        context.remove("short");
        context.remove("pair");
        let marked = r#"{"set":{"cloacina.secret.pin":true,"cloacina.secret.token":true,"pin":90210,"token":"abcdefgh"},"unset":["pair","short"]}"#;
        assert_eq!(delta(&context), marked);
    }

    #[test]
    fn what_is_removed_is_returned_whether_or_not_it_was_read_or_written_before() {
        let mut context = view(r#"{"values":{"read":[1],"unread":{"x":2},"changed":3}}"#);
        assert_eq!(context.get("read"), Some(&json!([1])));
        context.set("changed", json!(4));
        context.set("new", json!(5));
        let removed = ["read", "unread", "changed", "new", "missing"].map(|key| context.remove(key));
        assert_eq!(removed, [Some(json!([1])), Some(json!({"x": 2})), Some(json!(4)), Some(json!(5)), None]);
        assert!(context.is_empty() && context.data().is_empty());
        assert_eq!(delta(&context), r#"{"set":{},"unset":["changed","new","read","unread"]}"#);
    }

    #[test]
    fn all_values_are_seen_at_once_as_references_as_a_copy_and_as_text() {
        let mut context = view(r#"{"values":{"a":1,"b":[2.50],"c":3}}"#);
        context.set("a", json!("own"));
        context.remove("c");
        let copy = context.clone_data();
        context.set("later", json!(null));
        assert_eq!(copy.data(), [("a", &json!("own")), ("b", &json!([2.5]))].into());
        assert_eq!(copy.to_json().unwrap(), r#"{"a":"own","b":[2.50]}"#, "a value is written as it came");
        assert_eq!(context.to_json().unwrap(), r#"{"a":"own","b":[2.50],"later":null}"#);
        let empty: Context = Context::new();
        assert_eq!((empty.data().len(), empty.to_json().unwrap()), (0, "{}".to_owned()));
    }

    #[test]
    fn insert_and_update_say_what_is_in_the_way() {
        let mut context = view(r#"{"values":{"a":1}}"#);
        assert_eq!(context.insert("a", json!(2)), Err(ContextError::KeyExists { key: "a".to_owned() }));
        assert_eq!(context.update("b", json!(2)), Err(ContextError::KeyMissing { key: "b".to_owned() }));
        assert_eq!(context.get("a"), Some(&json!(1)));
    }

    #[test]
    fn what_a_task_produced_is_found_even_where_it_was_hidden() {
        let context = view(
            r#"{"values":{"k":2,"only":5,"input":0},"producer":{"k":"late","only":"early"},"from":{"early":{"k":1}}}"#,
        );
        assert_eq!(context.producer("k"), Some("late"));
        assert_eq!(context.producer("input"), None);
        let early = context.from_task("early");
        assert_eq!((early.get("k"), early.get("only")), (Some(&json!(1)), Some(&json!(5))));
        assert_eq!(early.keys().collect::<Vec<_>>(), ["k", "only"]);
        assert_eq!(context.from_task("late").get("k"), Some(&json!(2)));
        assert!(context.from_task("nobody").is_empty());
    }

    #[test]
    fn keys_are_in_order_whichever_task_wrote_them() {
        let mut context = view(r#"{"values":{"b":1,"d":2,"f":3},"producer":{"d":"early"}}"#);
        for key in ["a", "d", "g"] {
            context.set(key, json!(0));
        }
        context.remove("b");
        context.remove("g");
        assert_eq!(context.keys().collect::<Vec<_>>(), ["a", "d", "f"]);
        assert_eq!((context.len(), context.contains_key("b"), context.get("b")), (3, false, None));
        assert_eq!(context.producer("d"), None, "this very task wrote it last");
        assert_eq!(context.from_task("early").get("d"), Some(&json!(2)), "and still it was produced upstream");
    }

    #[test]
    fn a_value_is_decoded_once() {
        let members: serde_json::Map<_, _> = (0..1_000).map(|number| (number.to_string(), json!(number))).collect();
        let context = view(&json!({ "values": members }).to_string());
        let first: Vec<*const Value> =
            (0..1_000).map(|number| context.get(&number.to_string()).unwrap() as _).collect();
        for (number, first) in first.into_iter().enumerate() {
            let value = context.get(&number.to_string()).unwrap();
            assert_eq!((value, std::ptr::from_ref(value)), (&json!(number), first));
        }
    }

    #[test]
    fn a_value_of_another_type_is_named_with_its_key() {
        let context = view(r#"{"values":{"a":"text"}}"#);
        let error = context.get_as::<u64>("a").unwrap_err();
        assert!(error.to_string().starts_with(r#"the value of "a" does not fit"#), "{error}");
        assert_eq!(context.get_as::<String>("a").unwrap(), "text");
    }

    #[test]
    fn a_value_nested_too_deep_is_refused_on_both_sides() {
        let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
        let mut context: Context = Context::new();
        context.set("deep", deep);
        assert_eq!(context.delta().unwrap_err(), ContextError::TooDeep { key: "deep".to_owned() });
    }

    #[test]
    fn a_context_outside_of_a_run_answers_like_a_first_attempt() {
        let context: Context = Context::new();
        context.log(Level::Info, "goes nowhere");
        context.heartbeat(5000, "");
        assert!(!context.is_cancelled());
        assert_eq!((context.attempt(), context.idempotency_key(), context.attempt_key()), (1, "", ""));
        assert_eq!(context.deadline(), None);
    }

    #[test]
    fn contexts_print_as_one_object() {
        let context = Context::from_object(json!({"b": 1, "a": [true]})).unwrap();
        assert_eq!(serde_json::to_string(&context).unwrap(), r#"{"a":[true],"b":1}"#);
        assert!(Context::from_object(json!([1])).is_none());
    }
}
