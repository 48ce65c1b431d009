//! Waiting for an engine that has the database for a moment: that of another command, or one that is about to end.
//!
//! The wait is bounded, and is told where it takes noticeable time. An engine that stays has a socket, and is asked.

use std::future::pending;
use std::time::Duration;

use crate::error::Error;
use crate::output::Output;

/// How long a command waits in all. A command holds a database for a fraction of a second, an engine that ends for a few.
const WAIT: Duration = Duration::from_secs(5);
/// How often it checks again.
const STEP: Duration = Duration::from_millis(25);
/// When it tells that it waits.
const NOTICEABLE: Duration = Duration::from_millis(500);

/// What is left of the wait.
#[derive(Debug)]
pub(crate) struct Patience<'a> {
    output: &'a Output,
    waited: Duration,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(output: &'a Output) -> Self {
        Self { output, waited: Duration::ZERO }
    }

    /// Waits a moment if the error may be over after it; false if it will not be, or if all patience is used up.
    pub(crate) async fn outlast(&mut self, error: &Error) -> bool {
        if !error.is_of_a_moment() || self.waited >= WAIT {
            return false;
        }
        let was_noticeable = self.waited >= NOTICEABLE;
        // It ends with the time, as what it waits for never comes.
        drop(tokio::time::timeout(STEP, pending::<()>()).await);
        self.waited += STEP;
        if !was_noticeable && self.waited >= NOTICEABLE {
            self.output.note(&format!("waiting up to {} s for another engine to end: {error}", WAIT.as_secs()));
        }
        true
    }
}
