//! What a library must not have told in lines that belong to no call, or to several: the secrets of the calls that it got.
//!
//! Of so many calls as are likely to still be heard of; those that began last are kept.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Hide, LogLine};

/// As many calls with secrets are remembered; output that is older has been read.
const CALLS_MAX: usize = 256;

/// The secrets of the calls that a library got.
#[derive(Default)]
pub(crate) struct Hidden {
    kept: Mutex<VecDeque<Arc<dyn Hide>>>,
}

impl Hidden {
    /// Remembers what must not be told of whoever made a call.
    pub(crate) fn keep(&self, secrets: Arc<dyn Hide>) {
        let mut kept = self.lock();
        if !kept.iter().any(|known| Arc::ptr_eq(known, &secrets)) {
            kept.truncate(CALLS_MAX - 1);
            kept.push_front(secrets);
        }
    }

    /// The line without any of it.
    pub(crate) fn hide(&self, line: &LogLine) -> LogLine {
        let kept = self.lock();
        let hide = |text: &String| kept.iter().fold(text.clone(), |text, secrets| secrets.hide(&text));
        let LogLine { level, target, message, fields } = line;
        LogLine { level: *level, target: hide(target), message: hide(message), fields: hide(fields) }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<dyn Hide>>> {
        // A list is whole after any of these operations.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hidden").field("n_kept", &self.lock().len()).finish()
    }
}
