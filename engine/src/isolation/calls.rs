//! The calls that are under way in one child: their owners, which call is alone, and which did not stop when it was asked to.
//!
//! Pure: the roster, which owns them, holds its lock meanwhile. A call is here from when it is sent until its end is told, and
//! is taken out once, by the thread that tells that end.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    keeper::{self, Alarm},
    role::SECRETS_MAX,
};
use crate::loader::{CallId, CallSink};

/// The calls of one child.
#[derive(Default)]
pub(super) struct Calls {
    open: HashMap<CallId, Open>,
    n_started: u64,
    /// The call that has been alone since it began.
    alone: Option<Alone>,
}

/// The call that has been alone in its process since it began.
pub(super) struct Alone {
    pub(super) id: CallId,
    /// The processor time of the process when it began.
    pub(super) cpu: Duration,
    pub(super) began: Instant,
}

/// A call that was under way when its process ended.
pub(super) struct OpenCall {
    pub(super) id: CallId,
    pub(super) sink: Arc<dyn CallSink>,
    /// Whether it did not stop when it was asked to.
    pub(super) is_overdue: bool,
}

/// A call that has ended in order.
pub(super) struct EndedCall {
    pub(super) sink: Arc<dyn CallSink>,
    /// Dropped without a lock.
    pub(super) _alarm: Option<Alarm>,
    /// Itself, if it was alone.
    pub(super) alone: Option<Alone>,
}

/// A call of a task that has named more secrets than it may.
pub(super) struct TooManySecrets;

struct Open {
    sink: Arc<dyn CallSink>,
    is_overdue: bool,
    n_secrets: usize,
    /// Rings when it was asked to stop and has not.
    alarm: Option<Alarm>,
}

impl Calls {
    pub(super) fn n_open(&self) -> usize {
        self.open.len()
    }

    /// Calls that it was given so far.
    pub(super) fn n_started(&self) -> u64 {
        self.n_started
    }

    /// How many did not stop when they were asked to.
    pub(super) fn n_overdue(&self) -> usize {
        self.open.values().filter(|open| open.is_overdue).count()
    }

    pub(super) fn has(&self, id: CallId) -> bool {
        self.open.contains_key(&id)
    }

    pub(super) fn sink(&self, id: CallId) -> Option<Arc<dyn CallSink>> {
        self.open.get(&id).map(|open| Arc::clone(&open.sink))
    }

    /// The one that is under way, if it is alone.
    pub(super) fn only(&self) -> Option<(CallId, Arc<dyn CallSink>)> {
        match self.open.iter().next() {
            Some((id, open)) if self.open.len() == 1 => Some((*id, Arc::clone(&open.sink))),
            _ => None,
        }
    }

    /// Adds a call; `cpu` is the processor time of the process, if that is known and no other call was there.
    pub(super) fn begin(&mut self, id: CallId, sink: Arc<dyn CallSink>, cpu: Option<Duration>) {
        self.n_started += 1;
        let cpu = cpu.filter(|_| self.open.is_empty());
        self.alone = cpu.map(|cpu| Alone { id, cpu, began: keeper::now() });
        self.open.insert(id, Open { sink, is_overdue: false, n_secrets: 0, alarm: None });
    }

    /// Takes back a call that did not get to the process.
    pub(super) fn take_back(&mut self, id: CallId) -> Option<Arc<dyn CallSink>> {
        let open = self.open.remove(&id)?;
        self.n_started -= 1;
        self.alone.take_if(|alone| alone.id == id);
        Some(open.sink)
    }

    pub(super) fn end(&mut self, id: CallId) -> Option<EndedCall> {
        let Open { sink, alarm, .. } = self.open.remove(&id)?;
        Some(EndedCall { sink, _alarm: alarm, alone: self.alone.take_if(|alone| alone.id == id) })
    }

    /// Takes all that are under way, in the order in which they began, and which was alone.
    pub(super) fn take_all(&mut self) -> (Vec<OpenCall>, Option<Alone>) {
        let open = std::mem::take(&mut self.open).into_iter();
        let mut open: Vec<OpenCall> =
            open.map(|(id, Open { sink, is_overdue, .. })| OpenCall { id, sink, is_overdue }).collect();
        open.sort_by_key(|call| call.id);
        (open, self.alone.take())
    }

    /// Notes that a call did not stop, and says how many others have not failed to; none if it has ended.
    pub(super) fn set_overdue(&mut self, id: CallId) -> Option<usize> {
        self.open.get_mut(&id)?.is_overdue = true;
        Some(self.open.len() - self.n_overdue())
    }

    /// Keeps an alarm for as long as the call is under way. Gives back what is not needed, to be dropped without a lock.
    pub(super) fn keep_alarm(&mut self, id: CallId, alarm: Alarm) -> Option<Alarm> {
        match self.open.get_mut(&id) {
            Some(open) => open.alarm.replace(alarm),
            None => Some(alarm),
        }
    }

    /// Counts a secret of a call.
    pub(super) fn count_secret(&mut self, id: CallId) -> Result<Option<Arc<dyn CallSink>>, TooManySecrets> {
        let Some(open) = self.open.get_mut(&id) else { return Ok(None) };
        open.n_secrets += 1;
        if open.n_secrets > SECRETS_MAX { Err(TooManySecrets) } else { Ok(Some(Arc::clone(&open.sink))) }
    }
}
