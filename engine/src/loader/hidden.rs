//! What a library must not have told in what belongs to no call, or to several: the secrets of the calls that it got.
//!
//! Of so many calls as are likely to still be heard of; those that began last are kept.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use cloacina_workflow::__private::v1::Redactor;

use super::{
    Hide, LogLine,
    output::{LINE_SENT_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, NAME_SENT_MAX, cut, pieces, redacted},
};

/// As many calls with secrets are remembered; output that is older has been read.
const CALLS_MAX: usize = 256;

/// The secrets of the calls that a library got.
#[derive(Default)]
pub(crate) struct Hidden {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: VecDeque<Arc<dyn Hide>>,
    /// What finds all that is kept, and how many secrets there were when it was made; made anew when it is needed.
    redactor: Arc<Redactor>,
    n_found: usize,
    is_changed: bool,
}

impl Hidden {
    /// Remembers what must not be told of the run that made a call.
    pub(crate) fn keep(&self, secrets: Arc<dyn Hide>) {
        // A list is whole after any of these operations.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.kept.iter().any(|known| Arc::ptr_eq(known, &secrets)) {
            state.kept.truncate(CALLS_MAX - 1);
            state.kept.push_front(secrets);
            state.is_changed = true;
        }
    }

    /// What finds all of it.
    pub(crate) fn redactor(&self) -> Arc<Redactor> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of one call only become more.
        let n_secrets = state.kept.iter().map(|secrets| secrets.n_secrets()).sum();
        if mem::take(&mut state.is_changed) || state.n_found != n_secrets {
            let mut texts = BTreeSet::new();
            state.kept.iter().for_each(|secrets| secrets.collect(&mut texts));
            state.redactor = Arc::new(Redactor::new(texts.iter().map(String::as_str)));
            state.n_found = n_secrets;
        }
        Arc::clone(&state.redactor)
    }

    /// A line that belongs to no call without any of it; one that is too long becomes several.
    pub(crate) fn lines(&self, line: &LogLine) -> Vec<LogLine> {
        let redactor = self.redactor();
        let target = redacted(&redactor, &line.target, NAME_SENT_MAX);
        let message = redacted(&redactor, &line.message, LINE_SENT_MAX);
        let fields = redactor.redact(&line.fields);
        let part = |(idx, message): (usize, &str)| LogLine {
            level: line.level,
            target: cut(&target, NAME_BYTES_MAX).into_owned(),
            message: message.to_owned(),
            fields: if idx == 0 { fields.clone().into_owned() } else { String::new() },
        };
        pieces(&message, MESSAGE_BYTES_MAX).enumerate().map(part).collect()
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        formatter.debug_struct("Hidden").field("n_kept", &state.kept.len()).finish()
    }
}
