//! Signals: that there is more to read of one run, to those who follow that run.
//!
//! A signal carries nothing, as what there is to read is in the database. Followers of other runs are not woken, and a run
//! that has no followers costs one look at a table.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::id::RunId;

/// Where signals are given and awaited. Clones share the followers.
#[derive(Clone, Default)]
pub(crate) struct RunSignals {
    /// Only runs with followers.
    followed: Arc<Mutex<HashMap<RunId, watch::Sender<()>>>>,
}

/// The signals of one run to one follower.
#[derive(Debug)]
pub(crate) struct RunSignal {
    signals: RunSignals,
    run: RunId,
    receiver: watch::Receiver<()>,
}

impl RunSignals {
    /// Follows a run from now on.
    pub(crate) fn follow(&self, run: RunId) -> RunSignal {
        let receiver = self.lock().entry(run).or_insert_with(|| watch::Sender::new(())).subscribe();
        RunSignal { signals: self.clone(), run, receiver }
    }

    /// Wakes the followers of these runs.
    pub(crate) fn give(&self, runs: impl IntoIterator<Item = RunId>) {
        let followed = self.lock();
        if followed.is_empty() {
            return;
        }
        for run in runs {
            if let Some(sender) = followed.get(&run) {
                sender.send_replace(());
            }
        }
    }

    /// How many runs are followed.
    #[cfg(test)]
    pub(crate) fn n_followed(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, watch::Sender<()>>> {
        // Nothing panics while the lock is held.
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunSignal {
    /// Waits for a signal since the last one that was seen.
    pub(crate) async fn given(&mut self) {
        // The sender is there as long as its receiver is.
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whatever was told so far will have been read.
    pub(crate) fn mark_seen(&mut self) {
        self.receiver.mark_unchanged();
    }

    /// Whether there was a signal since the last one that was seen.
    #[cfg(test)]
    pub(crate) fn is_given(&self) -> bool {
        self.receiver.has_changed().unwrap()
    }
}

impl Drop for RunSignal {
    fn drop(&mut self) {
        let mut followed = self.signals.lock();
        // This one is still counted.
        if followed.get(&self.run).is_some_and(|sender| sender.receiver_count() <= 1) {
            followed.remove(&self.run);
        }
    }
}

impl fmt::Debug for RunSignals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RunSignals").field("n_followed", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use cloacina_workflow::Timestamp;

    use super::*;

    #[test]
    fn a_signal_reaches_the_followers_of_its_run_and_no_others() {
        let signals = RunSignals::default();
        let [one, other] = [1, 2].map(|second| RunId::new(Timestamp::from_unix_micros(second * 1_000_000)));
        let mut followers = [one, one, other].map(|run| signals.follow(run));
        signals.give([one]);
        assert_eq!(followers.each_ref().map(RunSignal::is_given), [true, true, false]);
        followers[0].mark_seen();
        assert_eq!(followers.each_ref().map(RunSignal::is_given), [false, true, false]);
        let [first, second, third] = followers;
        drop(first);
        assert_eq!(signals.n_followed(), 2);
        drop(second);
        assert_eq!(signals.n_followed(), 1);
        drop(third);
        assert_eq!(signals.n_followed(), 0);
        signals.give([one, other]);
    }
}
