//! Validates the end of a call that a package sent: bytes in, a [`CallResult`] out, whatever the bytes are.
//!
//! A value that passes here can be decoded by everyone after: valid UTF-8, valid JSON with numbers and escapes in
//! range, an object at the top, bounded in size and depth. What does not pass becomes an error of the call, with a
//! code, so that garbage fails one attempt and nothing else. Pure: no pointers, no locks.

use std::{borrow::Cow, collections::BTreeMap, fmt, str, sync::Arc, time::Duration};

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, json, value::RawValue};

use cloacina_workflow::{
    __private::v1::Redactor,
    ErrorRecord, TaskError,
    abi::{self, Status},
    payload::{Delta, check_depths, check_exact},
};

use super::call::{CallResult, Output};

/// The largest output of one call. A context is read and written whole by the store, so larger data belongs into
/// files or services that the context points to.
pub(crate) const OUTPUT_BYTES_MAX: usize = 64 << 20;
/// The longest message of an error; a longer one is cut, because it is stored with its attempt.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// The longest message of a line of a log; a longer one becomes several lines.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 10;
/// The longest kind of an error, target of a log line, or note of a heartbeat.
pub(crate) const NAME_BYTES_MAX: usize = 256;

/// What crosses before secrets are taken out is longer than what is kept: a cut must not part a secret, and what is kept
/// is cut after they were taken out. So much crosses of a name; ...
pub(crate) const NAME_SENT_MAX: usize = 16 << 10;
/// ... of the message of an error; ...
pub(crate) const MESSAGE_SENT_MAX: usize = 1 << 20;
/// ... and of the message of a log line: as much as the log of an attempt holds.
pub(crate) const LINE_SENT_MAX: usize = 4 << 20;
/// Fields that are longer are not kept.
pub(crate) const FIELDS_BYTES_MAX: usize = 64 << 10;
/// The fields of a line that continues the one before it.
pub(crate) const CONTINUED: &str = r#"{"continued":true}"#;
/// Stands at the end of a text that was cut.
const CUT: char = '…';

/// The longest secret that is searched for as a whole; longer ones are searched for piece by piece.
pub(crate) const SECRET_BYTES_MAX: usize = 16 << 10;
/// How much of a secret is searched for.
pub(crate) const SECRET_PIECES_BYTES_MAX: usize = 16 * SECRET_BYTES_MAX;

/// The end of a call as it was sent.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) status: i32,
    pub(crate) output_kind: u32,
    /// 0 for none.
    pub(crate) retry_after_us: u64,
    pub(crate) output: &'a [u8],
    pub(crate) error_code: &'a [u8],
    pub(crate) error_message: &'a [u8],
    /// 0 for not measured. Whatever the package likes, so nothing to be relied on.
    pub(crate) cpu_ns: u64,
}

impl Sent<'_> {
    /// The processor time that the package says.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        (self.cpu_ns > 0).then(|| Duration::from_nanos(self.cpu_ns))
    }
}

/// What is wrong with the end of a call. The attempt fails with it, and is not tried again: the package is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Bad {
    #[error("the package completed the call without a result")]
    Null,
    #[error("the package's result is at an address that is not a multiple of {align}")]
    Misaligned { align: usize },
    #[error("the package's result is {found} bytes long, version {}.0 has {expected}", abi::ABI_MAJOR)]
    Size { found: u32, expected: usize },
    #[error("the package's {field} has no address but a length of {len}")]
    Pointer { field: &'static str, len: usize },
    #[error("the package's result has the unknown status {status}")]
    Status { status: i32 },
    #[error("the package's output is {len} bytes long, {OUTPUT_BYTES_MAX} are allowed")]
    TooLarge { len: usize },
    #[error("the package's output has the unknown kind {kind}")]
    Kind { kind: u32 },
    #[error("the package's output is not a valid JSON object: {reason}")]
    Json { reason: String },
}

impl Bad {
    /// The stable code, with a page `docs/errors/<code>.md`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Null | Self::Misaligned { .. } | Self::Size { .. } | Self::Pointer { .. } => "LIB0017",
            Self::Status { .. } | Self::Kind { .. } => "LIB0018",
            Self::TooLarge { .. } => "LIB0019",
            Self::Json { .. } => "LIB0020",
        }
    }

    /// The failure of the attempt.
    pub(crate) fn into_result(self) -> CallResult {
        let error = TaskError::Custom {
            kind: "bad_output".to_owned(),
            details: json!({ "code": self.code() }),
            message: self.to_string(),
            retryable: false,
        };
        CallResult::Failed { error, retry_after: None }
    }
}

/// What the end of a call means.
pub(crate) fn validate(sent: &Sent<'_>) -> Result<CallResult, Bad> {
    match Status::from_number(sent.status) {
        Some(Status::Ok) => output(sent).map(CallResult::Completed),
        Some(Status::Retry) => {
            let wait = Duration::from_micros(sent.retry_after_us);
            let retry_after = (!wait.is_zero()).then_some(wait);
            let error = error(sent, "transient", true, retry_after);
            Ok(CallResult::Failed { retry_after: retry_after.or(error.retry_after()), error })
        }
        Some(Status::Failed) => {
            Ok(CallResult::Failed { error: error(sent, "permanent", false, None), retry_after: None })
        }
        Some(Status::Panic) => Ok(CallResult::Failed { error: error(sent, "panicked", true, None), retry_after: None }),
        Some(Status::Cancelled) => Ok(CallResult::Cancelled(error(sent, "cancelled", false, None))),
        // A call can be refused when it starts, not when it ends.
        Some(_) | None => Err(Bad::Status { status: sent.status }),
    }
}

/// Text of a package as it crosses, made printable: invalid UTF-8 replaced, and if it is too long, cut at a character
/// with a sign that there is more. Secrets are still in it.
pub(crate) fn text(bytes: &[u8], sent_max: usize) -> String {
    // A byte that is not text becomes three bytes, never fewer than one.
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(sent_max.saturating_add(4))]);
    if text.len() <= sent_max {
        return text.into_owned();
    }
    let end = text.floor_char_boundary(sent_max.saturating_sub(CUT.len_utf8()));
    format!("{}{CUT}", &text[..end])
}

/// A text that crossed, without secrets. If it was cut on its way, what may be the beginning of a secret goes too.
pub(crate) fn redacted<'a>(redactor: &Redactor, text: &'a str, sent_max: usize) -> Cow<'a, str> {
    // A character has at most four bytes.
    let is_long = text.len() + CUT.len_utf8() >= sent_max;
    match text.strip_suffix(CUT).filter(|_| is_long) {
        Some(beginning) => Cow::Owned(format!("{}{CUT}", redactor.redact_beginning(beginning))),
        None => redactor.redact(text),
    }
}

/// A text without secrets, cut to what is kept of it.
pub(crate) fn cut(text: &str, kept_max: usize) -> Cow<'_, str> {
    if text.len() <= kept_max {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}{CUT}", &text[..text.floor_char_boundary(kept_max)]))
}

/// A text in pieces of at most that many bytes; an empty one is one piece.
pub(crate) fn pieces(text: &str, bytes_max: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (piece, after) = rest?.split_at(rest?.floor_char_boundary(bytes_max));
        rest = (!after.is_empty()).then_some(after);
        Some(piece)
    })
}

/// A secret in pieces that are searched for by themselves, none of them short: the last one overlaps the one before.
pub(super) fn secret_pieces(secret: &str) -> impl Iterator<Item = &str> {
    let last = secret.ceil_char_boundary(secret.len().saturating_sub(SECRET_BYTES_MAX));
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at;
        at = secret.floor_char_boundary(begin + SECRET_BYTES_MAX);
        match begin {
            begin if begin >= secret.len() => None,
            _ if at >= secret.len() => Some(&secret[begin.min(last)..]),
            begin => Some(&secret[begin..at]),
        }
    })
}

/// A JSON object as text, empty for none; other text is kept under `raw`, and of a text that is too long only the length.
pub(crate) fn fields(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    if bytes.len() > FIELDS_BYTES_MAX {
        // Half of an object would be none.
        return json!({ "cut_bytes": bytes.len() }).to_string();
    }
    match checked_object(bytes) {
        Ok(object) => object.to_owned(),
        Err(_) => json!({ "raw": String::from_utf8_lossy(bytes) }).to_string(),
    }
}

/// Whether bytes are fields of a log line as they should be.
pub(super) fn is_object_or_empty(bytes: &[u8]) -> bool {
    bytes.is_empty() || checked_object(bytes).is_ok()
}

fn error(sent: &Sent<'_>, default_kind: &str, retryable: bool, retry_after: Option<Duration>) -> TaskError {
    let kind = match text(sent.error_code, NAME_SENT_MAX) {
        kind if kind.trim().is_empty() => default_kind.to_owned(),
        kind => kind,
    };
    let message = match text(sent.error_message, MESSAGE_SENT_MAX) {
        message if message.trim().is_empty() => "the package gave no message".to_owned(),
        message => message,
    };
    // Details only explain a failure that is already one; unreadable ones are dropped.
    let details = match sent.output.len() {
        1..=MESSAGE_BYTES_MAX => serde_json::from_slice(sent.output).unwrap_or(Value::Null),
        _ => Value::Null,
    };
    TaskError::from_record(ErrorRecord { kind, message, details, retryable, retry_after })
}

fn output(sent: &Sent<'_>) -> Result<Output, Bad> {
    let len = sent.output.len();
    if len > OUTPUT_BYTES_MAX {
        return Err(Bad::TooLarge { len });
    }
    if len == 0 && matches!(sent.output_kind, abi::OUTPUT_WHOLE | abi::OUTPUT_DELTA) {
        // An empty output changes nothing, so that a task in C without changes needs no JSON.
        return Ok(Output::Delta(Delta::default()));
    }
    let unreadable = |error: serde_json::Error| Bad::Json { reason: error.to_string() };
    let json = checked_object(sent.output)?;
    let output = match sent.output_kind {
        abi::OUTPUT_DELTA => Output::Delta(serde_json::from_str(json).map_err(unreadable)?),
        abi::OUTPUT_WHOLE => {
            Output::Whole(serde_json::from_str::<BTreeMap<Arc<str>, Arc<RawValue>>>(json).map_err(unreadable)?)
        }
        kind => return Err(Bad::Kind { kind }),
    };
    let values = match &output {
        Output::Delta(delta) => &delta.set,
        Output::Whole(values) => values,
    };
    check_depths(values).map_err(|error| Bad::Json { reason: error.to_string() })?;
    Ok(output)
}

/// The text of one JSON object all of whose parts can be decoded, and to what it says. Raw values are skipped over by serde_json without
/// checking escapes, ranges of numbers and depth, so everything is visited once here.
fn checked_object(bytes: &[u8]) -> Result<&str, Bad> {
    let text = str::from_utf8(bytes).map_err(|error| Bad::Json { reason: error.to_string() })?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let checked = Checked { object: true }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    checked.map_err(|error| Bad::Json { reason: error.to_string() })?;
    check_exact(text).map_err(|inexact| Bad::Json { reason: inexact.to_string() })?;
    Ok(text)
}

/// Visits a JSON value to its last part and builds nothing. serde_json itself ends the visit at 128 levels.
#[derive(Clone, Copy)]
struct Checked {
    object: bool,
}

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.object { deserializer.deserialize_map(self) } else { deserializer.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.object { "an object" } else { "a JSON value" })
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self { object: false })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_key_seed(Self { object: false })?.is_some() {
            members.next_value_seed(Self { object: false })?;
        }
        Ok(())
    }
}
