//! The engine's handle of one running package host: it sends calls, and asks the roster and the process for everything else.
//!
//! ```text
//! start, cancel ──► outbox ──► socket ──► package host
//!       sinks ◄── reader thread ◄── socket ◄──┘ │ stdout, stderr, pidfd
//!       log   ◄── watcher thread ◄──────────────┘ reaps it, then closes the connection
//! ```
//! It has no state of its own: where the child is between its start and its end, and which calls are under way, is the
//! [roster](super::roster)'s; what it is made of is the [process](super::process)'s. Whatever happens, each call that was
//! accepted hears of its end once: from the host, or from [`Child::over`], which runs once when the connection ends, after
//! the frames that were under way have been read.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use cloacina_workflow::{__private::v1::Redactor, Level};

use super::{
    Confinement, Limits, Sandbox,
    calls::{Alone, EndedCall},
    child_state::Event,
    death::{Death, Killed},
    frame::{Frame, Kind},
    incident::Generation,
    keeper::{self, Alarm, Keeper},
    lines::Settled,
    observe,
    outbox::Posted,
    pool::Shared,
    process::Process,
    roster::{ChildId, LastCalls, NotTaken, Roster},
    tally::{Account, End, Used},
    watcher::Output,
};
use crate::loader::{Call, CallId, CallSink, Hidden, LogLine, Reaped, Usage};

/// How long a process that has closed its connection may take to end by itself: a crash closes it a moment earlier.
const LAST_BREATH: Duration = Duration::from_millis(500);
/// After a call of this length, the memory of its process is measured, which takes some 20 microseconds.
const LONG: Duration = Duration::from_millis(10);
/// A process that was killed ends when the system gets to it.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// What a process is for, and what it gets besides.
pub(super) struct ChildOrigin {
    pub(super) pool: Weak<Shared>,
    pub(super) roster: Arc<Roster>,
    pub(super) package: Arc<str>,
    pub(super) generation: Generation,
    /// Where what it uses up is counted.
    pub(super) account: Option<Account>,
}

/// A running package host.
pub(crate) struct Child {
    pub(super) id: ChildId,
    pub(super) package: Arc<str>,
    pub(super) process: Process,
    pub(super) limits: Limits,
    pub(super) roster: Arc<Roster>,
    sandbox: Sandbox,
    /// The pool that receives its end.
    pool: Weak<Shared>,
    /// What calls that it got must not have told.
    hidden: Hidden,
    /// What it uses up goes there.
    account: Option<Account>,
}

impl Child {
    /// A child that loads its library. It is on the roster from here on.
    pub(super) fn new(process: Process, origin: ChildOrigin, limits: Limits, sandbox: Sandbox) -> Arc<Self> {
        let ChildOrigin { pool, roster, package, generation, account } = origin;
        let id = roster.next_id();
        let hidden = Hidden::default();
        let child = Arc::new(Self { id, package, process, limits, roster, sandbox, pool, hidden, account });
        child.roster.add(&child, generation);
        if let Some(account) = &child.account {
            account.open(&child);
        }
        child
    }

    /// Begins a call, unless so many are under way. Gives the sink back if it does not; it hears nothing then.
    pub(super) fn start(
        self: &Arc<Self>,
        keeper: &Arc<Keeper>,
        id: CallId,
        call: &Call,
        sink: Arc<dyn CallSink>,
        open_max: usize,
    ) -> Result<(), NotTaken> {
        let secrets = sink.secrets();
        let starts_observing = {
            // Earlier output does not belong to this call, and later output does not belong to a single other call.
            let mut outputs = self.process.outputs();
            let n_open = self.n_open();
            if n_open <= 1 {
                self.settle(&mut outputs, Settled::GoesOn);
            }
            let cpu = if n_open == 0 { self.cpu() } else { None };
            self.roster.begin_call(self.id, id, sink, open_max, cpu)?
        };
        if let Some(secrets) = secrets {
            self.hidden.keep(secrets);
        }
        if let Some(account) = &self.account {
            account.note_call();
        }
        let posted = self.process.outbox.post(&Frame {
            a: call.function,
            b: call.deadline_unix_ms,
            c: call.attempt,
            parts: [&call.payload, call.idempotency_key.as_bytes(), call.trace_parent.as_bytes()],
            d: u64::from(call.is_whole),
            ..Frame::new(Kind::Start, id.number())
        });
        match posted {
            Posted::Sent | Posted::LeftOut => {}
            // The reader ends all calls, this one too.
            Posted::Unread => self.kill(Killed::Deaf),
            Posted::Gone => return self.take_back(id),
        }
        if starts_observing {
            observe::arm_first(keeper, self);
        }
        Ok(())
    }

    /// Takes back a call that did not reach the process; the reader is about to see the end of that process.
    fn take_back(&self, id: CallId) -> Result<(), NotTaken> {
        self.process.outbox.close();
        self.roster.tell(self.id, Event::Disconnected);
        // The reader may have told its end already.
        self.roster.take_back(self.id, id).map_or(Ok(()), |sink| Err(NotTaken::Over(sink)))
    }

    /// Asks a call to stop. False if it is not under way here.
    pub(super) fn cancel(&self, id: CallId) -> bool {
        if !self.roster.has_call(self.id, id) {
            return false;
        }
        self.process.outbox.post(&Frame::new(Kind::Cancel, id.number()));
        true
    }

    /// Keeps an alarm for as long as the process lives.
    pub(super) fn keep_last_alarm(&self, alarm: Alarm) {
        self.roster.keep_last_alarm(self.id, alarm);
    }

    /// Lets the process end by itself, and sees to it that it does.
    pub(super) fn dismiss(self: &Arc<Self>, keeper: &Keeper, grace: Duration) {
        self.keep_last_alarm(keeper.kill_after(grace + LAST_BREATH, self, Killed::Dismissed));
        self.release();
    }

    /// Closes the connection, upon which the process ends by itself.
    pub(super) fn release(&self) {
        self.process.note_peak();
        self.roster.tell(self.id, Event::Dismissed);
        self.process.outbox.close();
    }

    /// Ends the process at once, for that reason, unless it has ended. One that is ending already has another reason.
    pub(super) fn kill(&self, why: Killed) {
        // If only the main thread of a process ends, that is the reason.
        let state = match matches!(why, Killed::Halted { .. }) || !self.process.is_ending() {
            true => self.roster.tell(self.id, Event::Killed(why)),
            false => self.roster.state(self.id),
        };
        if state.is_some_and(|state| !state.has_ended()) {
            self.process.kill(&self.package);
        }
    }

    /// Lets the process end by itself, or kills it after `grace` and a bit.
    pub(super) fn end(&self, grace: Duration) {
        self.release();
        if !self.roster.wait_for_end(self.id, grace + LAST_BREATH) {
            self.kill(Killed::Dismissed);
            self.roster.wait_for_end(self.id, KILL_WAIT);
        }
    }

    /// Notes that the process has ended. The connection is closed, also if a process that it left behind holds it.
    pub(super) fn set_reaped(&self, reaped: Option<Reaped>, n_left_behind: usize) {
        let reaped = reaped.map(|reaped| self.process.corrected(reaped));
        self.close_account(reaped);
        self.roster.tell(self.id, Event::Reaped { reaped, n_left_behind });
        self.process.outbox.close();
    }

    /// How it ended. Waits for the end, and brings it about if need be.
    pub(super) fn death(&self) -> Death {
        self.wait_for_end();
        self.roster.death(self.id, &self.limits)
    }

    fn wait_for_end(&self) {
        let state = self.roster.tell(self.id, Event::Disconnected);
        let is_dismissed = state.is_some_and(|state| state.is_dismissed());
        if !self.roster.wait_for_end(self.id, if is_dismissed { KILL_WAIT } else { LAST_BREATH }) {
            self.kill(Killed::Silent);
            self.roster.wait_for_end(self.id, KILL_WAIT);
        }
    }

    /// Reports the end of the process to the waiting calls. No further frame comes from it.
    pub(super) fn over(self: &Arc<Self>) {
        self.wait_for_end();
        self.process.outbox.close();
        let LastCalls { death, open, alone, generation } = self.roster.end_calls(self.id, &self.limits);
        if let (Some(Alone { id, cpu: before, .. }), Some(reaped)) = (alone, death.reaped)
            && let Some(call) = open.iter().find(|call| call.id == id)
        {
            let cpu = Some(reaped.cpu.saturating_sub(before));
            call.sink.used(id, Usage { cpu, peak_bytes: reaped.peak_bytes });
        }
        if let Some(pool) = self.pool.upgrade() {
            pool.child_over(self, &death, generation, open);
        }
    }

    /// A start that has failed: no other thread waits for its end.
    pub(super) fn give_up(&self) {
        self.roster.tell(self.id, Event::Told);
    }

    /// Reads what the process has written until now.
    pub(super) fn read_outputs(&self) {
        self.process.outputs().iter_mut().for_each(|output| output.read(self));
    }

    /// Reads what the process has written until its end.
    pub(super) fn end_outputs(&self) {
        self.settle(&mut self.process.outputs(), Settled::Ended);
    }

    /// Reads what was written until now, and ends a line that has not ended: it belongs to the call that is alone now, or
    /// to the package. A function that changes which calls are open does this before, and holds the outputs meanwhile.
    fn settle(&self, outputs: &mut [Output; 2], settled: Settled) {
        outputs.iter_mut().for_each(|output| output.settle(self, settled));
    }

    /// Ends a call. What it wrote before its end belongs to it if it was alone. What the system says of one that was alone
    /// is preferred to what the package says of it.
    pub(super) fn take_call(&self, id: CallId, said: Option<Duration>) -> Option<(Arc<dyn CallSink>, usize)> {
        let (EndedCall { sink, alone, .. }, n_open) = {
            let mut outputs = self.process.outputs();
            let settled = if self.n_open() == 1 { Settled::Ended } else { Settled::GoesOn };
            self.settle(&mut outputs, settled);
            self.roster.end_call(self.id, id)?
        };
        let used = alone.map_or(Usage { cpu: said, peak_bytes: None }, |alone| self.used_by(&alone, said));
        if used != Usage::default() {
            sink.used(id, used);
        }
        Some((sink, n_open))
    }

    /// What a call used up that was alone.
    fn used_by(&self, alone: &Alone, said: Option<Duration>) -> Usage {
        let cpu = self.cpu().map(|cpu| cpu.saturating_sub(alone.cpu)).or(said);
        let is_long = keeper::now().saturating_duration_since(alone.began) >= LONG;
        if is_long {
            self.process.note_peak();
        }
        Usage { cpu, peak_bytes: self.process.seen_peak().filter(|_| is_long) }
    }

    /// A call has ended in order, and so many are left.
    pub(super) fn call_ended(self: &Arc<Self>, n_open: usize) {
        if let Some(pool) = self.pool.upgrade() {
            pool.call_ended(self, n_open);
        }
    }

    /// The sink of a call that is under way.
    pub(super) fn sink(&self, id: CallId) -> Option<Arc<dyn CallSink>> {
        self.roster.sink(self.id, id)
    }

    /// The sink of the one call that is under way, if it is alone.
    pub(super) fn only_sink(&self) -> Option<(CallId, Arc<dyn CallSink>)> {
        self.roster.only_call(self.id)
    }

    pub(super) fn n_open(&self) -> usize {
        self.roster.n_open(self.id)
    }

    /// Calls that it was given so far.
    pub(super) fn n_started(&self) -> u64 {
        self.roster.n_started(self.id)
    }

    /// Processor time that it has used up.
    fn cpu(&self) -> Option<Duration> {
        self.process.cpu()
    }

    /// Whether it may start other processes, as far as is known.
    pub(super) fn may_start(&self) -> bool {
        self.sandbox == Sandbox::Dev || !self.roster.is_whole(self.id)
    }

    /// What keeps the package in.
    pub(super) fn confinement(&self) -> Confinement {
        self.roster.confinement(self.id).unwrap_or_default()
    }

    /// What it has used up so far.
    pub(super) fn used(&self) -> Used {
        self.process.note_peak();
        Used { n_calls: self.n_started(), cpu: self.cpu(), peak_bytes: self.process.seen_peak() }
    }

    fn close_account(&self, reaped: Option<Reaped>) {
        let Some(account) = &self.account else { return };
        let is_released = self.roster.state(self.id).is_some_and(|state| state.is_released());
        let end = if is_released { End::Released } else { End::Crashed };
        let (cpu, peak_bytes) = (reaped.map(|reaped| reaped.cpu), reaped.and_then(|reaped| reaped.peak_bytes));
        account.close(end, Used { n_calls: self.n_started(), cpu, peak_bytes });
    }

    /// Has something kept from what is told of the package from now on.
    pub(super) fn hide(&self, sink: &dyn CallSink) {
        if let Some(secrets) = sink.secrets() {
            self.hidden.keep(secrets);
        }
    }

    /// The redactor of the secrets of its calls.
    pub(super) fn redactor(&self) -> Arc<Redactor> {
        self.hidden.redactor()
    }

    /// Writes a line that belongs to no call to the engine's own log.
    pub(super) fn log_of_package(&self, line: &LogLine) {
        let (package, pid) = (&*self.package, self.process.pid);
        for LogLine { level, target, message, fields } in &self.hidden.lines(line) {
            match level {
                Level::Error => tracing::error!(package, pid, module = target, fields, "{message}"),
                Level::Warn => tracing::warn!(package, pid, module = target, fields, "{message}"),
                Level::Info => tracing::info!(package, pid, module = target, fields, "{message}"),
                Level::Debug => tracing::debug!(package, pid, module = target, fields, "{message}"),
                Level::Trace => tracing::trace!(package, pid, module = target, fields, "{message}"),
            }
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Child").field("pid", &self.process.pid).finish_non_exhaustive()
    }
}
