//! How an attempt is asked to stop: once, from the driver, seen by the runner of the attempt.
//!
//! A future waits for [`Stop::asked`] and is dropped at its next await point; a plain function may look; a package is
//! told through the hook. An attempt may ignore it: the driver abandons such an attempt after a while.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

/// The request to stop one attempt.
#[derive(Default)]
pub(crate) struct Stop {
    is_asked: AtomicBool,
    notify: Notify,
    hook: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Stop {
    /// Asks the attempt to stop.
    pub(super) fn ask(&self) {
        let hook = {
            let mut hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
            self.is_asked.store(true, Ordering::Release);
            hook.take()
        };
        self.notify.notify_waiters();
        if let Some(hook) = hook {
            hook();
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Acquire)
    }

    /// Waits until the attempt is asked to stop.
    pub(super) async fn asked(&self) {
        loop {
            let notified = self.notify.notified();
            if self.is_asked() {
                return;
            }
            notified.await;
        }
    }

    /// Has the hook called when the attempt is asked to stop, at once if it was. Must not block.
    pub(super) fn on_ask(&self, hook: impl FnOnce() + Send + 'static) {
        {
            let mut place = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.is_asked() {
                *place = Some(Box::new(hook));
                return;
            }
        }
        hook();
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stop").field("is_asked", &self.is_asked()).finish_non_exhaustive()
    }
}
