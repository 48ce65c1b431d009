//! The engine's side of one running package host: its process, its connection, the calls that are under way in it.
//!
//! ```text
//! start, cancel ──► outbox ──► socket ──► package host
//!       sinks ◄── reader thread ◄── socket ◄──┘ │ stdout, stderr, pidfd
//!       log   ◄── watcher thread ◄──────────────┘ reaps it, then closes the connection
//! ```
//! Everything that a host sends is checked as if an enemy had sent it. Whatever happens, each call that was accepted
//! hears of its end once: from the host, or from [`Child::over`], which runs once when the connection ends, after
//! the frames that were under way have been read.

use std::{
    collections::HashMap,
    fmt, fs,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cloacina_workflow::{
    __private::v1::Redactor,
    Level,
    abi::{FETCH_ABSENT, FETCH_FOUND, FETCH_TOO_LARGE},
};
use rustix::{
    fd::OwnedFd,
    process::{Signal, pidfd_send_signal},
};

use super::{
    Confinement, Limits, Sandbox,
    bounds::Bounds,
    death::{Death, Killed},
    frame::{Frame, Kind},
    identity::Identity,
    incident::Generation,
    keeper::{self, Alarm, Keeper},
    lines::Settled,
    look,
    outbox::{Outbox, Posted},
    role::{SECRETS_MAX, refused},
    scratch::Folder,
    setup::Setup,
    stat::Stat,
    stream::{Broken, FrameReader},
    tally::{Account, End, Used},
    watcher::Output,
};
use crate::loader::{
    Answer, Call, CallId, CallResult, CallSink, CpuClock, Hidden, LINE_SENT_MAX, LogLine, NAME_SENT_MAX,
    OUTPUT_BYTES_MAX, Question, Reaped, SECRET_BYTES_MAX, Sent, Unanswered, Usage, fields, judge, text,
};

/// How long a process that has closed its connection may take to end by itself: a crash closes it a moment earlier.
const LAST_BREATH: Duration = Duration::from_millis(500);
/// A call that took so long is worth a look at the memory of its process, which takes some 20 microseconds.
const LONG: Duration = Duration::from_millis(10);
/// A process that was killed ends when the system gets to it.
const KILL_WAIT: Duration = Duration::from_secs(10);
/// Stray messages in a row after which a host counts as hostile.
const STRAYS_MAX: u64 = 10_000;

/// Who is told when a child has ended.
pub(super) trait Bereaved: Send + Sync {
    /// The child has ended; these calls were under way, in the order in which they began.
    fn child_over(self: Arc<Self>, child: &Arc<Child>, death: Death, open: Vec<OpenCall>);
    /// A call has ended in order, and so many are left.
    fn call_ended(self: Arc<Self>, child: &Arc<Child>, n_open: usize);
}

/// A call under way.
pub(super) struct OpenCall {
    pub(super) id: CallId,
    pub(super) sink: Arc<dyn CallSink>,
    /// Whether it did not stop when it was asked to.
    pub(super) is_overdue: bool,
}

/// A process that was just started.
pub(super) struct Running {
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
    pub(super) outbox: Arc<Outbox>,
    /// Its end of the connection.
    pub(super) connection: Option<Identity>,
    /// Its standard output and error.
    pub(super) pipes: [Option<Arc<OwnedFd>>; 2],
    /// What the system may count as its memory though its engine held it.
    pub(super) inherited_bytes: Option<u64>,
}

/// What a process is for, and what it gets besides.
pub(super) struct Whose {
    pub(super) package: Arc<str>,
    pub(super) generation: Generation,
    /// Where it may write.
    pub(super) scratch: Option<Folder>,
    /// Where what it uses up is counted.
    pub(super) account: Option<Account>,
}

/// Why a call did not begin here; it may elsewhere.
pub(super) enum NotTaken {
    /// The process has as many as it may.
    Full(Arc<dyn CallSink>),
    /// The process has ended.
    Over(Arc<dyn CallSink>),
}

/// A running package host.
pub(crate) struct Child {
    pub(super) pid: u32,
    pub(super) package: Arc<str>,
    pub(super) connection: Option<Identity>,
    /// As of its latest call.
    generation: AtomicU64,
    pub(super) outbox: Arc<Outbox>,
    pub(super) limits: Limits,
    pub(super) bounds: Bounds,
    sandbox: Sandbox,
    pidfd: OwnedFd,
    cpu: Option<CpuClock>,
    calls: Mutex<Calls>,
    /// What the watcher found.
    reaped: Mutex<Option<Result<Reaped, ()>>>,
    has_ended: Condvar,
    killed: OnceLock<Killed>,
    n_strays: AtomicU64,
    family: OnceLock<Weak<dyn Bereaved>>,
    confinement: OnceLock<Confinement>,
    last_alarm: Mutex<Option<Alarm>>,
    is_leaving: AtomicBool,
    outputs: Mutex<[Output; 2]>,
    is_dismissed: AtomicBool,
    /// Processes that it had started and that were killed after it.
    n_left: AtomicUsize,
    look: Mutex<Option<Alarm>>,
    /// What calls that it got must not have told.
    hidden: Hidden,
    /// Where it may write.
    scratch: Mutex<Option<Folder>>,
    is_looked_at: AtomicBool,
    inherited_bytes: Option<u64>,
    /// The most memory that it was seen to have held; 0 if nobody has looked.
    seen_bytes: AtomicU64,
    /// What it uses up goes there.
    account: Option<Account>,
}

#[derive(Default)]
struct Calls {
    open: HashMap<CallId, Open>,
    is_over: bool,
    n_started: u64,
    /// The call that has been alone since it began.
    alone: Option<Alone>,
}

struct Alone {
    id: CallId,
    /// The processor time of the process when it began.
    cpu: Duration,
    began: Instant,
}

struct Open {
    sink: Arc<dyn CallSink>,
    is_overdue: bool,
    n_secrets: usize,
    /// Rings when it was asked to stop and has not.
    alarm: Option<Alarm>,
}

impl Child {
    pub(super) fn new(running: Running, setup: &Setup, whose: Whose) -> Arc<Self> {
        let Whose { package, generation, scratch, account } = whose;
        let Running { pid, pidfd, outbox, connection, pipes: [stdout, stderr], inherited_bytes } = running;
        let outputs = [Output::new(stdout, Level::Info, "stdout"), Output::new(stderr, Level::Warn, "stderr")];
        let child = Arc::new(Self {
            pid,
            package,
            connection,
            generation: AtomicU64::new(generation.0),
            outbox,
            limits: setup.limits,
            bounds: Bounds::new(setup.limits, scratch.as_ref().map(Folder::path)),
            sandbox: setup.sandbox,
            pidfd,
            cpu: CpuClock::of(pid),
            calls: Mutex::default(),
            reaped: Mutex::default(),
            has_ended: Condvar::new(),
            killed: OnceLock::new(),
            n_strays: AtomicU64::new(0),
            family: OnceLock::new(),
            confinement: OnceLock::new(),
            last_alarm: Mutex::default(),
            is_leaving: AtomicBool::new(false),
            outputs: Mutex::new(outputs),
            is_dismissed: AtomicBool::new(false),
            n_left: AtomicUsize::new(0),
            look: Mutex::default(),
            hidden: Hidden::default(),
            scratch: Mutex::new(scratch),
            is_looked_at: AtomicBool::new(false),
            inherited_bytes,
            seen_bytes: AtomicU64::new(0),
            account,
        });
        if let Some(account) = &child.account {
            account.open(&child);
        }
        child
    }

    /// Says who is told of its end. Before its reader begins.
    pub(super) fn adopt(&self, family: Weak<dyn Bereaved>) {
        // A child is adopted once.
        self.family.set(family).ok();
    }

    /// Notes how many incidents there had been when it got its latest call.
    pub(super) fn set_generation(&self, generation: Generation) {
        self.generation.store(generation.0, Ordering::Release);
    }

    pub(super) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    /// Begins a call, unless so many are under way. Gives the sink back if it does not; it hears nothing then.
    pub(super) fn start(
        &self,
        id: CallId,
        call: &Call,
        sink: Arc<dyn CallSink>,
        open_max: usize,
    ) -> Result<(), NotTaken> {
        let secrets = sink.secrets();
        {
            // What was written until now is not this call's, and from here on it is not one other call's any more.
            let mut outputs = self.outputs();
            if self.n_open() <= 1 {
                self.settle(&mut outputs, Settled::GoesOn);
            }
            let mut calls = self.lock();
            if calls.is_over {
                return Err(NotTaken::Over(sink));
            }
            if calls.open.len() >= open_max {
                return Err(NotTaken::Full(sink));
            }
            calls.n_started += 1;
            let begun = |cpu| Alone { id, cpu, began: keeper::now() };
            calls.alone = if calls.open.is_empty() { self.cpu().map(begun) } else { None };
            calls.open.insert(id, Open { sink, is_overdue: false, n_secrets: 0, alarm: None });
        }
        if let Some(secrets) = secrets {
            self.hidden.keep(secrets);
        }
        if let Some(account) = &self.account {
            account.note_call();
        }
        let posted = self.outbox.post(&Frame {
            a: call.function,
            b: call.deadline_unix_ms,
            c: call.attempt,
            parts: [&call.payload, call.idempotency_key.as_bytes(), call.trace_parent.as_bytes()],
            d: u64::from(call.is_whole),
            ..Frame::new(Kind::Start, id.number())
        });
        match posted {
            Posted::Sent | Posted::LeftOut => Ok(()),
            Posted::Unread => {
                // The reader ends all calls, this one too.
                self.kill(Killed::Deaf);
                Ok(())
            }
            Posted::Gone => self.take_back(id),
        }
    }

    /// Takes back a call that did not get to the process, whose end the reader is about to see.
    fn take_back(&self, id: CallId) -> Result<(), NotTaken> {
        self.outbox.close();
        let mut calls = self.lock();
        // The reader may have told its end already.
        let Some(open) = calls.open.remove(&id) else { return Ok(()) };
        calls.n_started -= 1;
        calls.alone.take_if(|alone| alone.id == id);
        drop(calls);
        Err(NotTaken::Over(open.sink))
    }

    /// Asks a call to stop. False if it is not under way here.
    pub(super) fn cancel(&self, id: CallId) -> bool {
        if !self.has_open(id) {
            return false;
        }
        self.outbox.post(&Frame::new(Kind::Cancel, id.number()));
        true
    }

    /// Keeps an alarm for as long as the call is under way.
    pub(super) fn keep_alarm(&self, id: CallId, alarm: Alarm) {
        let unneeded = match self.lock().open.get_mut(&id) {
            Some(open) => open.alarm.replace(alarm),
            None => Some(alarm),
        };
        drop(unneeded);
    }

    /// Keeps an alarm for as long as the process lives.
    pub(super) fn keep_last_alarm(&self, alarm: Alarm) {
        let before = self.last_alarm.lock().unwrap_or_else(PoisonError::into_inner).replace(alarm);
        drop(before);
    }

    /// It gets no more calls.
    pub(super) fn set_leaving(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }

    /// Whether it gets no more calls.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// Notes that a call did not stop, and says how many others have not failed to; none if it has ended.
    pub(super) fn set_overdue(&self, id: CallId) -> Option<usize> {
        let mut calls = self.lock();
        calls.open.get_mut(&id)?.is_overdue = true;
        Some(calls.open.values().filter(|open| !open.is_overdue).count())
    }

    /// How many calls did not stop when they were asked to.
    pub(super) fn n_overdue(&self) -> usize {
        self.lock().open.values().filter(|open| open.is_overdue).count()
    }

    /// Lets the process end by itself, and sees to it that it does.
    pub(super) fn dismiss(self: &Arc<Self>, keeper: &Keeper, grace: Duration) {
        self.keep_last_alarm(keeper.kill_after(grace + LAST_BREATH, self, Killed::Dismissed));
        self.let_go();
    }

    /// Closes the connection, upon which the process ends by itself.
    pub(super) fn let_go(&self) {
        self.note_peak();
        self.is_dismissed.store(true, Ordering::Release);
        self.outbox.close();
    }

    /// Notes what keeps the package in.
    pub(super) fn set_confinement(&self, confinement: Confinement) {
        // A host answers once.
        self.confinement.set(confinement).ok();
    }

    /// What keeps the package in.
    pub(super) fn confinement(&self) -> Confinement {
        self.confinement.get().cloned().unwrap_or_default()
    }

    /// Whether it may start other processes, as far as is known.
    pub(super) fn may_start(&self) -> bool {
        let is_whole = || self.confinement.get().is_some_and(|confinement| confinement.missing.is_empty());
        self.sandbox == Sandbox::Dev || !is_whole()
    }

    /// Whether a look at it begins that was not under way.
    pub(super) fn begin_look(&self) -> bool {
        !self.is_looked_at.swap(true, Ordering::AcqRel)
    }

    /// Whether it is still to be looked at: it is being loaded, or has calls.
    pub(super) fn goes_on_looking(&self) -> bool {
        let works = || self.confinement.get().is_none() || self.n_open() > 0;
        // A call that begins between the two begins a look itself.
        works() || {
            self.is_looked_at.store(false, Ordering::Release);
            works() && self.begin_look()
        }
    }

    /// Keeps the alarm of the next look.
    pub(super) fn keep_look(&self, alarm: Alarm) {
        let before = self.look.lock().unwrap_or_else(PoisonError::into_inner).replace(alarm);
        drop(before);
    }

    /// Notes how many processes it had left behind.
    pub(super) fn set_left(&self, n_left: usize) {
        self.n_left.store(n_left, Ordering::Release);
    }

    /// Ends the process at once, for that reason, unless it has ended. One that is ending already has another reason.
    pub(super) fn kill(&self, why: Killed) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if reaped.is_none() {
            // Of a process whose main thread ends alone that is the reason.
            let is_ending = || Stat::of(self.pid).is_some_and(|stat| stat.is_ending);
            if matches!(why, Killed::Halted { .. }) || !is_ending() {
                // The first reason stands.
                self.killed.set(why).ok();
            }
            if let Err(error) = pidfd_send_signal(&self.pidfd, Signal::KILL) {
                tracing::debug!(package = &*self.package, pid = self.pid, %error, "a package host cannot be killed");
            }
        }
    }

    /// Lets the process end by itself, or kills it after `grace` and a bit.
    pub(super) fn end(&self, grace: Duration) {
        self.let_go();
        if self.wait(grace + LAST_BREATH).is_none() {
            self.kill(Killed::Dismissed);
            self.wait(KILL_WAIT);
        }
    }

    /// Reads what the process has written until now.
    pub(super) fn read_outputs(&self) {
        self.outputs().iter_mut().for_each(|output| output.read(self));
    }

    /// Reads what the process has written until its end.
    pub(super) fn end_outputs(&self) {
        self.settle(&mut self.outputs(), Settled::Ended);
    }

    /// Reads what was written until now, and ends a line that has not ended: it belongs to the call that is alone now, or
    /// to the package. A function that changes which calls are open does this before, and holds the outputs meanwhile.
    fn settle(&self, outputs: &mut [Output; 2], settled: Settled) {
        outputs.iter_mut().for_each(|output| output.settle(self, settled));
    }

    fn outputs(&self) -> MutexGuard<'_, [Output; 2]> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What finds that which must not be told of the calls that it got.
    pub(super) fn redactor(&self) -> Arc<Redactor> {
        self.hidden.redactor()
    }

    pub(super) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Notes that the process has ended. The connection is closed, also if a process that it left behind holds it.
    pub(super) fn set_reaped(&self, reaped: Result<Reaped, ()>) {
        let reaped = reaped.map(|reaped| Reaped { peak_bytes: self.peak_of(&reaped), ..reaped });
        self.close_account(reaped.ok());
        *self.reaped.lock().unwrap_or_else(PoisonError::into_inner) = Some(reaped);
        self.has_ended.notify_all();
        self.outbox.close();
        // After the end is told, because nobody waits for the disk.
        let scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(scratch);
    }

    /// Looks at how much memory the process has held so far.
    pub(super) fn note_peak(&self) {
        if let Some(bytes) = look::peak_bytes(self.pid) {
            self.seen_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// The most memory that the process held: what the system counted if that cannot have been its engine's, else what
    /// was seen.
    fn peak_of(&self, reaped: &Reaped) -> Option<u64> {
        let is_own = |bytes: &u64| self.inherited_bytes.is_some_and(|inherited| *bytes > inherited);
        reaped.peak_bytes.filter(is_own).or_else(|| self.seen_peak())
    }

    /// What it has used up so far.
    pub(super) fn used(&self) -> Used {
        self.note_peak();
        Used { n_calls: self.n_started(), cpu: self.cpu(), peak_bytes: self.seen_peak() }
    }

    fn close_account(&self, reaped: Option<Reaped>) {
        let Some(account) = &self.account else { return };
        let is_let_go =
            self.is_dismissed.load(Ordering::Acquire) || matches!(self.killed.get(), Some(Killed::Dismissed));
        let end = if is_let_go { End::LetGo } else { End::Crashed };
        let (cpu, peak_bytes) = (reaped.map(|reaped| reaped.cpu), reaped.and_then(|reaped| reaped.peak_bytes));
        account.close(end, Used { n_calls: self.n_started(), cpu, peak_bytes });
    }

    fn seen_peak(&self) -> Option<u64> {
        Some(self.seen_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// Processor time that it has used up.
    pub(super) fn cpu(&self) -> Option<Duration> {
        self.cpu.and_then(CpuClock::read)
    }

    /// Calls that it was given so far.
    pub(super) fn n_started(&self) -> u64 {
        self.lock().n_started
    }

    /// The memory that it holds now.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        let pages: u64 =
            fs::read_to_string(format!("/proc/{}/statm", self.pid)).ok()?.split(' ').nth(1)?.parse().ok()?;
        let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
        Some(pages.saturating_mul(page_bytes))
    }

    pub(super) fn n_open(&self) -> usize {
        self.lock().open.len()
    }

    /// Whether the call is under way.
    pub(super) fn has_open(&self, id: CallId) -> bool {
        self.lock().open.contains_key(&id)
    }

    /// The sink of the one call that is under way, if it is alone.
    pub(super) fn only_sink(&self) -> Option<(CallId, Arc<dyn CallSink>)> {
        let calls = self.lock();
        match calls.open.iter().next() {
            Some((id, open)) if calls.open.len() == 1 => Some((*id, Arc::clone(&open.sink))),
            _ => None,
        }
    }

    /// Forgets all calls; their sinks hear nothing more.
    pub(super) fn forget_calls(&self) {
        let forgotten = {
            let mut calls = self.lock();
            calls.is_over = true;
            std::mem::take(&mut calls.open)
        };
        drop(forgotten);
    }

    /// Reads what the host sends until its connection ends.
    pub(super) fn read(self: &Arc<Self>, frames: &mut FrameReader) {
        let broken = loop {
            match frames.next() {
                Ok(frame) => {
                    if let Err(what) = self.take(&frame) {
                        break Broken::Violation { what };
                    }
                }
                Err(broken) => break broken,
            }
        };
        match broken {
            Broken::Closed | Broken::Io(_) => {}
            Broken::Bad(bad) => self.kill(Killed::Violation { what: bad.to_string() }),
            Broken::Violation { what } => self.kill(Killed::Violation { what }),
        }
        self.over();
    }

    /// How it ended. Waits for the end, and brings it about if need be.
    pub(super) fn death(&self) -> Death {
        let is_dismissed = self.is_dismissed.load(Ordering::Acquire);
        let mut reaped = self.wait(if is_dismissed { KILL_WAIT } else { LAST_BREATH });
        if reaped.is_none() {
            self.kill(Killed::Silent);
            reaped = self.wait(KILL_WAIT);
        }
        // What a process does on its way out is nobody's failure.
        let killed = self.killed.get().cloned().or(is_dismissed.then_some(Killed::Dismissed));
        let n_left = self.n_left.load(Ordering::Acquire);
        Death { n_left, ..Death::new(reaped.and_then(Result::ok), killed, &self.limits) }
    }

    fn wait(&self, at_most: Duration) -> Option<Result<Reaped, ()>> {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.has_ended.wait_timeout_while(reaped, at_most, |reaped| reaped.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn over(self: &Arc<Self>) {
        let death = self.death();
        self.outbox.close();
        let (open, alone) = {
            let mut calls = self.lock();
            calls.is_over = true;
            (std::mem::take(&mut calls.open), calls.alone.take())
        };
        if let (Some(Alone { id, cpu: before, .. }), Some(reaped)) = (alone, death.reaped)
            && let Some(open) = open.get(&id)
        {
            let cpu = Some(reaped.cpu.saturating_sub(before));
            open.sink.used(id, Usage { cpu, peak_bytes: reaped.peak_bytes });
        }
        let mut open: Vec<OpenCall> =
            open.into_iter().map(|(id, Open { sink, is_overdue, .. })| OpenCall { id, sink, is_overdue }).collect();
        open.sort_by_key(|call| call.id);
        if let Some(family) = self.family.get().and_then(Weak::upgrade) {
            family.child_over(self, death, open);
        }
    }

    /// Does what a frame says, or tells what is wrong with it.
    fn take(self: &Arc<Self>, frame: &Frame<'_>) -> Result<(), String> {
        let id = CallId::of_number(frame.call);
        match frame.kind {
            Kind::Complete => {
                let [output, error_code, error_message] = frame.parts;
                let sent = Sent {
                    status: frame.a.cast_signed(),
                    output_kind: frame.c,
                    retry_after_us: frame.d,
                    output,
                    error_code,
                    error_message,
                    cpu_ns: frame.b,
                };
                let Some((sink, n_open)) = self.take_open(id, sent.cpu()) else {
                    return self.unless_over(format!("the end of a call {id} that was not under way"));
                };
                // What a task sent may be nonsense though its host is not: the attempt fails, and the host goes on.
                sink.complete(id, judge(&sent).unwrap_or_else(|bad| bad.into_result()));
                self.told(n_open);
            }
            Kind::Refused => {
                let Some((sink, n_open)) = self.take_open(id, None) else {
                    return self.unless_over(format!("the refusal of a call {id} that was not under way"));
                };
                let error = refused(frame).into_error();
                sink.complete(id, CallResult::Failed { error, retry_after: None });
                self.told(n_open);
            }
            Kind::Log => self.log(id, frame)?,
            Kind::Heartbeat => match self.sink(id) {
                Some(sink) => sink.heartbeat(id, frame.a.min(1000), text(frame.parts[0], NAME_SENT_MAX)),
                None => self.stray("heartbeats")?,
            },
            Kind::Secret => self.take_secret(id, frame)?,
            Kind::Fetch => self.take_question(id, frame)?,
            Kind::Dropped => {
                let n_lines = frame.b;
                tracing::warn!(package = &*self.package, n_lines, "log lines of a package were left out");
            }
            Kind::Hello | Kind::Ready | Kind::NotReady => return Err("a second answer to its setup".to_owned()),
            Kind::Setup | Kind::Start | Kind::Cancel | Kind::SecretTaken | Kind::Answer => {
                return Err("what only the engine may send".to_owned());
            }
        }
        Ok(())
    }

    /// A log line of a call, or of the package.
    pub(super) fn log(&self, id: CallId, frame: &Frame<'_>) -> Result<(), String> {
        let line = LogLine {
            level: Level::from_number(frame.a),
            target: text(frame.parts[0], NAME_SENT_MAX),
            message: text(frame.parts[1], LINE_SENT_MAX),
            fields: fields(frame.parts[2]),
        };
        match self.sink(id) {
            Some(sink) => sink.log(id, line),
            None if frame.call == 0 => self.log_of_package(&line),
            None => self.stray("log lines")?,
        }
        Ok(())
    }

    /// Hides a text from now on, and says so: the task waits for that before it goes on.
    fn take_secret(&self, id: CallId, frame: &Frame<'_>) -> Result<(), String> {
        let sink = self.lock().open.get_mut(&id).map(|open| {
            open.n_secrets += 1;
            (Arc::clone(&open.sink), open.n_secrets)
        });
        match sink {
            Some((_, n_secrets)) if n_secrets > SECRETS_MAX => {
                return Err(format!("more than {SECRETS_MAX} secrets of the call {id}"));
            }
            Some((sink, _)) => {
                sink.secret(id, text(frame.parts[0], SECRET_BYTES_MAX));
                if let Some(secrets) = sink.secrets() {
                    self.hidden.keep(secrets);
                }
            }
            None => self.stray("secrets")?,
        }
        self.outbox.post(&Frame { b: frame.b, ..Frame::new(Kind::SecretTaken, frame.call) });
        Ok(())
    }

    /// Answers what a task asks for. Waits for room, so that what is asked for at once does not pile up.
    fn take_question(&self, id: CallId, frame: &Frame<'_>) -> Result<(), String> {
        let [task, key, _] = frame.parts;
        let answer = match (self.sink(id), Question::read(frame.a, task, key)) {
            (Some(sink), Some(question)) => sink.fetch(id, &question),
            (Some(_), None) => Err(Unanswered::Unknown),
            (None, _) => {
                self.stray("questions")?;
                Err(Unanswered::Gone)
            }
        };
        let whole = |answer: &Answer| answer.bytes().len() <= OUTPUT_BYTES_MAX;
        let (status, answer) = match answer {
            Ok(None) => (FETCH_ABSENT, None),
            Ok(Some(answer)) if whole(&answer) => (FETCH_FOUND, Some(answer)),
            Ok(Some(_)) => (FETCH_TOO_LARGE, None),
            Err(unanswered) => (unanswered.status(), None),
        };
        let writer = answer.as_ref().and_then(|answer| answer.writer.as_deref()).unwrap_or_default();
        let value = answer.as_ref().map_or(&[] as &[u8], Answer::bytes);
        let posted = self.outbox.post_when_room(&Frame {
            a: status.cast_unsigned(),
            b: frame.b,
            parts: [value, writer.as_bytes(), &[]],
            ..Frame::new(Kind::Answer, frame.call)
        });
        if posted == Posted::Unread {
            self.kill(Killed::Deaf);
        }
        Ok(())
    }

    /// Writes a line that belongs to no call to the engine's own log.
    pub(super) fn log_of_package(&self, line: &LogLine) {
        let (package, pid) = (&*self.package, self.pid);
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

    /// Counts what belongs to no open call: it may come late, but not without end.
    fn stray(&self, what: &str) -> Result<(), String> {
        let n_strays = self.n_strays.fetch_add(1, Ordering::Relaxed) + 1;
        if n_strays > STRAYS_MAX { Err(format!("{n_strays} {what} for calls that were not under way")) } else { Ok(()) }
    }

    /// A mistake of the host, unless the engine has forgotten all its calls meanwhile.
    fn unless_over(&self, what: String) -> Result<(), String> {
        if self.lock().is_over { Ok(()) } else { Err(what) }
    }

    fn sink(&self, id: CallId) -> Option<Arc<dyn CallSink>> {
        self.lock().open.get(&id).map(|open| Arc::clone(&open.sink))
    }

    /// Ends a call. What it wrote before its end belongs to it if it was alone. What the system says of one that was alone
    /// is preferred to what the package says of it.
    fn take_open(&self, id: CallId, said: Option<Duration>) -> Option<(Arc<dyn CallSink>, usize)> {
        let (open, alone, n_open) = {
            let mut outputs = self.outputs();
            let settled = if self.n_open() == 1 { Settled::Ended } else { Settled::GoesOn };
            self.settle(&mut outputs, settled);
            let mut calls = self.lock();
            let open = calls.open.remove(&id)?;
            (open, calls.alone.take_if(|alone| alone.id == id), calls.open.len())
        };
        let used = alone.map_or(Usage { cpu: said, peak_bytes: None }, |alone| self.used_by(&alone, said));
        if used != Usage::default() {
            open.sink.used(id, used);
        }
        Some((open.sink, n_open))
    }

    /// What a call used up that was alone.
    fn used_by(&self, alone: &Alone, said: Option<Duration>) -> Usage {
        let cpu = self.cpu().map(|cpu| cpu.saturating_sub(alone.cpu)).or(said);
        let is_long = keeper::now().saturating_duration_since(alone.began) >= LONG;
        if is_long {
            self.note_peak();
        }
        Usage { cpu, peak_bytes: self.seen_peak().filter(|_| is_long) }
    }

    fn told(self: &Arc<Self>, n_open: usize) {
        if let Some(family) = self.family.get().and_then(Weak::upgrade) {
            family.call_ended(self, n_open);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        // Nothing panics while it is held.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Child").field("pid", &self.pid).field("n_open", &self.n_open()).finish_non_exhaustive()
    }
}
